"""The experiment's configuration: YAML in, dotted overrides, one clear sentence per mistake.

The only place that knows YAML. Every stage takes plain parameters; this module checks
them and hands them on. Paths are relative to the current folder.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from fedhds import registry
from fedhds.tuning.options import TuningOptions
from fedhds.types import (
    Adapter,
    Aggregation,
    Partition,
    Preset,
    SelectionMethod,
    Tracker,
    UserError,
)

T = TypeVar("T")


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


class ModelConfig(Section):
    """The base model: a folder, a hub id, or ``embedded`` for the tiny Llama in the package.

    ``proxy`` is a small model (named in the same way) that is never tuned and only reads the
    samples, for methods that choose with one. ``dtype`` auto is bfloat16 on CUDA and float32
    elsewhere; ``threads`` null is all cores.
    ``quantization`` holds the base in so many bits a weight (CUDA and bitsandbytes only).
    """

    name: str = "embedded"
    revision: str | None = None
    proxy: str | None = None
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    quantization: Literal["4bit", "8bit"] | None = None
    device: str = "auto"
    threads: Annotated[int, Field(ge=1)] | None = None
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


class SelectionConfig(MethodSection):
    """Which samples are tuned on; ``samples`` (over a round's clients) or ``share`` budgets."""

    method: str = "fedhds"
    samples: Annotated[int, Field(ge=1)] | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = None


class FederationConfig(Section):
    """The rounds: how many, what share of the clients takes part in each, on which engine.

    ``client_cpus`` and ``client_gpus`` are what each client takes of this machine on the
    engine ``simulation``, and so how many run side by side; a client without a GPU of its
    own needs ``model.device`` cpu. Where ``model.threads`` is null, a client computes with
    as many threads as it has whole CPUs.
    """

    engine: Literal["in-process", "simulation"] = "in-process"
    rounds: int = Field(10, ge=1)
    fraction: float = Field(0.05, gt=0, le=1)
    client_cpus: float = Field(1.0, ge=0.01)
    client_gpus: float = Field(0.0, ge=0)


class AggregationConfig(MethodSection):
    """How the clients' adapters become one."""

    method: str = "fedavg"


class EvaluationConfig(Section):
    """Rouge-L and loss before and after, and every ``every`` rounds (0: not between).

    ``per_task`` caps the samples of an unseen task (null: all). ``validation`` is the share
    each client holds out; each evaluation asks the same ``clients`` clients (null: all).
    ``patience`` stops after so many evaluations without a better validation loss.
    """

    every: int = Field(0, ge=0)
    per_task: Annotated[int, Field(ge=1)] | None = 20
    max_new_tokens: int = Field(128, ge=1)
    batch_size: int = Field(16, ge=1)
    validation: float = Field(0.05, ge=0, le=0.5)
    clients: Annotated[int, Field(ge=1)] | None = 20
    patience: Annotated[int, Field(ge=1)] | None = None


def _tuning_options(given: Any) -> TuningOptions:
    return given if isinstance(given, TuningOptions) else build(TuningOptions, given, "tuning")


def _trackers(given: Any) -> dict[str, Tracker]:
    if not isinstance(given, Mapping):
        raise UserError(_no_mapping("tracking", given))
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
        """The selection method with its options."""
        method: SelectionMethod = _method(
            "selection", self.selection.method, self.selection.options
        )
        return method

    @property
    def proxy(self) -> str | None:
        """The proxy's name, if the selection reads with one."""
        return self.model.proxy if self.selection_method.signal_model == "proxy" else None

    @property
    def data_preset(self) -> Preset:
        """The format of the data, with the keys of ``data`` that it has a field for."""
        name = self.data.preset or ("p3" if self.data.train else "toy")
        preset: Preset = _method("preset", name, self.data.model_dump())
        return preset

    @property
    def adapter_method(self) -> Adapter:
        """The adapter with its options."""
        adapter: Adapter = _method("adapter", self.adapter.kind, self.adapter.options)
        return adapter

    @property
    def partition_method(self) -> Partition:
        """The partition with its options."""
        partition: Partition = _method("partition", self.partition.kind, self.partition.options)
        return partition

    @property
    def aggregation_method(self) -> Aggregation:
        """The aggregation method with its options."""
        aggregation: Aggregation = _method(
            "aggregation", self.aggregation.method, self.aggregation.options
        )
        return aggregation

    def resolved(self) -> dict[str, Any]:
        """Return every key with its value, the methods' defaults filled in."""
        plain = self.model_dump(mode="json")
        plain["adapter"] |= dataclasses.asdict(self.adapter_method)  # type: ignore[call-overload]
        plain["selection"] |= dataclasses.asdict(self.selection_method)  # type: ignore[call-overload]
        plain["partition"] |= dataclasses.asdict(self.partition_method)  # type: ignore[call-overload]
        plain["aggregation"] |= dataclasses.asdict(self.aggregation_method)  # type: ignore[call-overload]
        return plain

    def to_yaml(self) -> str:
        """Write it as YAML that `load` reads as the same configuration."""
        plain = self.resolved()
        text: str = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
        return text

    def notices(self) -> list[str]:
        """Name the keys that are set but that the chosen methods do not use."""
        unused = []
        for kind in METHOD_KINDS:
            part: MethodSection = getattr(self, kind)
            name = _name(part)
            known = _fields(registry.load(kind, name))
            unused += [
                f"{kind}.{key} is not an option of '{name}' and is not used"
                for key in part.options
                if key not in known
            ]
        if self.selection_method.budget == "ignored" and self._budget_key:
            unused.append(f"{self._budget_key} is not used: '{self.selection.method}' takes all")
        if self.model.proxy != self.proxy:
            unused.append(f"model.proxy is not used: '{self.selection.method}' reads with none")
        if self.federation.engine == "in-process":
            unused += [
                f"federation.{key} is not used: it is of federation.engine 'simulation'"
                for key in ("client_cpus", "client_gpus")
                if getattr(self.federation, key) != FederationConfig.model_fields[key].default
            ]
        evaluation = self.evaluation
        if evaluation.patience is not None and not (evaluation.every and evaluation.validation):
            unused.append(
                "evaluation.patience is not used: it needs evaluation.every and "
                "evaluation.validation above 0"
            )
        return unused

    @property
    def _budget_key(self) -> str | None:
        keys = [key for key in ("samples", "share") if getattr(self.selection, key) is not None]
        return f"selection.{keys[0]}" if keys else None


METHOD_KINDS = ("adapter", "partition", "selection", "aggregation")
"""The kinds of methods; each is named in the section of the same name."""


def load(source: str | Path | Mapping[str, Any] | None, overrides: Iterable[str] = ()) -> Config:
    """Read a configuration and check it whole.

    Parameters
    ----------
    source : path, mapping or None
        A YAML file, the same as a mapping, or None for the defaults.
    overrides : iterable of str
        ``key.key=value``, the value in YAML.

    Raises
    ------
    UserError
        For the first mistake, naming its key.
    """
    plain = dict(source) if isinstance(source, Mapping) else read_yaml(source)
    for override in overrides:
        _override(plain, override)
    return parse(plain)


def parse(plain: Mapping[str, Any]) -> Config:
    """Check a configuration given as nested mappings (errors as in `load`)."""
    try:
        config = Config.model_validate(plain)
    except ValidationError as error:
        raise UserError(_sentence(error, Config, "")) from error
    _check(config)
    # with the methods' defaults filled in, it is equal to what it is written as
    return Config.model_validate(config.resolved())


def read_yaml(path: str | Path | None) -> dict[str, Any]:
    """Read a YAML file that holds one mapping; None gives an empty one."""
    if path is None:
        return {}
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"there is no config file '{path}'") from error
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the config file '{path}': {error}") from error
    plain = _from_yaml(text, f"{path}:")
    if plain is not None and not isinstance(plain, dict):
        raise UserError(f"{path}: a config is a mapping of sections, not a {type(plain).__name__}")
    return plain or {}


def build(cls: type[T], given: Any, section: str) -> T:
    """Build a frozen dataclass of options from a mapping (errors as in `load`)."""
    if not isinstance(given, Mapping):
        raise UserError(_no_mapping(section, given))
    unknown = [key for key in given if key not in _fields(cls)]
    if unknown:
        raise UserError(_unknown(unknown[0], _fields(cls), section))
    values = {key: _option(cls, key, value, section) for key, value in given.items()}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        without = field.default is field.default_factory is dataclasses.MISSING
        if without and field.name not in values:
            raise UserError(f"{section}.{field.name} has no default and must be set")
    try:
        return cls(**values)
    except ValueError as error:
        raise UserError(f"{section}.{error}") from error


def _option(cls: type[Any], key: str, value: Any, section: str) -> Any:
    """Check the type of one option of a dataclass."""
    kind = get_type_hints(cls)[key]
    try:
        return TypeAdapter(kind, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError as error:
        raise UserError(_sentence(error, cls, f"{section}.{key}")) from error


def _check(config: Config) -> None:
    """Check what concerns several keys at once, the options of methods included."""
    for kind in METHOD_KINDS:
        part: MethodSection = getattr(config, kind)
        try:
            cls = registry.load(kind, _name(part))
        except UserError as error:
            raise UserError(f"{kind}.{_name_key(part)}: {error}") from error
        others = registry.names(kind) if part.options else ()
        classes = (*(registry.load(kind, name) for name in others), cls)
        owners = {field: owner for owner in classes for field in _fields(owner)}
        for option, value in part.options.items():
            if option not in owners:
                known = [*type(part).model_fields, *_fields(cls)]
                raise UserError(_unknown(option, known, kind))
            _option(owners[option], option, value, kind)
    method, selection = config.selection_method, config.selection
    adapter, _ = config.adapter_method, (config.partition_method, config.aggregation_method)
    if config.tuning.gradient_checkpointing and not adapter.checkpointing:
        raise UserError(
            f"tuning.gradient_checkpointing does not work with adapter.kind '{config.adapter.kind}'"
        )
    if selection.samples is not None and selection.share is not None:
        raise UserError("selection.samples and selection.share are two budgets: give one of them")
    if method.budget == "required" and config._budget_key is None:
        raise UserError(
            f"selection.method '{selection.method}' needs a budget: "
            "set selection.samples or selection.share"
        )
    if method.signal_model == "proxy" and config.model.proxy is None:
        raise UserError(
            f"selection.method '{selection.method}' reads the samples with a small frozen "
            "model: set model.proxy"
        )
    _check_data(config)


def _check_data(config: Config) -> None:
    """Check that the preset goes with where the data come from."""
    data = config.data
    try:
        preset = config.data_preset
    except UserError as error:
        raise UserError(f"data.preset: {error}") from error
    if preset.generated and data.train is not None:
        raise UserError(f"data.preset '{data.preset}' is generated, so it goes without data.train")
    if not preset.generated and data.train is None:
        raise UserError(
            f"data.preset '{data.preset}' needs data.train, a file, a folder or a hub data set"
        )
    for key, given in (("eval", data.eval), ("holdout", data.holdout)):
        if preset.brings_unseen and given:
            problem = "needs data.train" if preset.generated else "must not be given"
            raise UserError(
                f"data.{key} {problem}: the preset '{data.preset or 'toy'}' brings its own "
                "unseen tasks"
            )
    if data.eval and data.holdout:
        raise UserError("data.eval and data.holdout both name unseen tasks: give one of them")


def _method(kind: str, name: str, options: Mapping[str, Any]) -> Any:
    cls = registry.load(kind, name)
    own = {key: value for key, value in options.items() if key in _fields(cls)}
    return build(cls, own, kind)


def _name(part: MethodSection) -> str:
    return str(getattr(part, _name_key(part)))


def _name_key(part: MethodSection) -> str:
    return "kind" if "kind" in type(part).model_fields else "method"


def _fields(cls: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def _override(plain: dict[str, Any], override: str) -> None:
    """Set one ``key.key=value`` in nested mappings."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {override!r}: write it as key.key=value")
    value = _from_yaml(text, f"--set {override!r}: the value is")
    *parents, last = key.strip().split(".")
    for parent in parents:
        below = plain.get(parent)
        plain[parent] = dict(below) if isinstance(below, Mapping) else {}
        plain = plain[parent]
    plain[last] = value


def _sentence(error: ValidationError, cls: type[Any], section: str) -> str:
    """Put the first of pydantic's errors into one sentence that names the key."""
    first = error.errors()[0]
    problem, expected = first["type"], first.get("ctx", {}).get("expected", "")
    parts = _place(first)
    key = ".".join([section, *parts] if section else parts)
    if parts[-1:] == ["[key]"]:
        return _unknown(parts[-2], re.findall(r"'(\w+)'", expected), ".".join(parts[:-2]))
    if problem in ("extra_forbidden", "invalid_key"):
        model = cls
        for part in parts[:-1]:
            model = model.model_fields[part].annotation
        return _unknown(parts[-1], list(model.model_fields), ".".join(parts[:-1]))
    if problem == "model_type":
        return _no_mapping(key, first["input"])
    # a value of several possible kinds gives one error for each
    wishes = (str(e["msg"]) for e in error.errors() if _place(e) == parts)
    messages = dict.fromkeys(re.sub(r"^\w+ (?=should)", "", wish) for wish in wishes)
    return f"{key} {' or '.join(messages)} (it is {reprlib.repr(first['input'])})"


def _place(problem: ErrorDetails) -> list[str]:
    """Return the keys that lead to an error, without pydantic's names of possible kinds."""
    parts = map(str, problem["loc"])
    return [part for part in parts if not re.match(r"constrained-|literal\[|list\[", part)]


def _no_mapping(section: str, given: Any) -> str:
    return f"{section} must be a mapping of its keys, not {reprlib.repr(given)}"


def _unknown(key: str, known: list[str], section: str) -> str:
    """Say that a key is unknown and which one may have been meant."""
    prefix = f"{section}." if section else ""
    near = difflib.get_close_matches(str(key), known, n=1)
    hint = f"did you mean '{prefix}{near[0]}'?" if near else f"there are: {', '.join(known)}"
    return f"unknown key {f'{prefix}{key}'!r}; {hint}"


def _from_yaml(text: str, what: str) -> Any:
    """Read YAML, naming ``what`` it is where it is none."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise UserError(f"{what} not valid YAML: {problem}{line}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a 13th month
        problem = str(error).splitlines()[0]
        raise UserError(f"{what} not valid YAML: {problem}") from error


class _Loader(yaml.SafeLoader):
    """YAML 1.1 with two repairs: 3e-4 is a number, and a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: list[Any] = []
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' stands twice", key_node.start_mark
                )
            seen.append(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Writes what `_Loader` reads: a text that looks like a number is quoted."""


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\d[\d_]*)(\.[\d_]*)?[eE][-+]?\d+$"),
        list("-+0123456789"),
    )
