"""The contracts between the stages: what each hands to the next, and what a method must offer.

Plain frozen dataclasses and protocols; nothing here computes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = Mapping[str, Array]
"""Named arrays: an adapter, a summary, a reply, a client's memory or a server's state."""

T = TypeVar("T")


class UserError(Exception):
    """A mistake the user can mend: one sentence naming the file, the line or the key."""


class RunFailed(Exception):
    """A run that could not go on though its input was fine (every client failed, say).

    ``dropped_replies`` says whose replies were missing or refused then, and why, by what they
    were to.
    """

    def __init__(
        self, reason: str, dropped_replies: Mapping[str, Mapping[int, str]] | None = None
    ) -> None:
        super().__init__(reason)
        self.dropped_replies = dropped_replies or {}


class Progress(Protocol):
    """Where long steps report to; how it is shown is the command line's business."""

    def track(self, items: Iterable[T], description: str, total: int) -> Iterator[T]:
        """Yield ``items`` while showing how many of ``total`` are done."""
        ...

    def say(self, event: str, text: str, **facts: Any) -> None:
        """Tell one thing: ``event`` and ``facts`` for machines, ``text`` for people."""
        ...


class Silent:
    """Progress that goes nowhere."""

    def track(self, items: Iterable[T], description: str, total: int) -> Iterator[T]:
        """Yield ``items`` untouched."""
        return iter(items)

    def say(self, event: str, text: str, **facts: Any) -> None:
        """Say nothing."""


# --- data -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """One instruction with its input and its answer, as text.

    ``references`` are all accepted answers (the first is ``output``), ``task`` names the
    task it belongs to, and ``row`` keeps every column of its source, the unknown ones too.
    ``conversation`` holds the turns (role, content) before the answer where the source has
    such; ``instruction`` is then their text.
    """

    instruction: str
    input: str
    output: str
    task: str
    references: tuple[str, ...]
    row: Mapping[str, Any] = field(default_factory=dict)
    conversation: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Rows:
    """Rows of one source, a dictionary of columns each, and how many reading left out, why."""

    rows: list[dict[str, Any]]
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Examples:
    """Examples of one source; what was left out and what was kept though odd, by reason."""

    examples: list[Example]
    dropped: Mapping[str, int] = field(default_factory=dict)
    noted: Mapping[str, int] = field(default_factory=dict)


class Preset(Protocol):
    """A format of instruction data: a frozen dataclass whose fields are keys of ``data``.

    Most are a `fedhds.data.columns.ColumnsPreset`, which implements both methods, with
    other ``columns``.
    """

    columns: ClassVar[Mapping[str, str]] = {}
    """The column of each field; a field left out has its own name."""
    generated: ClassVar[bool] = False
    """Whether the data come from nowhere: there is no ``data.train`` then."""
    brings_unseen: ClassVar[bool] = False
    """Whether the unseen tasks come along, so that there is no ``data.eval``."""

    @abstractmethod
    def read(self, train: str | None, unseen: str | None, seed: int) -> tuple[Rows, Rows]:
        """Read the rows to train on and the unseen ones from ``data.train`` and ``data.eval``."""

    @abstractmethod
    def to_examples(
        self, rows: list[dict[str, Any]], columns: Mapping[str, str], source: str
    ) -> Examples:
        """Turn rows into examples; ``columns`` are the user's, ``source`` is for messages."""


@dataclass(frozen=True)
class Sample:
    """An example and its tokens: what a model reads (``prompt``) and learns (``response``).

    ``response`` ends with the tokenizer's EOS unless ``max_length`` cut it. ``uninstructed`` is
    the prompt as it were without any instruction: what the layout of prompts brings along.
    """

    example: Example
    prompt: tuple[int, ...]
    response: tuple[int, ...]
    uninstructed: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        """Tokens of prompt and response together."""
        return len(self.prompt) + len(self.response)


@dataclass(frozen=True)
class ClientData:
    """What one client holds; it never leaves that client."""

    name: str
    train: tuple[Sample, ...]
    validation: tuple[Sample, ...] = ()


# --- selection ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Signals:
    """What is known of each sample of one client, private to it: numbers, or texts as bytes.

    ``arrays`` maps a signal's name to an array whose first axis is the client's
    ``samples`` training samples, in their order.
    """

    samples: int
    arrays: Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class Coreset:
    """The samples a client trains on.

    Attributes
    ----------
    indices : ndarray of int64, shape (n_selected,)
        Positions in the client's training samples, each once, ascending.
    weights : ndarray of float32, shape (n_selected,)
        How much each counts in the training loss.
    groups : ndarray of int64, shape (n_selected,)
        The client's group each stands for; -1 where a method has no groups.
    """

    indices: Array
    weights: Array
    groups: Array

    @classmethod
    def of(
        cls, indices: Sequence[int] | Array, groups: Sequence[int] | Array | None = None
    ) -> Coreset:
        """Build an equally weighted coreset of ``indices`` (any order)."""
        positions = np.asarray(indices, dtype=np.int64)
        order = np.argsort(positions, kind="stable")
        labels = np.full(len(positions), -1) if groups is None else np.asarray(groups)
        return cls(
            positions[order], np.ones(len(positions), np.float32), labels[order].astype(np.int64)
        )

    def __len__(self) -> int:
        """Return the number of selected samples."""
        return len(self.indices)


@dataclass(frozen=True)
class ArraySpec:
    """What one array of a message may be; anything else is refused on arrival.

    ``shape`` holds fixed lengths or names; equal names within one message must have equal
    lengths, none above ``longest``; nor are ``groups`` and ``samples`` of a client's summary more
    than the samples it has. Values must be finite and within ``low``..``high``.
    """

    dtype: str
    shape: tuple[int | str, ...]
    low: float = -np.inf
    high: float = np.inf
    longest: int = 1_000_000


Schema = Mapping[str, ArraySpec]
Memory = dict[str, Array]
State = dict[str, Array]


ClientHalf = Callable[
    [Signals, Arrays, Memory, np.random.Generator], tuple[dict[str, Array], Memory]
]
ServerHalf = Callable[
    [State, Mapping[int, Arrays], int | None, np.random.Generator],
    tuple[State, dict[int, dict[str, Array]]],
]


@dataclass(frozen=True)
class Exchange:
    """One exchange of a selection method: every client speaks, the server answers.

    Attributes
    ----------
    client : callable
        ``(signals, received, memory, rng) -> (summary, memory)``; ``received`` is the
        server's previous reply (in the first exchange the round's ``stage``, where the
        schedule names one) and the memory stays on the client.
    server : callable
        ``(state, {client: summary}, budget, rng) -> (state, {client: reply})``; the state
        stays on the server, and holds the round's ``stage`` likewise. ``budget`` is the
        number of samples to select from these clients together, or None if the method is
        to decide.
    summary, reply : mapping of str to ArraySpec
        What may travel up and down.
    """

    client: ClientHalf
    server: ServerHalf
    summary: Schema
    reply: Schema


@dataclass(frozen=True)
class Schedule:
    """What a method does in a round: choose anew or keep the coresets, and who takes part.

    ``stage`` is for a method with exchanges whose rounds belong to stages: which stage the
    round is of, from 1, and how many there are. Both halves are handed it, as ``stage`` (int64,
    shape (2,)); where they are not, all rounds are of one stage.
    """

    action: Literal["choose", "keep"] = "choose"
    clients: Literal["sampled", "all"] = "sampled"
    stage: tuple[int, int] | None = None


SignalModel = Literal["tuned", "base", "proxy", "scorer", "knowledge"]
"""What samples are read with: the model being tuned; the same without its adapter (or a proxy,
where one is named); a small frozen proxy; a frozen model that judges samples; or the base (or
proxy) that reads each sample with public knowledge in front of it."""


class SelectionMethod(Protocol):
    """A way to choose coresets: a frozen dataclass of its options, both halves in one file.

    What most methods share has a default here: no signals, no exchanges, a fresh choice
    in every round. A method without exchanges is purely local: it gets its client's share
    of the budget, by size, as ``received["quota"]`` (absent without a budget).
    """

    @property
    def private(self) -> bool:
        """False if per-sample numbers leave a client; such a method refuses deployment."""
        return True

    @property
    def described_group(self) -> int | None:
        """The smallest group of samples of which numbers leave a client; None if none do.

        What the number of a client's samples alone decides describes none. A method with
        exchanges that does not say otherwise may describe single samples.
        """
        return 1 if self.steps else None

    @property
    def noise(self) -> float:
        """The variance of the noise on what describes groups."""
        return 0.0

    @property
    @abstractmethod
    def budget(self) -> Literal["required", "optional", "ignored"]:
        """Whether the method can do without a number of samples to select."""

    @property
    def signal_model(self) -> SignalModel:
        """What its signals are read with, where `needs` does not say otherwise."""
        return "tuned"

    @property
    def steps(self) -> tuple[Exchange, ...]:
        """The exchanges before the choice, in order."""
        return ()

    def needs(self) -> tuple[str, ...]:
        """Name the signals that the client's half reads: ``NAME``, or ``MODEL/NAME``."""
        return ()

    def reads(self) -> dict[str, tuple[SignalModel, str]]:
        """Say of each of `needs` which model reads it, and the signal's own name."""
        parted = ((need, *need.rpartition("/")) for need in self.needs())
        return {
            need: (cast(SignalModel, model) or self.signal_model, name)
            for need, model, _, name in parted
        }

    def check_layers(self, layers: int) -> None:
        """Refuse options that a model of so many layers cannot serve.

        Raises
        ------
        ValueError
            Naming the option.
        """

    def unused(self) -> tuple[str, ...]:
        """Name the options that are set but that others leave without effect."""
        return ()

    def schedule(self, round: int, rounds: int) -> Schedule:
        """Say what happens in ``round`` (from 1) of ``rounds``."""
        return Schedule()

    def held(self, samples: int) -> int:
        """Say how many of a client's samples it chooses among: by these a budget is divided."""
        return samples

    @abstractmethod
    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Choose the client's samples from the server's last reply."""

    def remarks(self, state: State) -> tuple[str, ...]:
        """Tell in sentences what a person should know of the round's choice."""
        return ()


@runtime_checkable
class GroupingMethod(SelectionMethod, Protocol):
    """A selection method that puts a client's samples into groups and chooses by these."""

    @abstractmethod
    def labels(self, memory: Memory, samples: int) -> Array:
        """Return each sample's group from the client's memory, int64; -1 for none."""


class Aggregation(Protocol):
    """A way to merge the clients' adapters: a frozen dataclass of its options."""

    injected: ClassVar[bool] = False
    """Whether it is for adapters inside the layers (LoRA) only."""
    holds: ClassVar[Literal["one adapter", "all adapters"]] = "all adapters"
    """What it has in memory at a time: each as it comes, or a round's together (as a median)."""

    @abstractmethod
    def aggregate(self, trained: Iterable[tuple[Arrays, int]]) -> dict[str, Array]:
        """Merge a round's adapters.

        Parameters
        ----------
        trained : iterable of (mapping of str to ndarray of float32, int)
            Each client's adapter with the samples it was trained on, by client ascending
            whatever the order they arrived in; to be read once.

        Returns
        -------
        dict of str to ndarray of float32
            The same names and shapes.

        Raises
        ------
        ValueError
            If there is none.
        """
        ...


class Codec(Protocol):
    """A way to write an adapter for the wire: a frozen dataclass, pure arrays on both sides."""

    exact: ClassVar[bool] = False
    """Whether every bit comes back; where not, clients send what tuning changed."""

    @abstractmethod
    def schema(self, adapter: Arrays) -> Schema:
        """Say what ``adapter`` may be encoded as: nothing that is not finite when decoded.

        All lengths are numbers, so that both sides know where each array stands.
        """

    @abstractmethod
    def encode(self, arrays: Arrays) -> dict[str, Array]:
        """Write arrays of float32 in fewer bytes, without chance.

        What is not finite must become what the schema refuses.
        """

    @abstractmethod
    def decode(self, encoded: Arrays) -> dict[str, Array]:
        """Return arrays of float32 of the names and shapes that were encoded."""


class Adapter(Protocol):
    """A kind of adapter: a frozen dataclass of its options, one file in ``adapters/``."""

    injected: ClassVar[bool]
    """Whether it lives inside the base model's layers (LoRA) or in front of the prompt."""
    checkpointing: ClassVar[bool]
    """Whether it can be trained with gradient checkpointing."""

    @property
    def virtual_tokens(self) -> int:
        """How many of the model's positions it takes before the prompt."""
        ...

    def peft_config(self, base: Any) -> Any:
        """Return peft's configuration of the adapter for the model ``base``."""
        ...


class Partition(Protocol):
    """A way to spread examples over clients: a frozen dataclass of its options."""

    def split(self, examples: Sequence[Example], seed: int) -> list[tuple[str, list[int]]]:
        """Return each client's name and the positions of its examples, ascending."""
        ...


# --- tracking -------------------------------------------------------------------------------

Setting = str | int | float | bool | None


class TrackedRun(Protocol):
    """One run as a tracker keeps it."""

    @property
    def logged(self) -> int:
        """The last round that the tracker had when the run was opened; 0 for none."""
        ...

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Keep the numbers that came with round ``step``; names may have one slash."""
        ...

    def close(self, finished: bool) -> None:
        """Keep no more; ``finished`` is False where the run failed or was interrupted."""
        ...


class Tracker(Protocol):
    """Where a run's numbers go besides its folder: a frozen dataclass of its options.

    It is handed numbers and settings alone, so that it has no data it could let out. What
    it raises once the run has begun is warned of; the run goes on.
    """

    def check(self) -> None:
        """Raise an error if it cannot be used here; nothing of the run is written yet."""

    @abstractmethod
    def open(
        self, name: str, folder: Path, settings: Mapping[str, Setting], finished: int
    ) -> TrackedRun:
        """Begin a run, or go on with it.

        Parameters
        ----------
        name : str
            What to call the run.
        folder : Path
            Where the tracker may keep files of its own; it need not exist yet.
        settings : mapping of str to Setting
            The experiment's settings by their dotted names.
        finished : int
            How many rounds a resumed run has behind it.
        """
