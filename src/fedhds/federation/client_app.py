"""The client: answers the four kinds of message from its own data, which stays here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp

from fedhds.evaluation.scores import evaluate
from fedhds.federation.client_store import CORESET, ClientStore, RoundAdapter
from fedhds.federation.handshake import DIGESTS, check_handshake
from fedhds.federation.messages import (
    ADAPTER,
    EVALUATE,
    FAILED,
    HANDSHAKE,
    HELLO,
    KINDS,
    NOT_KEPT,
    QUOTA,
    REFUSED,
    SELECT,
    SELECTION,
    STAGE,
    TRAIN,
    BadMessage,
    Content,
    address,
    pack,
    read_facts,
    register,
    told,
    unpack,
)
from fedhds.federation.site_guard import UNGUARDED, Clock, Guard, Refused, TimedProgress
from fedhds.federation.updates import encode_update
from fedhds.files import write_jsonl
from fedhds.models import LanguageModel, adapter_arrays, set_adapter_arrays
from fedhds.rng import generator
from fedhds.signals import Reader
from fedhds.tuning.local import tune
from fedhds.tuning.options import TuningOptions
from fedhds.types import (
    Array,
    Arrays,
    ClientData,
    Codec,
    Coreset,
    Progress,
    Schema,
    SelectionMethod,
    SignalModel,
    Signals,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Site:
    """One client: its data, its models, its settings and its disk.

    ``adapter_schema`` is what the codec makes of the model's adapter, ``handshake`` makes the
    digests that a server's must equal, where one is not this process. ``noise_seed`` is what a
    summary with noise is drawn by, which the server must not know. ``guard`` keeps the site's
    policy.
    """

    client: int
    data: ClientData
    model: LanguageModel
    readers: Mapping[SignalModel, Reader]
    method: SelectionMethod
    tuning: TuningOptions
    max_new_tokens: int
    batch_size: int
    seed: int
    store: ClientStore
    adapters: RoundAdapter
    coresets: Path | None
    progress: Progress
    codec: Codec
    adapter_schema: Schema
    handshake: Callable[[], Arrays] | None = None
    noise_seed: int | None = None
    guard: Guard = UNGUARDED


OpenSite = Callable[[Context, int], Site]
"""Gives the client's site for Flower's context (whose ``partition-id`` tells which) and the
number of the run, under which a client on a machine of its own keeps what it remembers."""

OpenGuard = Callable[[Context, int], Guard]
"""Gives, for the same, what keeps the site's policy; it is asked before the site is opened."""


def build_client_app(
    open_site: OpenSite, open_guard: OpenGuard = lambda context, run: UNGUARDED
) -> ClientApp:
    """Build Flower's ClientApp; without a guard all is allowed."""
    app = ClientApp()
    handlers = {HELLO: _hello, SELECT: _select, TRAIN: _train, EVALUATE: _evaluate}
    for kind, handle in handlers.items():
        register(app, kind, _answering(kind, open_site, open_guard, handle))
    return app


def _answering(
    kind: str,
    open_site: OpenSite,
    open_guard: OpenGuard,
    handle: Callable[[Site, Content], Content],
) -> Callable[[Message, Context], Message]:
    """Wrap a handler: let the guard look, open the site, check what arrived, pack what goes back.

    An error's own words may quote private data, so only those about the server's own
    message travel, and refusals; of any other error the type does, and the rest is logged here.
    What goes back is kept in the ledger first; what cannot be kept does not leave.
    """

    def respond(message: Message, context: Context, guard: Guard, clock: Clock | None) -> Content:
        facts = read_facts(message.content, KINDS[kind].down)
        site = replace(open_site(context, int(facts["run"])), guard=guard)
        site = site if clock is None else _timed(site, clock)
        content = unpack(message.content, KINDS[kind].down, _schemas(site, kind, facts))
        reply = handle(site, content)
        return Content({**reply.facts, **address(content)}, reply.arrays)

    def answer(message: Message, context: Context) -> Message:
        started, guard = time.perf_counter(), UNGUARDED
        run, round = (told(message.content, name) for name in ("run", "round"))
        outcome: RecordDict | Refused | str
        try:
            guard = open_guard(context, run)
            clock = guard.admit(message.content, round, started)
            outcome = pack(respond(message, context, guard, clock))
            guard.check_departure(outcome)
        except Refused as refused:
            log.warning("%s of round %d: %s", kind, round, refused)
            outcome = refused
        except BadMessage as error:
            outcome = str(error)
        except Exception as error:
            log.exception("%s failed", kind)
            outcome = type(error).__name__
        try:
            guard.keep(outcome, kind, round, time.perf_counter() - started)
        except Exception:
            log.exception("what leaves cannot be written down, so it does not leave")
            outcome = NOT_KEPT
        return Message(_or_error(outcome), reply_to=message)

    return answer


def _or_error(outcome: RecordDict | Refused | str) -> RecordDict | Error:
    """Return what travels: a reply, or the reason why there is none."""
    if isinstance(outcome, RecordDict):
        return outcome
    return Error(REFUSED if isinstance(outcome, Refused) else FAILED, str(outcome))


def _timed(site: Site, clock: Clock) -> Site:
    """Let a site stop when its time is over, in tuning, scoring and reading signals."""
    progress = TimedProgress(site.progress, clock)
    readers = {name: replace(each, progress=progress) for name, each in site.readers.items()}
    return replace(site, progress=progress, readers=readers)


def _schemas(site: Site, kind: str, facts: Mapping[str, float]) -> dict[str, Schema]:
    """Say which arrays may arrive: the adapter's, and the reply of the step before, or a stage."""
    steps = site.method.steps
    if kind == SELECT:
        step = int(facts["step"])
        if not 0 <= step < len(steps):
            raise BadMessage(f"the selection has no step {step}")
        reply = steps[step - 1].reply if step else STAGE
    else:
        reply = steps[-1].reply if steps else QUOTA
    return {ADAPTER: site.adapter_schema, SELECTION: reply, HANDSHAKE: DIGESTS}


def _hello(site: Site, content: Content) -> Content:
    """Say who this is, if what both must have alike is alike."""
    if site.handshake is not None:
        check_handshake(content.arrays.get(HANDSHAKE, {}), site.handshake())
    data = site.data
    return Content(
        {
            "client": site.client,
            "samples": site.guard.tellable(len(data.train)),
            "validation": site.guard.tellable(len(data.validation)),
        }
    )


def _select(site: Site, content: Content) -> Content:
    """Play the client's half of one exchange and keep its memory."""
    started = time.perf_counter()
    round, step = int(content.facts["round"]), int(content.facts["step"])
    adapter = _adopt_adapter(site, content, round)
    if ADAPTER in content.arrays:  # it is sent once a round
        site.adapters.keep(round, content.arrays[ADAPTER])
    measured = _MeasuredSignals(site)
    received = content.arrays.get(SELECTION, {})
    kept = site.store.before("memory", round, step) or {}
    secret = site.noise_seed
    seed = site.seed if secret is None else _seed_of(secret, adapter, received, kept)
    summary, memory = site.method.steps[step].client(
        Signals(len(site.data.train), measured),
        received,
        kept,
        generator(seed, f"select-{step}", site.client, round),
    )
    site.store.save("memory", round, step, memory)
    return Content(measured.facts(started), {SELECTION: summary})


def _seed_of(secret: int, *given: Arrays) -> int:
    """Return what noise is drawn by: the same for the same question, and for no other.

    What is said twice with the same noise tells its difference without any.
    """
    digest = sha256(str(secret).encode())
    for arrays in given:
        for name, array in sorted(arrays.items()):
            digest.update(repr((name, str(array.dtype), array.shape)).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return int.from_bytes(digest.digest())


def _train(site: Site, content: Content) -> Content:
    """Choose the coreset (or keep the last one) and train the adapter on it."""
    started = time.perf_counter()
    round = int(content.facts["round"])
    received = _adopt_adapter(site, content, round)
    measured = _MeasuredSignals(site)
    kept = site.store.before(CORESET, round, 0)
    coreset = _choose(site, content, round, measured) if content.facts["choose"] else _last(kept)
    seconds = measured.facts(started)
    started = time.perf_counter()
    samples = [site.data.train[index] for index in coreset.indices]
    if not content.facts["tune"] or not samples:
        idle = {"passes": 0, "steps": 0, "skipped_steps": 0, "loss": 0.0, "seconds_tuning": 0.0}
        if site.coresets is not None and not content.facts["tune"]:
            _write_coreset(site.coresets, site.data, _all_used(coreset, kept))
        return Content(_counts(site, coreset, kept, round) | idle | seconds)
    numbers = site.seed, site.client, round
    try:
        site.guard.check_tuning(len(samples), round)
        result = tune(site.model, samples, coreset.weights, site.tuning, *numbers, site.progress)
        site.guard.check_trained(result.samples)
    except Exception:  # rounds that do not choose shall have the coreset all the same
        _keep(site, coreset, _used(kept), round)
        raise
    trained = {
        "passes": result.passes,
        "steps": result.steps,
        "skipped_steps": result.skipped,
        "loss": result.loss,
        "seconds_tuning": time.perf_counter() - started,
    }
    facts = _counts(site, coreset, kept, round) | trained | seconds
    update = encode_update(site.codec, adapter_arrays(site.model), received)
    return Content(facts, {ADAPTER: update})


def _evaluate(site: Site, content: Content) -> Content:
    """Score the adapter on the validation samples; only sums leave."""
    started = time.perf_counter()
    site.guard.check_scores(len(site.data.validation))
    set_adapter_arrays(site.model, site.codec.decode(content.arrays[ADAPTER]))
    scores = evaluate(
        site.model, site.data.validation, site.max_new_tokens, site.batch_size, site.progress
    )
    return Content(
        {
            "samples": len(scores.rouge_l),
            "tokens": int(scores.token_counts.sum()),
            "rouge_l_sum": float(scores.rouge_l.sum()),
            "loss_sum": float(scores.loss_sums.sum()),
            "seconds": time.perf_counter() - started,
        }
    )


def _adopt_adapter(site: Site, content: Content, round: int) -> Arrays:
    """Load the round's adapter: from the message, or as kept from the selection's first."""
    encoded = content.arrays.get(ADAPTER) or site.adapters.of(round)
    if encoded is None:
        raise BadMessage(f"the adapter of round {round} never came")
    adapter = site.codec.decode(encoded)
    set_adapter_arrays(site.model, adapter)
    return adapter


def _choose(site: Site, content: Content, round: int, measured: Mapping[str, Array]) -> Coreset:
    """Let the method pick."""
    steps = len(site.method.steps)
    return site.method.pick(
        Signals(len(site.data.train), measured),
        content.arrays.get(SELECTION, {}),
        site.store.before("memory", round, steps) or {},
        generator(site.seed, "pick", site.client, round),
    )


def _last(kept: Arrays | None) -> Coreset:
    """Return the coreset of the last round that chose; an empty one if none did."""
    if kept is None:
        return Coreset.of([])
    return Coreset(kept["indices"], kept["weights"], kept["groups"])


def _used(kept: Arrays | None) -> dict[int, int]:
    """Return all samples chosen so far, with the group that each stood for last."""
    if kept is None:
        return {}
    return dict(zip(kept["used"].tolist(), kept["used_groups"].tolist(), strict=True))


def _keep(site: Site, coreset: Coreset, used: Mapping[int, int], round: int) -> None:
    """Keep the coreset for rounds that do not choose, and what was used until now."""
    arrays = {
        "indices": coreset.indices,
        "weights": coreset.weights,
        "groups": coreset.groups,
        "used": np.array(list(used), np.int64),
        "used_groups": np.array(list(used.values()), np.int64),
    }
    site.store.save(CORESET, round, 0, arrays)


def _all_used(coreset: Coreset, kept: Arrays | None) -> dict[int, int]:
    """Return all samples chosen until now, with the group that each stood for last."""
    chosen = zip(coreset.indices.tolist(), coreset.groups.tolist(), strict=True)
    return dict(sorted((_used(kept) | dict(chosen)).items()))


def _counts(site: Site, coreset: Coreset, kept: Arrays | None, round: int) -> dict[str, float]:
    """Count the coreset's samples and all distinct ones so far, which are kept."""
    used = _all_used(coreset, kept)
    _keep(site, coreset, used, round)
    return {"samples": len(coreset), "distinct": len(used)}


def _write_coreset(path: Path, data: ClientData, used: Mapping[int, int]) -> None:
    """Write what was chosen where only that was asked for: tuning leaves no copy of samples."""
    write_jsonl(path, [coreset_row(data, i) | {"group": group} for i, group in used.items()])


def coreset_row(data: ClientData, index: int) -> dict[str, Any]:
    """Return what is written of a chosen training sample, but for its group.

    The user's own columns ``client`` and ``group`` get an underscore to make room for ours.
    """
    row = data.train[index].example.row
    own = {f"{key}_" if key in ("client", "group") else key: value for key, value in row.items()}
    return own | {"client": data.name}


class _MeasuredSignals(Mapping[str, Array]):
    """Signals that are computed when a method reads them, and how long that took."""

    def __init__(self, site: Site) -> None:
        self._readers, self._reads = site.readers, site.method.reads()
        self._known: dict[str, Array] = {}
        self._seconds = 0.0

    def __getitem__(self, name: str) -> Array:
        if name not in self._reads:
            raise KeyError(f"the method reads the signal '{name}' without naming it in needs()")
        if name not in self._known:
            started = time.perf_counter()
            model, signal = self._reads[name]
            self._known[name] = self._readers[model].read(signal)
            self._seconds += time.perf_counter() - started
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._reads)

    def __len__(self) -> int:
        return len(self._reads)

    def facts(self, started: float) -> dict[str, float]:
        """Split the seconds since ``started`` into reading signals and choosing."""
        total = time.perf_counter() - started
        return {
            "seconds_signals": self._seconds,
            "seconds_selection": max(0.0, total - self._seconds),
        }
