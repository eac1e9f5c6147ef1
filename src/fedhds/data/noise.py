"""Makes data worse on purpose: copies of other clients' examples, and wrong answers.

Both leave their input untouched and mark what they made in the example's ``row``, so that
a report can tell how much of it a selection method kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fedhds.rng import generator
from fedhds.types import Example, UserError


def duplicate(clients: Sequence[Sequence[Example]], share: float, seed: int) -> list[list[Example]]:
    """Append copies of other clients' examples to each client.

    Parameters
    ----------
    clients : sequence of sequences of Example
    share : float
        Copies per example of a client, rounded; each is of another example. Where the
        others hold fewer, all of theirs are copied.
    seed : int
        The experiment's seed.

    Returns
    -------
    list of lists of Example
        The clients' examples, then the copies with ``row["duplicate"]`` True.
    """
    everyone = [example for client in clients for example in client]
    result, start = [], 0
    for index, client in enumerate(clients):
        others = len(everyone) - len(client)
        copies = []
        if count := min(round(share * len(client)), others):
            drawn = generator(seed, "duplicates", index).choice(others, count, replace=False)
            # positions among the others skip the client's own
            places = np.where(drawn < start, drawn, drawn + len(client))
            copies = [_marked(everyone[place], "duplicate") for place in places.tolist()]
        result.append([*client, *copies])
        start += len(client)
    return result


def corrupt(clients: Sequence[Sequence[Example]], share: float, seed: int) -> list[list[Example]]:
    """Give a share of each client's examples a wrong answer: that of another example.

    Answers move among the drawn examples of a client, so that its answers stay the same
    as a whole. Where that would bring an example an answer it accepts anyway (most drawn
    answers are equal, say), it takes the answer of any other example of the client, or
    else of another client. Letter case and white space make no difference.

    Parameters
    ----------
    clients : sequence of sequences of Example
    share : float
        Wrong answers per example of a client, rounded.
    seed : int
        The experiment's seed.

    Returns
    -------
    list of lists of Example
        In the given order; those with a wrong answer have ``row["corrupted"]`` True and
        the references of the example that their answer is from.

    Raises
    ------
    UserError
        If no example of any client has an answer that would be wrong.
    """
    everyone = [example for client in clients for example in client]
    counts = [round(share * len(client)) for client in clients]
    return [
        _corrupt(client, everyone, count, generator(seed, "corrupted", index))
        if count
        else list(client)
        for index, (client, count) in enumerate(zip(clients, counts, strict=True))
    ]


def _corrupt(
    client: Sequence[Example], everyone: Sequence[Example], count: int, rng: np.random.Generator
) -> list[Example]:
    """Give ``count`` examples of one client a wrong answer."""
    groups: dict[str, list[int]] = {}
    for position in rng.permutation(len(client))[:count].tolist():
        groups.setdefault(_normal(client[position].output), []).append(position)
    # With equal answers in a row, a shift by the longest such run moves each answer to an
    # example with a different one, unless more than half of them are equal.
    drawn = [position for group in groups.values() for position in group]
    shift = max(map(len, groups.values()), default=0)
    result = list(client)
    for place, position in enumerate(drawn):
        example, donor = client[position], client[drawn[(place + shift) % count]]
        if not _differ(example, donor):
            donor = _find_donor(example, (client, everyone), rng)
        wrong = replace(example, output=donor.output, references=donor.references)
        result[position] = _marked(wrong, "corrupted")
    return result


def _find_donor(
    example: Example, pools: Sequence[Sequence[Example]], rng: np.random.Generator
) -> Example:
    """Draw an example with a different answer from the first pool that has one."""
    for pool in pools:
        for position in rng.permutation(len(pool)).tolist():
            donor: Example = pool[position]
            if _differ(example, donor):
                return donor
    raise UserError(
        "data.corrupted: all examples have the same answer, so none can be given a wrong one"
    )


def _differ(one: Example, other: Example) -> bool:
    """Tell whether two examples have no accepted answer in common."""
    return _answers(one).isdisjoint(_answers(other))


def _answers(example: Example) -> set[str]:
    return {_normal(answer) for answer in (example.output, *example.references)}


def _normal(answer: str) -> str:
    return " ".join(answer.casefold().split())


def _marked(example: Example, mark: str) -> Example:
    return replace(example, row={**example.row, mark: True})
