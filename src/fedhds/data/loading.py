"""From what ``data`` names to the examples to train on and those of unseen tasks."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from fedhds.types import Example, Examples, Preset, UserError


def load_examples(
    preset: Preset,
    train: str | None,
    unseen: str | None,
    columns: Mapping[str, str],
    holdout: Sequence[str],
    seed: int,
) -> tuple[Examples, Examples]:
    """Read the data of a preset.

    Parameters
    ----------
    preset : Preset
        The format the data are in.
    train, unseen : str or None
        What ``data.train`` and ``data.eval`` name; the server of a deployment has no ``train``.
    columns : mapping of str to str
        The columns of fields, where the user's go before the preset's.
    holdout : sequence of str
        Tasks that are kept from training; they are the unseen tasks then.
    seed : int
        The experiment's seed.

    Returns
    -------
    train, unseen : Examples
        What reading left out is counted with them.

    Raises
    ------
    UserError
        If the data cannot be read, or if nothing is left to train on.
    """
    train_rows, unseen_rows = preset.read(train, unseen, seed)
    found = []
    for rows, source in ((train_rows, train), (unseen_rows, unseen or train)):
        examples = preset.to_examples(rows.rows, columns, source or "the generated data")
        dropped = {**rows.dropped, **examples.dropped}
        found.append(Examples(examples.examples, dropped, examples.noted))
    if train is not None and not found[0].examples:
        raise UserError(f"data.train: nothing is left of '{train}' ({counts(found[0].dropped)})")
    if holdout:
        found = list(_hold_out(found[0], holdout))
    return found[0], found[1]


def counts(reasons: Mapping[str, int]) -> str:
    """Write how often what happened, for people."""
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items()) or "no rows"


def _hold_out(given: Examples, tasks: Sequence[str]) -> tuple[Examples, Examples]:
    """Move the examples of some tasks from those to train on to the unseen ones."""
    known = dict.fromkeys(example.task for example in given.examples if example.task)
    for task in tasks:
        if task not in known:
            near = difflib.get_close_matches(task, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are: {_some(list(known))}"
            raise UserError(f"data.holdout: there is no task {task!r}; {hint}")
    kept: list[Example] = []
    held: list[Example] = []
    for example in given.examples:
        (held if example.task in tasks else kept).append(example)
    if not kept:
        raise UserError("data.holdout: all tasks are held out, so none is left to train on")
    return Examples(kept, given.dropped, given.noted), Examples(held)


def _some(names: list[str]) -> str:
    return (", ".join(names[:10]) + (", ..." if len(names) > 10 else "")) or "none"
