"""From a configuration to data and model in memory; every mistake in them is found here.

Nothing is written: a run folder is made only after all of this went well.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from itertools import chain

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from fedhds import signals
from fedhds.config import Config, notices
from fedhds.data import skew
from fedhds.data.clients import build_clients
from fedhds.data.loading import counts, load_examples
from fedhds.data.prompts import encode_all
from fedhds.evaluation.scores import choose
from fedhds.models import LanguageModel, add_adapter, positions, set_threads, vocabulary
from fedhds.pretrained import Pretrained, load_base, load_config, load_tokenizer
from fedhds.readings import DEFAULT_MAX_LENGTH, ByClient, Readings, base_source, read_frozen
from fedhds.signals import Reader
from fedhds.types import ClientData, Example, Progress, Sample, SignalModel, UserError

Models = dict[Pretrained | None, LanguageModel]
"""Models by where they come from; None is the base of the tuned one."""


@dataclass(frozen=True)
class FederationData:
    """The clients' data and the unseen tasks, with what happened on the way to them."""

    clients: list[ClientData]
    unseen: list[Sample]
    dropped: dict[str, int]
    noted: dict[str, int]
    skew: dict[str, float | int]
    warnings: list[str]

    @property
    def fingerprint(self) -> str:
        """A digest of all tokens on all clients, to tell whether a resumed run's data changed."""
        digest = sha256()
        for samples in (*((*c.train, None, *c.validation) for c in self.clients), self.unseen):
            tokens = [sample and (sample.prompt, sample.response) for sample in samples]
            digest.update(repr(tokens).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class Inputs:
    """What the models of an experiment are given; ``readings`` by what the selection reads with."""

    tokenizer: PreTrainedTokenizerBase
    data: FederationData
    readings: Mapping[SignalModel, Readings] = field(default_factory=dict)

    def models(self, config: Config, load: Callable[[Pretrained], PreTrainedModel]) -> Models:
        """Load the base of the tuned model, under None, and what reads frozen, by its source."""
        base = load(base_source(config))
        found: Models = {None: LanguageModel(base, self.tokenizer, base.device)}
        for readings in self.readings.values():
            if readings.source is not None and readings.source not in found:
                model = load(readings.source)
                found[readings.source] = LanguageModel(model, readings.tokenizer, model.device)
        return found


@dataclass(frozen=True)
class Experiment:
    """A checked configuration with its data and its models in memory.

    ``frozen`` holds what the selection reads with that never changes, and each client's
    training samples as that reads them.
    """

    config: Config
    data: FederationData
    model: LanguageModel
    frozen: Mapping[SignalModel, tuple[LanguageModel, ByClient]] = field(default_factory=dict)

    @property
    def knowledge(self) -> str | None:
        """A digest of what is read with public knowledge in front, if anything is."""
        if "knowledge" not in self.frozen:
            return None
        _, clients = self.frozen["knowledge"]
        prompts = [sample.prompt for samples in clients for sample in samples]
        return sha256(repr(prompts).encode()).hexdigest()

    @property
    def unseen(self) -> list[Sample]:
        """The unseen samples that this experiment evaluates on."""
        return choose(self.data.unseen, self.config.evaluation.per_task, self.config.seed)

    def readers(self, client: int, progress: Progress) -> dict[SignalModel, Reader]:
        """Return what a client reads its signals with."""
        size, own = self.config.evaluation.batch_size, self.data.clients[client].train
        frozen = {
            name: Reader(model, samples[client], size, True, progress)
            for name, (model, samples) in self.frozen.items()
        }
        return {"tuned": Reader(self.model, own, size, False, progress), **frozen}


@dataclass(frozen=True)
class OwnData:
    """The one client of a deployment that is here: its site's name and its number."""

    site: str
    client: int

    def split(self, examples: Sequence[Example], seed: int) -> list[tuple[str, list[int]]]:
        """Give it all examples: the partition is which site has which."""
        return [(self.site, list(range(len(examples))))]


def prepare(
    config: Config, progress: Progress, selects: bool = True, own: OwnData | None = None
) -> Experiment:
    """Load and check everything an experiment needs, writing nothing (errors as in `run`).

    ``selects`` False leaves out what only a selection needs. In a deployment the server has the
    unseen tasks alone, and a site the data of its ``own`` client alone.
    """
    set_threads(config.model.threads)
    inputs = read_inputs(config, progress, selects, own)
    models = inputs.models(config, load_base)
    check_models(config, inputs, models)
    base = models[None]
    model = add_adapter(base.base, config.adapter_method, config.seed)
    frozen = {name: (models[r.source], r.samples) for name, r in inputs.readings.items()}
    return Experiment(config, inputs.data, replace(base, model=model), frozen)


def read_inputs(
    config: Config, progress: Progress, selects: bool = True, own: OwnData | None = None
) -> Inputs:
    """Load the tokenizers and read the data, telling what is odd (errors as in `run`)."""
    for notice in notices(config):
        progress.say("notice", notice)
    tokenizer = load_tokenizer(base_source(config))
    encode = partial(
        encode_all, prompt=config.data.prompt, tokenizer=tokenizer, max_length=max_length(config)
    )
    data = read_data(config, encode, own)
    for warning in data.warnings:
        progress.say("warning", f"warning: {warning}")
    _tell_data(data, progress)
    reads = selects and bool(data.clients)  # at a deployment's server there is nothing to read
    readings = read_frozen(config, tokenizer, data.clients, progress) if reads else {}
    return Inputs(tokenizer, data, readings)


def check_models(config: Config, inputs: Inputs, models: Models) -> None:
    """Refuse models that do not know their tokenizers' tokens or that signals cannot be read with.

    ``models`` are those of `Inputs.models`; what needs no weights is checked.
    """
    data, base = inputs.data, models[None].base
    held = [sample for client in data.clients for sample in (*client.train, *client.validation)]
    _check_tokens("model.name", [*held, *data.unseen], base)
    _check_keys_and_values("model.name", base)
    readers = [base] if "tuned" in config.reads else []
    for name, readings in inputs.readings.items():
        for model, signal in config.selection_method.reads().values():
            if model == name:
                signals.check(signal, models[readings.source])
        if name == "scorer":  # it is given texts
            continue
        key = readings.source.key if readings.source else "model.name"
        reader = models[readings.source].base
        _check_keys_and_values(key, reader)
        _check_tokens(key, chain.from_iterable(readings.samples), reader)
        readers.append(reader)
    try:
        for layers in {reader.config.get_text_config().num_hidden_layers for reader in readers}:
            config.selection_method.check_layers(layers)
    except ValueError as error:
        raise UserError(f"selection.{error}") from error


def _check_keys_and_values(key: str, base: PreTrainedModel) -> None:
    """Refuse what could be trained but not be read from or answered with afterwards."""
    if "past_key_values" not in inspect.signature(base.forward).parameters:
        kind = base.config.model_type
        raise UserError(f"{key}: models of type '{kind}' keep no keys and values to go on from")


def _check_tokens(key: str, samples: Iterable[Sample], base: PreTrainedModel) -> None:
    known = vocabulary(base)
    largest = max((max((*s.prompt, *s.response), default=0) for s in samples), default=0)
    if largest >= known:
        raise UserError(
            f"{key}: the tokenizer gives token {largest}, but the model has embeddings of {known}"
        )


def read_data(
    config: Config,
    encode: Callable[[list[Example]], tuple[list[Sample], int]],
    own: OwnData | None = None,
) -> FederationData:
    """Read the examples and spread them over clients (errors as in `run`)."""
    source = config.data
    train, unseen = load_examples(
        config.data_preset,
        source.train,
        source.eval,
        {str(field): column for field, column in source.columns.items()},
        source.holdout,
        config.seed,
    )
    clients, left_out = _clients(config, train.examples, encode, own)
    samples, cut_away = encode(unseen.examples)
    lost = +Counter({**unseen.dropped, "response_cut_away": cut_away})
    if lost and not samples:
        key = "eval" if source.eval else "holdout" if source.holdout else "preset"
        raise UserError(f"data.{key}: nothing is left of {getattr(source, key)!r} ({counts(lost)})")
    return FederationData(
        clients,
        samples,
        {**train.dropped, **left_out, **_of_unseen(lost)},
        {**train.noted, **_of_unseen(unseen.noted)},
        skew.summarise([(c.name, [sample.example for sample in c.train]) for c in clients]),
        _overlaps(train.examples, unseen.examples),
    )


def _clients(
    config: Config,
    examples: Sequence[Example],
    encode: Callable[[list[Example]], tuple[list[Sample], int]],
    own: OwnData | None,
) -> tuple[list[ClientData], Mapping[str, int]]:
    """Spread examples over the clients that are here: of a deployment none, or a site's own."""
    if config.federation.engine == "deployment" and own is None:
        return [], {}
    source = config.data
    return build_clients(
        examples,
        own or config.partition_method,
        config.seed,
        per_client=source.per_client,
        duplicates=source.duplicates,
        corrupted=source.corrupted,
        encode=encode,
        validation=config.evaluation.validation,
        first=own.client if own else 0,
    )


def _of_unseen(reasons: Mapping[str, int]) -> dict[str, int]:
    return {f"unseen_{reason}": count for reason, count in reasons.items()}


def max_length(config: Config) -> int:
    """Return the most tokens of a sample: what was asked for, if the model can take it.

    Of the model's positions the adapter's virtual tokens take some.
    """
    available = positions(load_config(base_source(config)))
    asked, virtual = config.data.max_length, config.adapter_method.virtual_tokens
    if available is None:
        return asked or DEFAULT_MAX_LENGTH
    model = f"the model '{config.model.name}' has {available} positions"
    if virtual >= available:
        raise UserError(f"adapter.virtual_tokens is {virtual}, but {model}")
    if asked is None:
        return min(DEFAULT_MAX_LENGTH, available - virtual)
    if asked + virtual > available:
        besides = f", of which adapter.virtual_tokens takes {virtual}" if virtual else ""
        raise UserError(f"data.max_length is {asked}, but {model}{besides}")
    return asked


def _overlaps(train: Sequence[Example], unseen: Sequence[Example]) -> list[str]:
    """Warn of unseen tasks that are also trained on, and of samples that stand in both."""
    warnings = []
    trained = {example.task for example in train if example.task}
    shared = sorted({example.task for example in unseen} & trained)
    if shared:
        names = ", ".join(shared[:5]) + (", ..." if len(shared) > 5 else "")
        warnings.append(f"{len(shared)} unseen task(s) are also trained on: {names}")
    known = {(example.instruction, example.input) for example in train}
    copies = sum((example.instruction, example.input) in known for example in unseen)
    if copies:
        warnings.append(f"{copies} unseen sample(s) are also among the training samples")
    return warnings


def _tell_data(data: FederationData, progress: Progress) -> None:
    """Say what data there is, how unequal the clients are, and what was left out."""
    if not data.clients:
        progress.say("data", f"{len(data.unseen)} unseen samples; all others are at the sites")
        return
    total = sum(len(client.train) for client in data.clients)
    numbers = data.skew
    progress.say(
        "data",
        f"{total} training samples on {numbers['clients']} clients "
        f"({numbers['samples_min']} to {numbers['samples_max']} each, median "
        f"{numbers['samples_median']:g}; {numbers['tasks_per_client']:.1f} tasks a client; "
        f"total variation {numbers['total_variation']:.2f}), {len(data.unseen)} unseen samples",
        **numbers,
    )
    if data.dropped:
        progress.say("dropped", f"left out: {counts(data.dropped)}", **data.dropped)
    if data.noted:
        progress.say("noted", f"kept though odd: {counts(data.noted)}", **data.noted)
