"""What every selection method must keep to, whoever wrote it: found by folder, run on all."""

import inspect

import numpy as np
import pytest

from fedhds import registry
from fedhds.rng import generator
from fedhds.selection._composition import Filtered, Within
from fedhds.types import Arrays, Signals

SIZES = [12, 1, 0, 30, 3]
KEEP = 0.8
"""What filters keep."""
WIDTHS = {
    "hidden_states": (3, 4),
    "mean_states": (2, 3, 4),
    "loss_with_prompt": (),
    "loss_alone": (),
    "loss_uninstructed": (),
    "words": (16,),
    "yes_probability": (),
    "ratings": (2,),
}
"""The shape of one sample's value of each signal of numbers."""
TEXT = "text"
"""The signal of bytes."""


OPTIONS = [
    {"layers": "last", "fusion": "pca"},
    {"layers": [0, -1], "fusion": "kernel-pca", "dimensions": 5},
    {"fusion": "none", "min_cluster_size": 3},
    {"fusion": "tsne", "dimensions": 4, "grouping": "kmeans", "groups": 3},
    {"inter_client": False, "noise": 0.1},
    {"minimum_group": 3},
    {"fusion": "none", "grouping": "kmeans", "groups": 5, "minimum_group": 4},
]
"""Ablations of ``fedhds`` that must keep to the contract as well."""

SMALL = {"dimensions": 8}
KMEANS = SMALL | {"grouping": "kmeans", "groups": 3}
ALIGNED = [
    *({"features": features} for features in ("states", "words", "last-token")),
    {"layers": [0, -1], "minimum_group": 5},
    *({"space": space} for space in ("random", "pca")),
    {"server": "hdbscan"},
    {"server": "hdbscan", "keep_noise": True},
    {"server": "tsne-hdbscan"},
    {"remember": False, "least_gain": 0.1},
]
"""Of ``fedhds-aligned``, on K-means, which is faster than t-SNE and HDBSCAN."""

METHODS = [(name, {}) for name in registry.names("selection")]
METHODS += [("fedhds", options) for options in OPTIONS]
METHODS += [("fedhds-aligned", SMALL | {"min_cluster_size": 3})]
METHODS += [("fedhds-aligned", KMEANS | options) for options in ALIGNED]
METHODS += [("fedhds-quality", KMEANS), ("fedhds-quality", KMEANS | {"features": "words"})]
METHODS += [("zip", {"pool": 8, "shortlist": 4, "batch": 2, "minimum_bytes": 20})]
METHODS += [("density", SMALL | {"space": space}) for space in ("random", "pca")]
METHODS += [("semdedup", {"group_size": 4, "similarity": 0.5})]


METHODS += [("feddqc", {"keep": 0.2, "stages": 2})]
METHODS += [("recost", {"rerank": rule}) for rule in ("rank-sum", "rank-shift")]
METHODS += [("perplexity", {"prefer": which}) for which in ("middle", "high")]
METHODS += [("global-select", {"layers": "last", "fusion": "pca", "dimensions": 3})]

COMPOSED = [
    (combine, inner, outer, options)
    for combine, pairs in {
        Filtered: [
            *(("ifd", "random"), ("semdedup", "fedhds")),
            *(("feddqc", "fedhds-aligned"), ("zip", "feddqc")),
        ],
        Within: [("perplexity", "fedhds"), ("coreset-cent", "fedhds"), ("zip", "fedhds-aligned")],
    }.items()
    for inner, outer in pairs
    for options in [KMEANS if outer == "fedhds-aligned" else {}]
]
"""What goes before another method, or inside its groups."""


@pytest.fixture(params=METHODS + COMPOSED, ids=str)
def method(request):
    if len(request.param) == 2:
        name, options = request.param
        return registry.load("selection", name)(**options)
    combine, inner, name, options = request.param
    both = registry.load("selection", inner)(), registry.load("selection", name)(**options)
    return combine(*both, KEEP) if combine is Filtered else combine(*both)


def signals_of(method, sizes=SIZES, same=None):
    rng = generator(0, "contract")

    def draw(name, n):
        if name == TEXT:
            return drawn_texts(n, rng, same)
        shape = (n, *WIDTHS[name])
        numbers = rng.normal(size=shape) if same is None else np.full(shape, same)
        return numbers.astype(np.float32)

    return {
        client: Signals(n, {need: draw(name, n) for need, (_, name) in method.reads().items()})
        for client, n in enumerate(sizes)
    }


def drawn_texts(n, rng, same):
    """Draw texts of up to 99 bytes, or the same one ``n`` times."""
    texts = np.empty(n, object)
    texts[:] = [rng.bytes(rng.integers(100)) if same is None else b"%f" % same for _ in range(n)]
    return texts


def select(method, signals, budget=None, seed=0, dropout_after=None, state=None, memory=None):
    """Play all exchanges as a round of three does; a client may drop out after a step.

    ``state`` and ``memory`` are earlier rounds', and are changed.
    """
    named = method.schedule(seed + 1, 3).stage
    stage = {} if named is None else {"stage": np.array(named)}
    received: dict[int, Arrays] = dict.fromkeys(signals, stage)
    memory = {} if memory is None else memory
    kept = {} if state is None else state
    state = kept | stage
    for client in signals:
        memory.setdefault(client, {})
    for number, step in enumerate(method.steps):
        summaries = {}
        for client in received:
            rng = generator(seed, f"step-{number}", client)
            summaries[client], memory[client] = step.client(
                signals[client], received[client], memory[client], rng
            )
            check_schema(summaries[client], step.summary)
        if dropout_after == number:
            summaries.pop(max(summaries))
        state, received = step.server(state, summaries, budget, generator(seed, "server"))
        for reply in received.values():
            check_schema(reply, step.reply)
    kept.update(state)
    if not method.steps and budget is not None:
        from fedhds.selection._budget import apportion

        quotas = apportion(budget, [method.held(signals[c].samples) for c in sorted(signals)])
        received = {
            c: {"quota": np.array([q])} for c, q in zip(sorted(signals), quotas, strict=True)
        }
    return {
        client: method.pick(
            signals[client], received[client], memory[client], generator(seed, "p", client)
        )
        for client in received
    }


def check_schema(arrays, schema):
    assert arrays.keys() == schema.keys()
    lengths = {}
    for name, array in arrays.items():
        spec = schema[name]
        assert str(array.dtype) == spec.dtype
        assert array.ndim == len(spec.shape)
        for axis, length in zip(spec.shape, array.shape, strict=True):
            assert length == (axis if isinstance(axis, int) else lengths.setdefault(axis, length))
        assert np.isfinite(array).all()
        assert ((spec.low <= array) & (array <= spec.high)).all()


def default_budget(method):
    return 10 if method.budget == "required" else None


def plain(coresets):
    return {client: coreset.indices.tolist() for client, coreset in coresets.items()}


def test_source_is_named(method):
    assert "Source:" in (inspect.getmodule(method).__doc__ or "")


def test_private_methods_send_no_array_along_the_samples_axis(method):
    for step in method.steps if method.private else ():
        assert "samples" not in [axis for spec in step.summary.values() for axis in spec.shape]


def test_same_seed_chooses_the_same(method):
    signals = signals_of(method)
    first, second = (select(method, signals, default_budget(method)) for _ in range(2))
    assert plain(first) == plain(second)


def test_coresets_hold_each_index_once_and_in_range(method):
    signals = signals_of(method)
    for client, coreset in select(method, signals, default_budget(method)).items():
        assert len(set(coreset.indices.tolist())) == len(coreset)
        assert all(0 <= i < signals[client].samples for i in coreset.indices)
        assert coreset.indices.tolist() == sorted(coreset.indices.tolist())


def test_weights_and_groups_go_with_the_indices(method):
    for coreset in select(method, signals_of(method), default_budget(method)).values():
        assert coreset.weights.shape == coreset.groups.shape == coreset.indices.shape
        assert (coreset.weights > 0).all()


@pytest.mark.parametrize("budget", [1, 7, 37, 38, 46, 1000])
def test_budget_is_kept_exactly(method, budget):
    if method.budget == "ignored":
        budget = sum(SIZES)
    chosen = select(method, signals_of(method), budget)
    # a filter keeps four of five samples: 10 of 12, 1 of 1, 24 of 30 and 3 of 3
    available = 38 if isinstance(method, Filtered) else sum(SIZES)
    assert sum(map(len, chosen.values())) == min(budget, available)


@pytest.mark.parametrize("budget", [2, 30])
def test_later_rounds_keep_to_the_budget_too(method, budget):
    if method.budget == "ignored":
        budget = sum(SIZES)
    signals, state, memory = signals_of(method), {}, {}
    for seed in range(3):  # every round has a seed of its own
        chosen = select(method, signals, budget, seed, state=state, memory=memory)
        assert sum(map(len, chosen.values())) == budget
        for client, coreset in chosen.items():
            assert len(set(coreset.indices.tolist())) == len(coreset)
            assert all(0 <= i < signals[client].samples for i in coreset.indices)
        method.remarks(state)


def test_clients_that_come_later_are_served(method):
    signals, state, memory = signals_of(method), {}, {}
    first = {client: signals[client] for client in (1, 2)}  # one sample, and none
    select(method, first, 1, state=state, memory=memory)
    assert sum(map(len, select(method, signals, 9, state=state, memory=memory).values())) == (
        sum(SIZES) if method.budget == "ignored" else 9
    )


def test_signals_are_left_as_they_were(method):
    signals = signals_of(method)
    before = {c: {n: a.copy() for n, a in s.arrays.items()} for c, s in signals.items()}
    select(method, signals, default_budget(method))
    for client, signal in signals.items():
        for name, array in signal.arrays.items():
            assert np.array_equal(array, before[client][name])


def test_order_of_the_clients_is_irrelevant(method):
    signals = signals_of(method)
    turned = dict(reversed(signals.items()))
    budget = default_budget(method)
    assert plain(select(method, signals, budget)) == plain(select(method, turned, budget))


@pytest.mark.parametrize("sizes", [[1], [0, 2], [3, 3], [5]])
def test_small_clients_work(method, sizes):
    chosen = select(method, signals_of(method, sizes), 1)
    assert 1 <= sum(map(len, chosen.values())) <= sum(sizes)


@pytest.mark.parametrize("same", [0.0, 0.1])
def test_identical_samples_work(method, same):
    chosen = select(method, signals_of(method, same=same), default_budget(method))
    assert sum(map(len, chosen.values())) > 0


def test_clients_without_any_sample_choose_nothing(method):
    assert plain(select(method, signals_of(method, [0, 0]), default_budget(method))) == {
        0: [],
        1: [],
    }


def test_non_finite_signals_are_refused(method):
    numbers = [need for need, (_, name) in method.reads().items() if name != TEXT]
    if not numbers:
        pytest.skip("the method reads no numbers")
    for need in numbers:
        signals = signals_of(method)
        # inside groups a method sees only the samples of those that were chosen
        everywhere = isinstance(method, Within)
        for client in signals if everywhere else [0]:
            signals[client].arrays[need][slice(None) if everywhere else 0] = np.nan
        with pytest.raises(ValueError, match="finite"):
            select(method, signals, default_budget(method))


def test_client_that_drops_out_of_an_exchange_is_not_waited_for(method):
    if not method.steps:
        pytest.skip("the method has no exchanges")
    signals, budget = signals_of(method), default_budget(method)
    for step in range(len(method.steps)):
        state, memory = {}, {}
        chosen = select(method, signals, budget, 0, step, state, memory)
        assert sorted(chosen) == [0, 1, 2, 3]
        method.remarks(state)
        # it is back in the next round, and remembers what nobody heard
        assert sorted(select(method, signals, budget, 1, state=state, memory=memory)) == [*signals]


def test_schedule_answers_for_every_round(method):
    for number in (1, 2, 10):
        schedule = method.schedule(number, 10)
        assert schedule.action in ("choose", "keep")
        assert schedule.clients in ("sampled", "all")
        if schedule.stage is not None:
            stage, stages = schedule.stage
            assert 1 <= stage <= stages <= 10


def test_a_method_describes_nothing_exactly_if_it_has_no_exchange(method):
    assert (method.described_group is None) == (not method.steps)


def told(method, signals, received=None):
    """Play the client half alone; return all its summaries, and what the server replied.

    ``received`` are the replies to give in place of the server's.
    """
    named = method.schedule(1, 3).stage
    stage = {} if named is None else {"stage": np.array(named)}
    replies, summaries, memory, state = [stage], [], {}, dict(stage)
    for number, step in enumerate(method.steps):
        given = replies[number] if received is None else received[number]
        summary, memory = step.client(signals, given, memory, generator(0, f"told-{number}"))
        summaries.append(summary)
        if received is None:
            state, answers = step.server(state, {0: summary}, 10, generator(0, "server"))
            replies.append(answers[0])
    return summaries, replies


def flat(summaries, kind=np.number):
    """Put all numbers of summaries (of a kind) end to end."""
    arrays = [summary[name] for summary in summaries for name in sorted(summary)]
    chosen = [array.ravel() for array in arrays if np.issubdtype(array.dtype, kind)]
    return np.concatenate(chosen).astype(np.float64)


def test_of_fewer_samples_than_a_method_describes_it_tells_their_number_alone(method):
    for samples in range(method.described_group or 0):
        signals = signals_of(method, [samples, samples])  # as many, but others
        one, replies = told(method, signals[0])
        other, _ = told(method, signals[1], replies)
        assert flat(one).tolist() == flat(other).tolist()


def test_every_number_that_leaves_is_of_as_many_samples_as_are_declared(method):
    """A number is of those samples by which it changes if they change a little; counts do not."""
    if (method.described_group or 1) == 1:
        pytest.skip("single samples may be described, or nothing is")
    samples = 10
    signals = signals_of(method, [samples])[0]
    summaries, replies = told(method, signals)
    before, changes = flat(summaries, np.floating), []
    for sample in range(samples):
        moved = {name: array.copy() for name, array in signals.arrays.items()}
        for array in (array for array in moved.values() if array.dtype != object):
            array[sample] += 1e-4 * generator(0, "moved").normal(size=array[sample].shape)
        after = flat(told(method, Signals(samples, moved), replies)[0], np.floating)
        # where there are other groups now, all of them hang on this sample
        changes.append(after != before if len(after) == len(before) else np.ones(len(before)))
    behind = np.sum(changes, axis=0)
    assert behind.any()
    assert (behind[behind > 0] >= method.described_group).all()
