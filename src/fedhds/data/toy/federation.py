"""The samples of the toy federation."""

from __future__ import annotations

from fedhds.data.toy.grammar import pick
from fedhds.data.toy.task import ToyTask
from fedhds.data.toy.tasks import TASKS
from fedhds.rng import generator

REDRAWS = 50  # a task whose space is nearly used up may repeat itself after so many draws


def generate(samples_per_task: int, seed: int) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Generate the toy federation.

    Parameters
    ----------
    samples_per_task : int
        How many samples each task gets.
    seed : int
        The seed; each task draws from its own stream of it.

    Returns
    -------
    train, unseen : list of dict
        The rows of the tasks to train on and of those kept for evaluation, in the order of
        `TASKS`; each has the keys ``task``, ``family``, ``instruction``, ``input``, ``output``.
    """
    train: list[dict[str, str]] = []
    unseen: list[dict[str, str]] = []
    for task in TASKS:
        (unseen if task.unseen else train).extend(_rows(task, samples_per_task, seed))
    return train, unseen


def _rows(task: ToyTask, count: int, seed: int) -> list[dict[str, str]]:
    rng = generator(seed, f"toy/{task.name}")
    drawn: set[tuple[str, str]] = set()
    rows = []
    for _ in range(count):
        for _ in range(REDRAWS):
            source, output = task.make(rng)
            instruction = pick(rng, task.phrasings)
            if (instruction, source) not in drawn:
                break
        drawn.add((instruction, source))
        rows.append(
            {
                "task": task.name,
                "family": task.family,
                "instruction": instruction,
                "input": source,
                "output": output,
            }
        )
    return rows
