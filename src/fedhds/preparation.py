"""From a configuration to data and model in memory; every mistake in them is found here.

Nothing is written: a run folder is made only after all of this went well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from fedhds.config import Config
from fedhds.data import skew
from fedhds.data.clients import build_clients
from fedhds.data.examples import to_examples
from fedhds.data.files import read_rows
from fedhds.data.prompts import encode_all
from fedhds.data.toy import generate as generate_toy
from fedhds.evaluation.scores import choose
from fedhds.models import (
    LanguageModel,
    add_adapter,
    load_base,
    load_config,
    load_tokenizer,
    positions,
    set_threads,
)
from fedhds.types import ClientData, Example, Progress, Sample, UserError

DEFAULT_MAX_LENGTH = 1024
"""The paper's; a model with fewer positions gets as many as it has."""

TOY = "the toy federation"
"""What messages call the data where there is no file."""


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
class Experiment:
    """A checked configuration with its data and its model in memory."""

    config: Config
    data: FederationData
    model: LanguageModel

    @property
    def unseen(self) -> list[Sample]:
        """The unseen samples that this experiment evaluates on."""
        return choose(self.data.unseen, self.config.evaluation.per_task, self.config.seed)


def prepare(config: Config, progress: Progress) -> Experiment:
    """Load and check everything an experiment needs, writing nothing (errors as in `run`)."""
    for notice in config.notices():
        progress.say("notice", notice)
    set_threads(config.model.threads)
    place = config.model.name, config.model.revision, config.model.trust_remote_code
    tokenizer = load_tokenizer(*place)
    max_length = _max_length(config, positions(load_config(*place)))
    encode = partial(
        encode_all, prompt=config.data.prompt, tokenizer=tokenizer, max_length=max_length
    )
    data = read_data(config, encode)
    for warning in data.warnings:
        progress.say("warning", f"warning: {warning}")
    _tell_data(data, progress)
    options = config.model
    base = load_base(*place, options.dtype, options.device, options.quantization)
    model = add_adapter(base, config.adapter_method, config.seed)
    return Experiment(config, data, LanguageModel(model, tokenizer, base.device))


def read_data(
    config: Config, encode: Callable[[list[Example]], tuple[list[Sample], int]]
) -> FederationData:
    """Read the examples and spread them over clients (errors as in `run`)."""
    columns = {str(field): column for field, column in config.data.columns.items()}

    if config.data.train is None:
        train_rows, unseen_rows = generate_toy(config.data.toy_samples, config.seed)
    else:
        train_rows = read_rows(Path(config.data.train), "data.train")
        unseen_rows = read_rows(Path(config.data.eval), "data.eval") if config.data.eval else []
    train, dropped, noted = to_examples(train_rows, columns, config.data.train or TOY)
    if not train:
        raise UserError(
            f"data.train: nothing is left of '{config.data.train}' ({_counts(dropped)})"
        )
    clients, left_out = build_clients(
        train,
        config.partition_method,
        config.seed,
        per_client=config.data.per_client,
        duplicates=config.data.duplicates,
        corrupted=config.data.corrupted,
        encode=encode,
        validation=config.evaluation.validation,
    )
    dropped.update(left_out)
    unseen_examples, *counts = to_examples(unseen_rows, columns, config.data.eval or TOY)
    unseen, cut_away = encode(unseen_examples)
    counts[0]["response_cut_away"] = cut_away
    for total, count in zip((dropped, noted), counts, strict=True):
        total.update({f"unseen_{reason}": number for reason, number in count.items()})
    if config.data.eval and not unseen:
        raise UserError(
            f"data.eval: nothing is left of '{config.data.eval}' ({_counts(+counts[0])})"
        )
    held = [(c.name, [sample.example for sample in c.train]) for c in clients]
    return FederationData(
        clients,
        unseen,
        dict(+dropped),
        dict(+noted),
        skew.summarise(held),
        _overlaps(train, unseen_examples),
    )


def _max_length(config: Config, available: int | None) -> int:
    """Return the most tokens of a sample: what was asked for, if the model can take it.

    ``available`` are the model's positions, of which the adapter's virtual tokens take some.
    """
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
        progress.say("dropped", f"left out: {_counts(data.dropped)}", **data.dropped)
    if data.noted:
        progress.say("noted", f"kept though odd: {_counts(data.noted)}", **data.noted)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "no rows"
