"""The rounds: sample clients, choose coresets together, tune, aggregate, evaluate, keep.

Ours and not Flower's ``Strategy.start``, which has no selection phase, no resume and no
early stop.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from fedhds.federation.checkpoint import Evaluation, RunState
from fedhds.federation.clients import Clients
from fedhds.federation.merging import Merged, tune_and_merge
from fedhds.federation.messages import (
    ADAPTER,
    EVALUATE,
    SELECT,
    SELECTION,
    Content,
)
from fedhds.rng import generator
from fedhds.selection._budget import apportion
from fedhds.types import (
    Aggregation,
    Arrays,
    Codec,
    Progress,
    RunFailed,
    Schedule,
    SelectionMethod,
    State,
)


@dataclass(frozen=True)
class Rounds:
    """How a run goes: its methods and its numbers.

    ``samples`` and ``share`` are the two ways to say a budget (at most one is set);
    ``tune`` False only selects. ``quorum`` is the share of a round's planned clients that must
    get through it, ``over_sampling`` the share of further ones that are asked. ``every``,
    ``patience`` and ``validation_clients`` are the evaluation's. ``codec`` writes adapters for
    the wire. In ``folder`` adapters wait that arrive before their turn (None: where the system
    keeps temporary files).
    """

    method: SelectionMethod
    aggregation: Aggregation
    codec: Codec
    rounds: int
    fraction: float
    seed: int
    quorum: float = 0.0
    over_sampling: float = 0.0
    samples: int | None = None
    share: float | None = None
    tune: bool = True
    every: int = 0
    patience: int | None = None
    validation_clients: int | None = None
    folder: Path | None = None


@dataclass
class RoundRecord:
    """What happened in one round: a line of ``rounds.jsonl``.

    ``failed`` says why clients did not get through it, ``dropped_replies`` the same of those
    whose reply to something else was missing or refused, by what it was.
    """

    round: int
    clients: list[int]
    samples: int = 0
    passes: int = 0
    skipped_steps: int = 0
    loss: float | None = None
    failed: dict[int, str] = field(default_factory=dict)
    dropped_replies: dict[str, dict[int, str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    selection: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    evaluation: dict[str, Any] | None = None

    def note(self, of: str, failed: Mapping[Any, str]) -> None:
        """Note whose replies were dropped, if any were."""
        if failed:
            self.dropped_replies[of] = {int(client): reason for client, reason in failed.items()}


NAMED = 5
"""Most different reasons that a sentence names; ``dropped_replies`` has all."""

FIRST_ATTEMPT, SECOND_ATTEMPT = "first attempt", "second attempt"
EVALUATION, EVALUATION_BEFORE = "evaluation", "evaluation before round 1"
"""What replies are dropped of, beside a round that is finished."""


class TooFewClients(Exception):
    """Fewer clients got through a round than it needs; ``failed`` says why, by client."""

    def __init__(self, failed: Mapping[int, str], through: int, needed: int) -> None:
        many = f"only {through} of at least {needed} clients got through it"
        super().__init__(_with_reasons(many if through else "every client failed", failed))
        self.failed = dict(failed)


def _with_reasons(what: str, failed: Mapping[int, str]) -> str:
    """Add each reason once; of a thousand clients there may be as many."""
    reasons = list(dict.fromkeys(failed.values()))
    more = [f"and {len(reasons) - NAMED} others"] if len(reasons) > NAMED else []
    return f"{what} ({'; '.join(reasons[:NAMED] + more)})"


Unseen = Callable[[Arrays], dict[str, Any]]
"""Scores an adapter on the unseen tasks: per-sample scores as plain values, with means."""


def play(
    clients: Clients,
    state: RunState,
    rounds: Rounds,
    unseen: Unseen | None,
    save: Callable[[RunState], None],
    progress: Progress,
) -> RunState:
    """Play the rounds that are left.

    Parameters
    ----------
    state : RunState
        Where to go on; changed in place and handed to ``save`` after every round.
    unseen : callable or None
        The evaluation on unseen tasks, if there are any.

    Raises
    ------
    RunFailed
        If too few clients got through a round twice, or an adapter has no finite loss any more;
        ``state.adapter`` is the last good one.
    """
    clients.sent = state.sent  # one account for all attempts and sessions
    if rounds.tune and state.before is None:
        state.best_adapter = state.adapter  # the last good one until there is a better
        state.before = evaluate(clients, state, rounds, unseen)
        save(state)
    left = range(state.round + 1, rounds.rounds + 1)
    for number in progress.track(left, "rounds", len(left)):
        if rounds.patience is not None and state.worse_since >= rounds.patience:
            progress.say("stopped", f"stopped early: {rounds.patience} evaluations without a gain")
            break
        record = _play_twice(clients, state, rounds, number, progress)
        if number == 1 and state.before:
            record.note(EVALUATION_BEFORE, state.before.get("failed", {}))
        state.round = number
        if rounds.tune and _is_evaluated(record.round, rounds):
            found = evaluate(clients, state, rounds, unseen)
            record.evaluation = summarise(found)
            record.note(EVALUATION, found["failed"])
            _keep_best(state, found)
        state.lines.append(json.dumps(vars(record), ensure_ascii=False))
        save(state)
        _tell(record, rounds.rounds, progress)
    return state


def _play_twice(
    clients: Clients, state: RunState, rounds: Rounds, number: int, progress: Progress
) -> RoundRecord:
    """Play a round; if too few clients get through it, play it once more and then give up."""
    try:
        return play_round(clients, state, rounds, number)
    except TooFewClients as error:
        progress.say("retry", f"round {number}: {error}; it is played again", round=number)
        state.counts.update(repeated_rounds=1, failures=len(error.failed))
        first = error
    try:
        record = play_round(clients, state, rounds, number)
    except TooFewClients as error:
        dropped = {FIRST_ATTEMPT: first.failed, SECOND_ATTEMPT: error.failed}
        raise RunFailed(f"round {number} failed twice: {error}", dropped) from error
    record.remarks.append(f"played again, as at first {first}")
    record.note(FIRST_ATTEMPT, first.failed)
    return record


def play_round(clients: Clients, state: RunState, rounds: Rounds, number: int) -> RoundRecord:
    """Play one round and put its outcome into ``state``.

    Raises
    ------
    TooFewClients
        If fewer got through than the quorum, or none; ``state`` still holds the adapter of the
        round before.
    """
    clients.refresh()
    bytes_before, seconds_before = Counter(clients.sent), dict(state.seconds)
    schedule = rounds.method.schedule(number, rounds.rounds)
    record = RoundRecord(number, sample_clients(clients, rounds, schedule, number))
    needed = count_needed(clients, rounds, schedule)
    told, method_state = exchange(clients, state, rounds, record, schedule, needed)
    train(clients, state, rounds, record, schedule, told, needed)
    if schedule.action == "choose":
        state.method = method_state
        record.remarks += rounds.method.remarks(method_state)
        record.selection = {n: a.item() for n, a in method_state.items() if a.size == 1}
    if not record.samples:
        record.remarks.append("nothing was selected, so nothing was trained")
    elif told_short := _shortfall(_budget(clients, rounds, told), rounds, record, schedule):
        record.remarks.append(told_short)
    record.remarks += [f"a client takes no part: {reason}" for reason in clients.refusals.values()]
    record.bytes = dict(clients.sent - bytes_before)
    record.seconds = {k: round(v - seconds_before.get(k, 0), 6) for k, v in state.seconds.items()}
    state.counts.update(
        sample_passes=record.passes, skipped_steps=record.skipped_steps, failures=len(record.failed)
    )
    return record


def sample_clients(clients: Clients, rounds: Rounds, schedule: Schedule, number: int) -> list[int]:
    """Draw a round's clients: the fraction rounded up, at least one, ascending (step 1).

    Those that are asked beyond the fraction are drawn apart, so that the planned ones stay
    the same with and without them.
    """
    everyone = clients.numbers
    if schedule.clients == "all":
        return everyone
    count = count_planned(len(everyone), rounds.fraction)
    further = count_asked(len(everyone), rounds.fraction, rounds.over_sampling) - count
    rng = generator(rounds.seed, "sample-clients", round=number)
    planned = [int(client) for client in rng.choice(everyone, size=count, replace=False)]
    if not further:
        return sorted(planned)
    others = sorted(set(everyone) - set(planned))
    rng = generator(rounds.seed, "over-sample-clients", round=number)
    drawn = rng.choice(others, size=further, replace=False)
    return sorted([*planned, *(int(client) for client in drawn)])


def count_planned(clients: int, fraction: float) -> int:
    """Return how many clients are planned to take part in a round."""
    return max(1, _rounded_up(fraction * clients))


def count_asked(clients: int, fraction: float, over_sampling: float) -> int:
    """Return how many clients are asked in a round, those beyond the planned ones included."""
    planned = count_planned(clients, fraction)
    return min(clients, planned + _rounded_up(over_sampling * planned))


def count_needed(clients: Clients, rounds: Rounds, schedule: Schedule) -> int:
    """Return how many clients must get through a round: the quorum of the planned ones."""
    everyone = len(clients.numbers)
    planned = everyone if schedule.clients == "all" else count_planned(everyone, rounds.fraction)
    return max(1, _rounded_up(rounds.quorum * planned))


def _rounded_up(product: float) -> int:
    # a product such as .05 * 60 may come out a hair above the whole number that it is
    return math.ceil(product - 1e-9)


def exchange(
    clients: Clients,
    state: RunState,
    rounds: Rounds,
    record: RoundRecord,
    schedule: Schedule,
    needed: int,
) -> tuple[dict[int, Content], State]:
    """Play the selection's exchanges (steps 2 to 7); ``needed`` clients must get through.

    A client whose answer is missing or late is not asked again in this round: the server
    knows nothing of what it chooses among.

    Returns
    -------
    told : dict of int to Content
        What each client that is still there is to be told for its choice. The adapter is
        in it only if the client does not have it from an exchange.
    state : State
        The server half's new state.
    """
    method, number, method_state = rounds.method, record.round, dict(state.method)
    adapter: dict[str, Arrays] = {ADAPTER: rounds.codec.encode(state.adapter)}
    if schedule.action == "keep":
        return {client: Content(arrays=adapter) for client in record.clients}, method_state
    if not method.steps:
        quotas = _quotas(clients, rounds, record.clients)
        return {
            c: Content(arrays=adapter | quotas.get(c, {})) for c in record.clients
        }, method_state
    stage = {} if schedule.stage is None else {"stage": np.array(schedule.stage, np.int64)}
    method_state |= stage
    first = adapter | ({SELECTION: stage} if stage else {})
    received: dict[int, dict[str, Arrays]] = dict.fromkeys(record.clients, first)
    for step, exchanged in enumerate(method.steps):
        contents = {client: Content({"step": step}, arrays) for client, arrays in received.items()}
        replies, failed = clients.ask(SELECT, contents, {SELECTION: exchanged.summary}, number)
        record.failed |= failed
        if len(replies) < needed:
            raise TooFewClients(record.failed, len(replies), needed)
        for name in ("signals", "selection"):
            state.seconds[name] += sum(r.facts[f"seconds_{name}"] for r in replies.values())
        started = time.perf_counter()
        summaries = {client: reply.arrays[SELECTION] for client, reply in replies.items()}
        budget = _budget(clients, rounds, replies)
        rng = generator(rounds.seed, f"choose-{step}", round=number)
        method_state, answers = exchanged.server(method_state, summaries, budget, rng)
        received = {client: {SELECTION: answers[client]} for client in replies}
        state.seconds["selection"] += time.perf_counter() - started
    return {client: Content(arrays=arrays) for client, arrays in received.items()}, method_state


def train(
    clients: Clients,
    state: RunState,
    rounds: Rounds,
    record: RoundRecord,
    schedule: Schedule,
    told: Mapping[int, Content],
    needed: int,
) -> None:
    """Let the clients choose and tune, and merge their adapters (steps 7 to 9)."""
    facts = {"choose": int(schedule.action == "choose"), "tune": int(rounds.tune)}
    contents = {client: Content(facts, content.arrays) for client, content in told.items()}
    merged = tune_and_merge(
        clients,
        contents,
        state.adapter,
        rounds.aggregation,
        rounds.codec,
        rounds.folder,
        record.round,
    )
    record.failed |= merged.failed
    if len(merged.facts) < needed:
        raise TooFewClients(record.failed, len(merged.facts), needed)
    _account(state, record, merged)


def _account(state: RunState, record: RoundRecord, merged: Merged) -> None:
    """Take what was trained, and what it took, into the record and the state."""
    facts = merged.facts
    for name in ("signals", "selection", "tuning"):
        state.seconds[name] += sum(fact[f"seconds_{name}"] for fact in facts.values())
    state.distinct.update({client: int(fact["distinct"]) for client, fact in facts.items()})
    record.samples = int(sum(fact["samples"] for fact in facts.values()))
    record.passes = int(sum(fact["passes"] for fact in facts.values()))
    record.skipped_steps = int(sum(fact["skipped_steps"] for fact in facts.values()))
    if merged.adapter is not None:
        state.adapter = merged.adapter
        state.seconds["aggregation"] += merged.seconds
        losses = (facts[client]["loss"] * count for client, count in merged.samples.items())
        record.loss = sum(losses) / sum(merged.samples.values())


def evaluate(
    clients: Clients, state: RunState, rounds: Rounds, unseen: Unseen | None
) -> Evaluation:
    """Score the state's adapter on the unseen tasks and on the clients' validation samples.

    Raises
    ------
    RunFailed
        If its loss is not finite, or no client could score it; the state's adapter is then
        the last good one again.
    """
    started = time.perf_counter()
    found: Evaluation = {"round": state.round, "unseen": None, "validation": None, "failed": {}}
    if unseen is not None:
        found["unseen"] = unseen(state.adapter)
        if not math.isfinite(found["unseen"]["loss_mean"]):
            _give_up(state, "its loss on the unseen tasks is not finite", {})
    if asked := _validation_clients(clients, rounds):
        found["validation"], failed = _validate(clients, state, rounds, asked)
        found["failed"] = {str(client): reason for client, reason in failed.items()}
    state.seconds["evaluation"] += time.perf_counter() - started
    return found


def _validate(
    clients: Clients, state: RunState, rounds: Rounds, asked: list[int]
) -> tuple[dict[str, Any], dict[int, str]]:
    """Let clients score the state's adapter; return their sums and why others' are missing."""
    sent = rounds.codec.encode(state.adapter)  # what clients would begin the next round with
    contents = dict.fromkeys(asked, Content(arrays={ADAPTER: sent}))
    replies, failed = clients.ask(EVALUATE, contents, {}, state.round)
    sums = {
        c: reply.facts for c, reply in replies.items() if _is_score(reply, clients.validation[c])
    }
    wrong = dict.fromkeys(replies.keys() - sums.keys(), "its scores contradict each other")
    failed = dict(sorted({**failed, **wrong}.items()))
    state.counts["failures"] += len(failed)
    if not sums:
        _give_up(state, _with_reasons("every client failed", failed), failed)
    samples = sum(fact["samples"] for fact in sums.values())
    validation = {
        "samples": int(samples),
        "rouge_l": sum(fact["rouge_l_sum"] for fact in sums.values()) / samples,
        "loss": _loss(sums, sums),
        "by_client": {
            str(c): {key: fact[key] for key in ("loss_sum", "tokens")} for c, fact in sums.items()
        },
    }
    return validation, failed


def summarise(found: Evaluation) -> dict[str, Any]:
    """Leave an evaluation's means and drop its per-sample scores."""
    unseen, validation = found["unseen"], found["validation"]
    return {
        "unseen": unseen and {key: unseen[key] for key in ("rouge_l_mean", "loss_mean")},
        "validation": validation and {k: v for k, v in validation.items() if k != "by_client"},
    }


def _loss(sums: Mapping[Any, Mapping[str, float]], of: Iterable[Any]) -> float:
    """Return the mean token loss over some clients' sums; infinite over none."""
    chosen = [sums[client] for client in of]
    tokens = sum(fact["tokens"] for fact in chosen)
    return sum(fact["loss_sum"] for fact in chosen) / tokens if tokens else math.inf


def _is_score(reply: Content, samples: int) -> bool:
    """Tell whether a client's sums can be those of its validation samples."""
    facts = reply.facts
    possible = facts["rouge_l_sum"] <= facts["samples"] <= facts["tokens"]
    return facts["samples"] == samples and possible


def _give_up(state: RunState, reason: str, failed: Mapping[int, str]) -> NoReturn:
    """End the run over an adapter that cannot be evaluated, going back to the last good one."""
    state.adapter = state.best_adapter
    reason = f"the adapter after round {state.round} cannot be evaluated: {reason}"
    raise RunFailed(reason, {EVALUATION: failed} if failed else {})


def _keep_best(state: RunState, found: Evaluation) -> None:
    """Keep the adapter if its validation loss is the lowest so far, or cannot be told.

    Never by the unseen tasks: choosing by them would be training on them.
    """
    best = state.best and state.best["validation"]
    now = found["validation"]
    if best and now:
        # where a client was missing once, the two are compared on those that were not
        common = best["by_client"].keys() & now["by_client"].keys()
        losses = [_loss(scores["by_client"], sorted(common)) for scores in (best, now)]
        if losses[1] >= losses[0]:
            state.worse_since += 1
            return
    state.best, state.best_adapter, state.worse_since = found, state.adapter, 0


def _validation_clients(clients: Clients, rounds: Rounds) -> list[int]:
    """Return the same clients for every evaluation of a run."""
    holding = [client for client in clients.numbers if clients.validation[client]]
    if rounds.validation_clients is None or len(holding) <= rounds.validation_clients:
        return holding
    rng = generator(rounds.seed, "validation-clients")
    return sorted(int(c) for c in rng.choice(holding, rounds.validation_clients, replace=False))


def _budget(clients: Clients, rounds: Rounds, taking_part: Iterable[int]) -> int | None:
    """Return how many samples clients are to select together."""
    if rounds.share is not None:
        held = sum(clients.samples[client] for client in taking_part)
        return max(1, round(rounds.share * held))
    return rounds.samples


def _shortfall(
    asked: int | None, rounds: Rounds, record: RoundRecord, schedule: Schedule
) -> str | None:
    """Say so where fewer samples were chosen than asked for, as by a filter or failed clients."""
    chooses = schedule.action == "choose" and rounds.method.budget != "ignored"
    if asked is None or not chooses or record.samples >= asked:
        return None
    return f"only {record.samples} of the {asked} samples asked for could be chosen"


def _quotas(
    clients: Clients, rounds: Rounds, taking_part: list[int]
) -> dict[int, dict[str, Arrays]]:
    """Divide the budget over a round's clients by what they choose among, for local methods."""
    budget = _budget(clients, rounds, taking_part)
    if budget is None:
        return {}
    held = [rounds.method.held(clients.samples[client]) for client in taking_part]
    shares = apportion(budget, held)
    return {
        client: {SELECTION: {"quota": np.array([share])}}
        for client, share in zip(taking_part, shares, strict=True)
    }


def _is_evaluated(number: int, rounds: Rounds) -> bool:
    return number == rounds.rounds or bool(rounds.every and number % rounds.every == 0)


def _tell(record: RoundRecord, rounds: int, progress: Progress) -> None:
    """Tell a round's outcome in one line."""
    parts = [
        f"round {record.round}/{rounds}: {len(record.clients)} clients, {record.samples} samples"
    ]
    if record.loss is not None:
        parts.append(f"loss {record.loss:.3f}")
    if record.evaluation and record.evaluation["unseen"]:
        parts.append(f"unseen Rouge-L {record.evaluation['unseen']['rouge_l_mean']:.3f}")
    if record.evaluation and record.evaluation["validation"]:
        parts.append(f"validation loss {record.evaluation['validation']['loss']:.3f}")
    if record.failed:
        parts.append(f"{len(record.failed)} failed")
    if missing := record.dropped_replies.get(EVALUATION):
        parts.append(f"{len(missing)} did not evaluate")
    parts += record.remarks
    progress.say("round", ", ".join(parts), **vars(record))
