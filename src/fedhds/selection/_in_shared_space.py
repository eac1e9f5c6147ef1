"""The first exchange of methods that compare clients: a space which all of them share.

The options, the features and the agreement; what is then said in that space is the method's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedhds.selection import _shared_space
from fedhds.selection._finite import check_finite
from fedhds.selection._layers import Layers, check_layers, of_layers
from fedhds.types import (
    Array,
    Arrays,
    ArraySpec,
    Exchange,
    Memory,
    SelectionMethod,
    Signals,
    State,
)

SIGNALS = {
    "states": ("mean_states",),
    "words": ("words",),
    "both": ("mean_states", "words"),
    "last-token": ("hidden_states",),
}
"""What the features are read from."""

KINDS = {"mean_states": 2, "words": 1, "hidden_states": 1}
"""How many kinds of features a signal holds: means over prompt and response are two."""


@dataclass(frozen=True)
class InSharedSpace(SelectionMethod):
    """A method whose clients place their samples in one space.

    Attributes
    ----------
    features : {"both", "states", "words", "last-token"}
        ``states`` are the means over the prompt's and the response's tokens after each layer,
        ``words`` hashed word counts, which need no model; ``last-token`` is the paper's.
    layers : {"all", "last"} or list of int
        Whose states; 0 is the embeddings, -1 the last layer.
    space : {"centred", "random", "pca"}
        ``random`` is the seeded projection alone, with nothing to agree on; ``centred`` takes the
        first clients' common mean away; ``pca`` keeps what varies most over them.
    dimensions : int
        Of the shared space.
    projection_seed : int
        Of the random projection; not the experiment's, as all clients must have the same.
    minimum_group : int
        Nothing leaves a client that is of fewer samples; smaller groups are merged.
    """

    features: Literal["both", "states", "words", "last-token"] = "both"
    layers: Layers = "all"
    space: Literal["centred", "random", "pca"] = "centred"
    dimensions: int = 128
    projection_seed: int = 0
    minimum_group: int = 3

    signal_model: ClassVar[Literal["base"]] = "base"

    def __post_init__(self) -> None:
        """Check the options' ranges."""
        for name, least in (("dimensions", 1), ("projection_seed", 0), ("minimum_group", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}")
        if not self.layers:
            raise ValueError("layers must name at least one layer")

    @property
    def described_group(self) -> int:
        """``minimum_group``; with PCA single samples.

        Second moments of fewer samples than the space is wide span just these samples, so that
        whoever has a text can tell for certain whether it is among them.
        """
        return 1 if self.space == "pca" else self.minimum_group

    @property
    def agreement(self) -> tuple[Exchange, ...]:
        """The exchange that makes the space: moments up, mean and basis down; none if random."""
        if self.space == "random":
            return ()
        wide = self._wide
        summary = {
            "mean": ArraySpec("float32", (wide,), low=-10, high=10),
            "samples": ArraySpec("int64", (1,), low=0, high=2**31),
        }
        reply = {"mean": ArraySpec("float32", (wide,))}
        if self.space == "pca":
            summary["products"] = ArraySpec("float32", (wide, wide), low=-100, high=100)
            reply["basis"] = ArraySpec("float32", (wide, self.dimensions))
        return (Exchange(self.introduce, self.agree, summary, reply),)

    def needs(self) -> tuple[str, ...]:
        """Need what the features are made of."""
        return SIGNALS[self.features]

    def check_layers(self, layers: int) -> None:
        """Refuse a layer that a model of ``layers`` layers does not have."""
        check_layers(self.layers, layers)

    def introduce(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> tuple[dict[str, Array], Memory]:
        """Tell the moments of the projected features, once (client).

        Returns
        -------
        summary : dict
            ``mean`` (wide,) over the client's samples, ``products`` (wide, wide) for PCA, and
            how many ``samples`` they are of: 0, and all zeros, from fewer than
            ``minimum_group``, and from a client that has told them before. (One that is new
            cannot know whether there is a space already, and tells them for nothing.)
        memory : dict
            What was there, that it was told, and what was ``projected``, for `place`.
        """
        told = np.zeros((0, len(self._shares), self.dimensions), np.float32)
        if "told" not in memory:
            projected = self._project(signals)
            memory = memory | {"told": np.ones(1, bool), "projected": projected}
            told = projected if len(projected) >= self.minimum_group else told
        summary = _shared_space.moments(told, self.space == "pca")
        return summary | {"samples": np.array([len(told)])}, memory

    def agree(
        self,
        state: State,
        summaries: Mapping[int, Arrays],
        budget: int | None,
        rng: np.random.Generator,
    ) -> tuple[State, dict[int, dict[str, Array]]]:
        """Make the shared space of the clients' moments, once (server).

        Returns
        -------
        state : dict
            ``mean`` and, for PCA, ``basis`` beside what was there.
        replies : dict
            The same to every client.
        """
        clients = sorted(summaries)
        counts = np.array([int(summaries[client]["samples"][0]) for client in clients])
        space: dict[str, Array] = {n: state[n] for n in ("mean", "basis") if n in state}
        if not space and counts.sum():
            space = _shared_space.agree([summaries[c] for c in clients], counts, self.dimensions)
            state = state | space
        if not space:  # nobody has enough samples to tell of, now; so nobody has any group
            space = {"mean": np.zeros(self._wide, np.float32)}
            if self.space == "pca":
                space["basis"] = np.eye(self._wide, self.dimensions, dtype=np.float32)
        return state, dict.fromkeys(clients, space)

    def place(self, signals: Signals, space: Arrays, memory: Memory) -> Array:
        """Place the client's samples in the space: unit rows, shape (n_samples, dimensions)."""
        projected = memory.get("projected")
        if projected is None:
            projected = self._project(signals)
        return _shared_space.place(projected, space, self._shares)

    @property
    def _wide(self) -> int:
        """How many numbers the random projection leaves of a sample."""
        return self.dimensions * len(self._shares)

    @property
    def _shares(self) -> list[float]:
        """How much each kind of features counts: all of a signal as much as another signal."""
        return [1 / KINDS[name] for name in SIGNALS[self.features] for _ in range(KINDS[name])]

    def _project(self, signals: Signals) -> Array:
        """Bring the features down by the matrices that all clients share."""
        kinds: list[Array] = []
        for name in SIGNALS[self.features]:
            array = signals.arrays[name]
            check_finite(name.replace("_", " "), array)
            if name == "words":
                kinds.append(array[:, None])
            elif name == "hidden_states":
                kinds.append(of_layers(array, self.layers))
            else:
                kinds.extend(of_layers(array, self.layers).swapaxes(0, 1))
        return _shared_space.project(kinds, self.dimensions, self.projection_seed)


def of_small_clients(state: State) -> tuple[str, ...]:
    """Tell how many ``small_clients`` were not compared, where there are any."""
    if not (count := int(state["small_clients"][0])):
        return ()
    return (
        f"{count} client(s) have fewer than selection.minimum_group samples, and gave none "
        "that a budget did not ask for",
    )
