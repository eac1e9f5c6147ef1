"""The whole way from examples to clients: partition, noise, tokens, validation split."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import chain

from fedhds.data.noise import corrupt, duplicate
from fedhds.rng import generator
from fedhds.types import ClientData, Example, Partition, Sample, UserError

SMALLEST_WITH_VALIDATION = 10
"""A client with fewer samples holds none out: it has too few to learn from as it is."""


def split_validation(
    samples: Sequence[Sample], share: float, seed: int, client: int
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Hold out some of a client's samples at random, keeping the order of both parts.

    Parameters
    ----------
    samples : sequence of Sample
    share : float
        The share to hold out, rounded to samples but at least one if it is above 0; none
        from fewer than `SMALLEST_WITH_VALIDATION` samples.
    seed, client : int
        The experiment's seed and the client's position.

    Returns
    -------
    train, validation : tuple of Sample
    """
    if share <= 0 or len(samples) < SMALLEST_WITH_VALIDATION:
        return tuple(samples), ()
    count = max(1, round(share * len(samples)))
    drawn = generator(seed, "validation", client).choice(len(samples), count, replace=False)
    held_out = set(drawn.tolist())
    train = tuple(sample for i, sample in enumerate(samples) if i not in held_out)
    return train, tuple(samples[i] for i in sorted(held_out))


def build_clients(
    examples: Sequence[Example],
    partition: Partition,
    seed: int,
    *,
    per_client: int | None,
    duplicates: float,
    corrupted: float,
    encode: Callable[[list[Example]], tuple[list[Sample], int]],
    validation: float,
    first: int = 0,
) -> tuple[list[ClientData], Counter[str]]:
    """Spread examples over clients and prepare what each holds.

    Parameters
    ----------
    examples : sequence of Example
    partition : Partition
        Which client holds which examples.
    seed : int
        The experiment's seed.
    per_client : int or None
        The most examples of a client, drawn at random before any noise; None keeps all.
    duplicates, corrupted : float
        Shares of copies and of wrong answers (see `fedhds.data.noise`).
    encode : callable
        Turns examples into samples, in their order, and says how many it left out. It is
        given all clients' at once, as tokenizers are slow to begin.
    validation : float
        The share that each client holds out (see `split_validation`).
    first : int
        The number of the first client: a site of a deployment has one client, of any number.

    Returns
    -------
    clients : list of ClientData
        In the partition's order; clients emptied on the way stay, empty.
    dropped : Counter
        Examples left out: ``over_per_client`` and ``response_cut_away``.

    Raises
    ------
    UserError
        If no client has a sample left.
    """
    dropped: Counter[str] = Counter()
    parts = partition.split(examples, seed)
    held = [
        _draw([examples[position] for position in positions], per_client, seed, index)
        for index, (_, positions) in enumerate(parts, first)
    ]
    dropped["over_per_client"] = len(examples) - sum(map(len, held))
    noisy = corrupt(duplicate(held, duplicates, seed), corrupted, seed)
    encoded, dropped["response_cut_away"] = encode(list(chain.from_iterable(noisy)))
    left = deque(encoded)
    clients = []
    for index, ((name, _), given) in enumerate(zip(parts, noisy, strict=True), first):
        # the next sample is of another example where this one was left out
        samples = [left.popleft() for example in given if left and left[0].example is example]
        clients.append(ClientData(name, *split_validation(samples, validation, seed, index)))
    if not any(client.train for client in clients):
        counts = ", ".join(f"{count} {reason}" for reason, count in (+dropped).items())
        raise UserError(
            f"data.train: nothing is left after filtering: {counts or 'there were no examples'}"
        )
    return clients, +dropped


def _draw(examples: list[Example], most: int | None, seed: int, client: int) -> list[Example]:
    """Draw at most ``most`` examples of a client, keeping their order."""
    if most is None or len(examples) <= most:
        return examples
    drawn = generator(seed, "per-client", client).choice(len(examples), most, replace=False)
    return [examples[position] for position in sorted(drawn.tolist())]
