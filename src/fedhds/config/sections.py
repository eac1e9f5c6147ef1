"""The sections of a configuration, their keys and defaults: every key there is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from fedhds import registry
from fedhds.config.options import build, build_method, fields_of, no_mapping, unknown_key
from fedhds.config.text import to_yaml
from fedhds.selection._composition import Filtered, Within
from fedhds.tuning.options import TuningOptions
from fedhds.types import (
    Adapter,
    Aggregation,
    Codec,
    Partition,
    Preset,
    SelectionMethod,
    SignalModel,
    Tracker,
    UserError,
)


class Section(BaseModel):
    """A part of the configuration: immutable, strictly typed, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MethodSection(Section):
    """A part that names a method; further keys are that method's options."""

    model_config = ConfigDict(extra="allow")

    @property
    def options(self) -> dict[str, Any]:
        """The keys beyond the section's own."""
        return dict(self.model_extra or {})


Dtype = Literal["auto", "float32", "float16", "bfloat16"]


class ModelConfig(Section):
    """The base model: a folder, a hub id, or ``embedded`` for the tiny Llama in the package.

    ``proxy`` is a small model (named in the same way) that is never tuned and only reads the
    samples, for methods that choose with one or, in its place, with the untuned base. ``scorer``
    is one that judges samples, with or without an encoder, for methods that ask one. ``dtype``
    auto is bfloat16 on CUDA and float32 elsewhere; ``proxy_dtype`` null is the same. ``threads``
    null is all cores.
    ``quantization`` holds the base in so many bits a weight (CUDA and bitsandbytes only).
    """

    name: str = "embedded"
    revision: str | None = None
    proxy: str | None = None
    scorer: str | None = None
    dtype: Dtype = "auto"
    proxy_dtype: Dtype | None = None
    quantization: Literal["4bit", "8bit"] | None = None
    device: str = "auto"
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    trust_remote_code: bool = False


class AdapterConfig(MethodSection):
    """What is trained in place of the base model; further keys are the kind's options."""

    kind: str = "lora"


class DataConfig(Section):
    """Where the instruction data comes from and how it is put to the model.

    ``train`` and ``eval`` are files, folders or ``hub:OWNER/NAME[/CONFIG][@REVISION][:SPLIT]``;
    without ``train`` it is the embedded toy federation. ``preset`` is the format (null: the
    columns as named here); ``columns`` go before its own. ``holdout`` names tasks to hold out
    as unseen ones where there is no ``eval``. ``max_length`` null is 1024 tokens, or as many
    as the model has positions for. ``per_client`` caps a client's samples; ``duplicates`` and
    ``corrupted`` are shares of noise to add for experiments.
    """

    train: str | None = None
    eval: str | None = None
    preset: str | None = None
    columns: dict[Literal["instruction", "input", "output", "task"], str] = {}
    holdout: list[str] = []
    prompt: Literal["alpaca", "alpaca-input", "plain", "chat"] = "alpaca"
    max_length: Annotated[int, Field(ge=8)] | None = None
    per_client: Annotated[int, Field(ge=1)] | None = None
    duplicates: float = Field(0.0, ge=0, le=1)
    corrupted: float = Field(0.0, ge=0, le=1)
    toy_samples: int = Field(40, ge=1)


class PartitionConfig(MethodSection):
    """How examples are spread over clients; further keys are the kind's options."""

    kind: str = "task"


class InnerSection(MethodSection):
    """A selection method that chooses inside another one's groups; further keys are its options."""

    method: str


class FilterSection(InnerSection):
    """A selection method that keeps a share of each client's samples for another one."""

    keep: float = Field(0.5, gt=0, lt=1)


class SelectionConfig(MethodSection):
    """Which samples are tuned on; ``samples`` (over a round's clients) or ``share`` budgets.

    ``filter`` is a method that goes first and keeps a share of each client's samples, ``within``
    one that chooses inside the groups of ``method``; each with its own options. ``knowledge`` is
    a file of public examples or paragraphs, for methods that read with such.
    """

    method: str = "fedhds"
    samples: Annotated[int, Field(ge=1)] | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    filter: FilterSection | None = None
    within: InnerSection | None = None
    knowledge: Annotated[str, Field(min_length=1)] | None = None


SITE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""What a site may be called: it stands as it is in sentences that travel."""


class FederationConfig(Section):
    """The rounds: how many, what share of the clients takes part in each, on which engine.

    ``codec`` is what adapters are written as on the wire: ``float32``, ``bfloat16``, ``int8``.
    ``deadline`` is how many seconds clients have for a message of a round (null: as many as they
    take); a later answer is dropped. ``quorum`` is the share of a round's planned clients that
    must get through it, at least one: with fewer the round is played once more, and then the run
    ends. ``over_sampling`` is the share of further clients that are asked in each round, beyond
    ``fraction``, so that enough are left when some drop out; whoever answers counts.
    ``client_cpus`` and ``client_gpus`` are what each client takes of this machine on the
    engine ``simulation``, and so how many run side by side; a client without a GPU of its
    own needs ``model.device`` cpu. Where ``model.threads`` is null, a client computes with
    as many threads as it has whole CPUs.
    On the engine ``deployment`` the clients are the ``sites``, by their names, which all must
    be there within ``wait`` seconds for the run to begin. ``superlink`` is the address of
    Flower's SuperLink, and ``certificate`` the file to know it by (null: it speaks plain text).
    """

    engine: Literal["in-process", "simulation", "deployment"] = "in-process"
    rounds: int = Field(10, ge=1)
    fraction: float = Field(0.05, gt=0, le=1)
    codec: str = "float32"
    deadline: Annotated[float, Field(gt=0)] | None = None
    quorum: float = Field(0.0, ge=0, le=1)
    over_sampling: float = Field(0.0, ge=0, le=10)
    client_cpus: float = Field(1.0, ge=0.01)
    client_gpus: float = Field(0.0, ge=0)
    sites: list[str] = []
    wait: float = Field(600.0, gt=0)
    superlink: str = "127.0.0.1:8000"
    certificate: str | None = None


class AggregationConfig(MethodSection):
    """How the clients' adapters become one."""

    method: str = "fedavg"


class EvaluationConfig(Section):
    """Rouge-L and loss before and after, and every ``every`` rounds (0: not between).

    ``per_task`` caps the samples of an unseen task (null: all). ``validation`` is the share
    each client holds out; each evaluation asks the same ``clients`` clients (null: all).
    ``batch_size`` is how many answers are written side by side, and the most samples of a
    forward pass where a model only reads.
    ``patience`` stops after so many evaluations without a better validation loss.
    """

    every: int = Field(0, ge=0)
    per_task: Annotated[int, Field(ge=1)] | None = 20
    max_new_tokens: int = Field(128, ge=1)
    batch_size: int = Field(32, ge=1)
    validation: float = Field(0.05, ge=0, le=0.5)
    clients: Annotated[int, Field(ge=1)] | None = 20
    patience: Annotated[int, Field(ge=1)] | None = None


def _tuning_options(given: Any) -> TuningOptions:
    return given if isinstance(given, TuningOptions) else build(TuningOptions, given, "tuning")


def _trackers(given: Any) -> dict[str, Tracker]:
    if not isinstance(given, Mapping):
        raise UserError(no_mapping("tracking", given))
    return {str(name): _tracker(str(name), options) for name, options in given.items()}


def _tracker(name: str, given: Any) -> Tracker:
    try:
        cls = registry.load("tracker", name)
    except UserError as error:
        raise UserError(f"tracking: {error}") from error
    built = given if isinstance(given, cls) else build(cls, given, f"tracking.{name}")
    tracker: Tracker = built
    return tracker


class Config(Section):
    """One experiment.

    ``tracking`` maps names of trackers to their options: ``{tensorboard: {}}``.
    """

    model: ModelConfig = ModelConfig()
    adapter: AdapterConfig = AdapterConfig()
    data: DataConfig = DataConfig()
    partition: PartitionConfig = PartitionConfig()
    selection: SelectionConfig = SelectionConfig()
    federation: FederationConfig = FederationConfig()
    tuning: Annotated[TuningOptions, BeforeValidator(_tuning_options)] = TuningOptions()
    aggregation: AggregationConfig = AggregationConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    tracking: Annotated[dict[str, Any], BeforeValidator(_trackers)] = {}
    seed: int = Field(0, ge=0)

    @property
    def selection_method(self) -> SelectionMethod:
        """The selection method with its options, and what goes before it and inside it."""
        method, section = self._own_selection, self.selection
        if section.within is not None:
            method = _composed("within", Within, _inner("within", section.within), method)
        if section.filter is not None:
            inner = _inner("filter", section.filter)
            method = _composed("filter", Filtered, inner, method, section.filter.keep)
        return method

    @property
    def _own_selection(self) -> SelectionMethod:
        method: SelectionMethod = build_method(
            "selection", self.selection.method, self.selection.options
        )
        return method

    @property
    def selection_name(self) -> str:
        """The method's name, and those of what goes before it and inside it."""
        section = self.selection
        parts = (("filter", section.filter), ("within", section.within))
        inner = ", ".join(f"{key} {part.method}" for key, part in parts if part is not None)
        return f"{section.method} ({inner})" if inner else section.method

    @property
    def reads(self) -> frozenset[SignalModel]:
        """What the selection reads its signals with."""
        return frozenset(model for model, _ in self.selection_method.reads().values())

    @property
    def proxy(self) -> str | None:
        """The proxy's name, if the selection reads with one."""
        return self.model.proxy if self.reads & {"proxy", "base", "knowledge"} else None

    @property
    def scorer(self) -> str | None:
        """The scorer's name, if the selection asks one."""
        return self.model.scorer if "scorer" in self.reads else None

    @property
    def data_preset(self) -> Preset:
        """The format of the data, with the keys of ``data`` that it has a field for."""
        own = self.data.train is not None or self.federation.engine == "deployment"
        name = self.data.preset or ("p3" if own else "toy")
        preset: Preset = build_method("preset", name, self.data.model_dump())
        return preset

    @property
    def adapter_method(self) -> Adapter:
        """The adapter with its options."""
        adapter: Adapter = build_method("adapter", self.adapter.kind, self.adapter.options)
        return adapter

    @property
    def partition_method(self) -> Partition:
        """The partition with its options."""
        partition: Partition = build_method(
            "partition", self.partition.kind, self.partition.options
        )
        return partition

    @property
    def aggregation_method(self) -> Aggregation:
        """The aggregation method with its options."""
        aggregation: Aggregation = build_method(
            "aggregation", self.aggregation.method, self.aggregation.options
        )
        return aggregation

    @property
    def codec_method(self) -> Codec:
        """What adapters are written as on the wire."""
        codec: Codec = build_method("codec", self.federation.codec, {})
        return codec

    def resolved(self) -> dict[str, Any]:
        """Return every key with its value, the methods' defaults filled in."""
        plain = self.model_dump(mode="json")
        plain["adapter"] |= dataclasses.asdict(self.adapter_method)  # type: ignore[call-overload]
        plain["selection"] |= dataclasses.asdict(self._own_selection)  # type: ignore[call-overload]
        for key in ("filter", "within"):
            if (part := getattr(self.selection, key)) is not None:
                plain["selection"][key] |= dataclasses.asdict(_inner(key, part))  # type: ignore[call-overload]
        plain["partition"] |= dataclasses.asdict(self.partition_method)  # type: ignore[call-overload]
        plain["aggregation"] |= dataclasses.asdict(self.aggregation_method)  # type: ignore[call-overload]
        return plain

    def to_yaml(self) -> str:
        """Write it as YAML that `load` reads as the same configuration."""
        return to_yaml(self.resolved())

    @property
    def budget_key(self) -> str | None:
        """The key that says the budget, if one does."""
        keys = [key for key in ("samples", "share") if getattr(self.selection, key) is not None]
        return f"selection.{keys[0]}" if keys else None


def _inner(key: str, part: InnerSection) -> SelectionMethod:
    """Build the method that goes before another one or inside it."""
    section = f"selection.{key}"
    try:
        cls = registry.load("selection", part.method)
    except UserError as error:
        raise UserError(f"{section}.method: {error}") from error
    own, known = type(part).model_fields, fields_of(cls)
    if unknown := [option for option in part.options if option not in known]:
        raise UserError(unknown_key(unknown[0], [*own, *known], section))
    shared = {name: getattr(part, name) for name in own if name in known}  # feddqc's keep
    method: SelectionMethod = build(cls, part.options | shared, section)
    return method


def _composed(key: str, cls: Callable[..., SelectionMethod], *parts: Any) -> SelectionMethod:
    try:
        return cls(*parts)
    except ValueError as error:
        raise UserError(f"selection.{key}: {error}") from error


METHOD_KINDS = ("adapter", "partition", "selection", "aggregation")
"""The kinds of methods; each is named in the section of the same name."""


def method_name(part: MethodSection) -> str:
    """Return the name of the method that a section names."""
    return str(getattr(part, name_key(part)))


def name_key(part: MethodSection) -> str:
    """Return the key under which a section names its method."""
    return "kind" if "kind" in type(part).model_fields else "method"
