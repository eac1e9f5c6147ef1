"""Says how unequal clients are: their sizes, and how far their tasks are from the whole's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean, median

from fedhds.types import Example


def summarise(clients: Sequence[tuple[str, Sequence[Example]]]) -> dict[str, float | int]:
    """Describe a partition in a few numbers.

    Parameters
    ----------
    clients : sequence of (name, examples)

    Returns
    -------
    dict
        ``clients`` and ``empty_clients`` are counts; ``samples_min``, ``samples_median``
        and ``samples_max`` are over all clients, the empty ones too. Over the others,
        ``tasks_per_client`` is a mean, and so is ``total_variation``: half the sum over
        tasks of how much a client's share of the task differs from that of all examples
        together, from 0 (iid) to nearly 1. All are 0 without clients.
    """
    sizes = [len(examples) for _, examples in clients]
    counts = [Counter(example.task for example in examples) for _, examples in clients if examples]
    whole = Counter(example.task for _, examples in clients for example in examples)
    return {
        "clients": len(clients),
        "empty_clients": len(clients) - len(counts),
        "samples_min": min(sizes, default=0),
        "samples_median": median(sizes or [0]),
        "samples_max": max(sizes, default=0),
        "tasks_per_client": fmean(map(len, counts)) if counts else 0.0,
        "total_variation": fmean(_distance(c, whole) for c in counts) if counts else 0.0,
    }


def _distance(one: Counter[str], whole: Counter[str]) -> float:
    """Return the total variation distance between the tasks of a client and of all.

    What its own tasks have above their share of all is what the others lack.
    """
    own, every = one.total(), whole.total()
    return sum(max(0.0, count / own - whole[task] / every) for task, count in one.items())
