"""The clients' samples as each frozen model of a selection reads them.

Between configuration and preparation: which models an experiment takes, and in whose tokens
a client's samples are put to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from transformers import PreTrainedTokenizerBase

from fedhds.config import Config
from fedhds.data.knowledge import read_with_knowledge
from fedhds.data.prompts import encode_whole
from fedhds.models import positions
from fedhds.pretrained import Pretrained, load_config, load_tokenizer
from fedhds.types import ClientData, Progress, Sample, SignalModel

DEFAULT_MAX_LENGTH = 1024
"""The paper's; a model with fewer positions gets as many as it has."""

MOST_WITH_KNOWLEDGE = 4096
"""Tokens that a sample and what is put in front of it take at most, however many positions."""

ByClient = tuple[Sequence[Sample], ...]
"""Each client's training samples."""


@dataclass(frozen=True)
class Readings:
    """The clients' training samples, and what reads them.

    ``source`` None is the base of the model that is tuned.
    """

    source: Pretrained | None
    tokenizer: PreTrainedTokenizerBase
    samples: ByClient


def base_source(config: Config) -> Pretrained:
    """Say where the model to be tuned comes from, and how it is to be held."""
    model = config.model
    place = model.name, model.revision, model.trust_remote_code
    return Pretrained(*place, model.dtype, model.device, model.quantization)


def frozen_sources(config: Config) -> dict[SignalModel, Pretrained]:
    """Say the same of the proxy and the scorer, where the selection reads with them."""
    model = config.model
    named: dict[SignalModel, tuple[str | None, str]] = {
        "proxy": (config.proxy, model.proxy_dtype or model.dtype),
        "scorer": (config.scorer, model.dtype),
    }
    return {
        kind: Pretrained(
            name,
            None,
            model.trust_remote_code,
            dtype,
            model.device,
            key=f"model.{kind}",
            encoder_decoder=kind == "scorer",
        )
        for kind, (name, dtype) in named.items()
        if name is not None
    }


def read_frozen(
    config: Config,
    tokenizer: PreTrainedTokenizerBase,
    clients: Sequence[ClientData],
    progress: Progress,
) -> dict[SignalModel, Readings]:
    """Put the clients' samples to each frozen model that the selection reads with.

    ``tokenizer`` is the tuned model's. Where a proxy is named it stands in for the base.
    """
    sources, held = frozen_sources(config), tuple(client.train for client in clients)
    base = Readings(None, tokenizer, held)
    if proxy := sources.get("proxy"):
        base = _of_proxy(config, proxy, held, progress)
    found: dict[SignalModel, Readings] = {}
    for model in sorted(config.reads - {"tuned"}):
        if model == "scorer":
            source = sources["scorer"]
            found[model] = Readings(source, load_tokenizer(source), held)
        elif model == "knowledge":
            found[model] = _informed(config, base, progress)
        else:
            found[model] = base
    return found


def _of_proxy(config: Config, source: Pretrained, held: ByClient, progress: Progress) -> Readings:
    """Put samples into the tokens of the proxy."""
    tokenizer = load_tokenizer(source)
    wanted = config.data.max_length or DEFAULT_MAX_LENGTH
    longest = min(wanted, positions(load_config(source)) or wanted)
    prompt = _prompt(config, tokenizer)
    if prompt != config.data.prompt:
        progress.say("notice", "the proxy's tokenizer has no chat template: it reads plain text")
    examples = [sample.example for samples in held for sample in samples]
    encoded, cut = encode_whole(examples, prompt, tokenizer, longest)
    each = iter(encoded)
    by_client = tuple(tuple(islice(each, len(samples))) for samples in held)
    if cut:
        total = len(encoded)
        progress.say(
            "warning",
            f"warning: {cut} of {total} samples are longer than the {longest} tokens that the "
            "proxy reads, and are read cut",
            cut=cut,
        )
    return Readings(source, tokenizer, by_client)


def _informed(config: Config, base: Readings, progress: Progress) -> Readings:
    """Put public knowledge in front of the samples, as far as the model has positions."""
    available = positions(load_config(base.source or base_source(config)))
    longest = min(available or DEFAULT_MAX_LENGTH, MOST_WITH_KNOWLEDGE)
    prompt = _prompt(config, base.tokenizer)
    knowledge = str(config.selection.knowledge)
    made = read_with_knowledge(base.samples, knowledge, prompt, base.tokenizer, longest)
    nothing = made.counts["without"] == made.counts["samples"]
    event, prefix = ("warning", "warning: ") if nothing else ("notice", "")
    progress.say(event, f"{prefix}{made}", **made.counts)
    return replace(base, samples=made.readings)


def _prompt(config: Config, tokenizer: PreTrainedTokenizerBase) -> str:
    """Return how samples are written; a small model seldom has a chat template."""
    without = config.data.prompt == "chat" and tokenizer.chat_template is None
    return "plain" if without else config.data.prompt
