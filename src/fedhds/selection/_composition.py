"""Two ways to put selection methods together: one before another, or one inside another's groups.

Source: our own

Any two methods go together: the inner one plays its exchanges on the client, as the only one of a
federation of its own, so that nothing more leaves the client than the outer one sends.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from fedhds.types import (
    Array,
    Arrays,
    ClientHalf,
    Coreset,
    Exchange,
    GroupingMethod,
    Memory,
    Schedule,
    SelectionMethod,
    SignalModel,
    Signals,
    State,
)

KEPT = "filter/kept"
"""Where a client remembers what its filter kept."""


def choose_alone(
    method: SelectionMethod, signals: Signals, count: int, rng: np.random.Generator
) -> Coreset:
    """Let a method choose ``count`` samples of a client as if there were no other client."""
    received: Arrays = {"quota": np.array([count])}
    memory: Memory = {}
    state: State = {}
    for number, step in enumerate(method.steps):
        summary, memory = step.client(signals, received if number else {}, memory, rng)
        state, replies = step.server(state, {0: summary}, count, rng)
        received = replies[0]
    return method.pick(signals, received, memory, rng)


@dataclass(frozen=True)
class _Composed(SelectionMethod):
    """A method with another one before it or inside it, which all else is as of the outer one."""

    key: ClassVar[str]
    """Where the inner method's options stand."""

    inner: SelectionMethod
    outer: SelectionMethod

    def __post_init__(self) -> None:
        """Refuse an inner method that takes everything."""
        if self.inner.budget == "ignored":
            raise ValueError("method takes all samples, so it cannot choose among them")

    @property
    def private(self) -> bool:
        """The outer method's: nothing leaves the client for the inner one."""
        return self.outer.private

    @property
    def described_group(self) -> int | None:
        """The outer method's."""
        return self.outer.described_group

    @property
    def noise(self) -> float:
        """The outer method's."""
        return self.outer.noise

    @property
    def budget(self) -> Literal["required", "optional", "ignored"]:
        """The outer method's."""
        return self.outer.budget

    @property
    def steps(self) -> tuple[Exchange, ...]:
        """The outer method's, over the samples that it sees."""
        return tuple(replace(step, client=self._client(step)) for step in self.outer.steps)

    def needs(self) -> tuple[str, ...]:
        """Need what both need, each with the model that reads it."""
        both = (*self.inner.reads().values(), *self.outer.reads().values())
        return tuple(dict.fromkeys(f"{model}/{name}" for model, name in both))

    def check_layers(self, layers: int) -> None:
        """Refuse what either refuses."""
        self.outer.check_layers(layers)
        try:
            self.inner.check_layers(layers)
        except ValueError as error:
            raise ValueError(f"{self.key}.{error}") from error

    def unused(self) -> tuple[str, ...]:
        """Name the outer method's, and the inner one's by where they stand."""
        return (*self.outer.unused(), *(f"{self.key}.{name}" for name in self.inner.unused()))

    def schedule(self, round: int, rounds: int) -> Schedule:
        """Keep to the outer method's."""
        return self.outer.schedule(round, rounds)

    def remarks(self, state: State) -> tuple[str, ...]:
        """Tell what the outer method has to tell."""
        return self.outer.remarks(state)

    def seen(
        self, signals: Signals, memory: Memory, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the positions of the samples that the outer method sees, and what to remember."""
        return np.arange(signals.samples), {}

    def _client(self, step: Exchange) -> ClientHalf:
        def client(
            signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
        ) -> tuple[dict[str, Array], Memory]:
            seen, kept = self.seen(signals, memory, rng)
            part = _part(signals, self.outer, seen)
            summary, memory = step.client(part, received, memory, rng)
            return summary, memory | kept

        return client


@dataclass(frozen=True)
class Filtered(_Composed):
    """``outer`` sees only that share of each client's samples which ``inner`` would choose first.

    No budget reaches what was left out. A client filters once, before the first exchange; where
    the outer method has none, whenever it chooses.

    Attributes
    ----------
    keep : float
        The share of a client's samples that is kept, rounded up.
    """

    key: ClassVar[str] = "filter"

    keep: float

    def held(self, samples: int) -> int:
        """Count what is kept."""
        # a product such as .7 * 10 may come out a hair above the whole number that it is
        return math.ceil(self.keep * samples - 1e-9)

    def seen(
        self, signals: Signals, memory: Memory, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return what is kept, ascending."""
        if KEPT not in memory:
            count = self.held(signals.samples)
            everything = _part(signals, self.inner, np.arange(signals.samples))
            memory = {KEPT: choose_alone(self.inner, everything, count, rng).indices}
        return memory[KEPT], {KEPT: memory[KEPT]}

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Choose among what was kept (client)."""
        kept, _ = self.seen(signals, memory, rng)
        if "quota" in received:
            received = {"quota": np.minimum(received["quota"], len(kept))}
        chosen = self.outer.pick(_part(signals, self.outer, kept), received, memory, rng)
        return replace(chosen, indices=kept[chosen.indices])


@dataclass(frozen=True)
class Within(_Composed):
    """``outer`` says how many samples each of a client's groups gives, ``inner`` which.

    The inner method chooses anew from the whole group whenever it is asked. What the outer one
    takes from no group stays.
    """

    key: ClassVar[str] = "within"

    outer: GroupingMethod

    def __post_init__(self) -> None:
        """Refuse an outer method that has no groups, and an inner one that takes everything."""
        super().__post_init__()
        if not isinstance(self.outer, GroupingMethod):
            raise ValueError(
                "selection.method has no groups to choose within: take fedhds or one of its kin"
            )

    def labels(self, memory: Memory, samples: int) -> Array:
        """Return the outer method's groups, shape (samples,) (client)."""
        return self.outer.labels(memory, samples)

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Let the inner method choose from each group what it is to give (client)."""
        everything = np.arange(signals.samples)
        asked = self.outer.pick(_part(signals, self.outer, everything), received, memory, rng)
        labels = self.outer.labels(memory, signals.samples)
        taken = {int(i): -1 for i in asked.indices[asked.groups < 0]}
        for group in np.unique(asked.groups[asked.groups >= 0]):
            count = int((asked.groups == group).sum())
            members = np.flatnonzero(labels == group)
            chosen = choose_alone(self.inner, _part(signals, self.inner, members), int(count), rng)
            taken.update((int(i), int(group)) for i in members[chosen.indices])
        return Coreset.of(list(taken), list(taken.values()))


class _Part(Mapping[str, Array]):
    """Some samples' signals by the names that one method knows them by, read when asked for."""

    def __init__(
        self, arrays: Arrays, reads: Mapping[str, tuple[SignalModel, str]], positions: Array
    ) -> None:
        self._arrays, self._reads, self._positions = arrays, reads, positions

    def __getitem__(self, need: str) -> Array:
        array: Array = self._arrays["/".join(self._reads[need])]
        # states are large: no second copy of them where nobody is left out
        return array if len(self._positions) == len(array) else array[self._positions]

    def __iter__(self) -> Iterator[str]:
        return iter(self._reads)

    def __len__(self) -> int:
        return len(self._reads)


def _part(signals: Signals, method: SelectionMethod, positions: Array) -> Signals:
    """Return the samples at ``positions`` as a client of its own, which ``method`` can read."""
    return Signals(len(positions), _Part(signals.arrays, method.reads(), positions))
