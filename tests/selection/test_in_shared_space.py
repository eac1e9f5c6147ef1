import numpy as np
import pytest

from fedhds.rng import generator
from fedhds.selection.fedhds_aligned import FedHDSAligned
from fedhds.types import Signals

RNG = generator(0, "unused")
SPACES = ["centred", "pca"]


def words_of(count, name="words"):
    drawn = generator(0, name).random((count, 30)).astype(np.float32)
    return Signals(count, {"words": drawn})


def method_of(space, **options):
    return FedHDSAligned(features="words", space=space, dimensions=4, **options)


def told(method, signals):
    return method.introduce(signals, {}, {}, RNG)


def test_random_space_needs_no_agreement():
    assert [len(method_of(space).steps) for space in ("random", *SPACES)] == [1, 2, 2]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("samples", [0, 1, 2])
def test_too_few_samples_tell_nothing(space, samples):
    summary, _ = told(method_of(space), words_of(samples))
    assert summary["samples"].tolist() == [0]
    assert not any(array.any() for array in summary.values())


@pytest.mark.parametrize("space", SPACES)
def test_enough_samples_tell_their_moments(space):
    summary, memory = told(method_of(space), words_of(3))
    assert summary["samples"].tolist() == [3]
    assert summary["mean"].any()
    assert ("products" in summary) == (space == "pca")
    # in later rounds there is a space: nothing is read again, and nothing told
    again, _ = method_of(space).introduce(Signals(3), {}, memory, RNG)
    assert not any(array.any() for array in again.values())
    assert {n: a.shape for n, a in again.items()} == {n: a.shape for n, a in summary.items()}


@pytest.mark.parametrize("space", SPACES)
def test_first_rounds_space_is_kept(space):
    method = method_of(space)
    first, later = (told(method, words_of(5, name))[0] for name in ("first", "later"))
    state, replies = method.agree({}, {3: first}, None, RNG)
    _, again = method.agree(state, {8: later, 9: first}, None, RNG)
    assert sorted(again) == [8, 9]
    assert all(np.array_equal(again[8][name], replies[3][name]) for name in replies[3])
    assert replies[3].keys() == method.steps[0].reply.keys()


@pytest.mark.parametrize("space", SPACES)
def test_space_waits_for_a_client_with_enough_samples(space):
    method = method_of(space)
    few, enough = (told(method, words_of(count))[0] for count in (2, 5))
    state, replies = method.agree({}, {0: few}, None, RNG)
    assert state == {}
    assert not replies[0]["mean"].any()
    state, replies = method.agree(state, {0: few, 1: enough}, None, RNG)
    assert np.allclose(replies[0]["mean"], enough["mean"])


def test_all_clients_together_make_the_space():
    method = method_of("centred")
    parts = {0: words_of(4, "a"), 1: words_of(8, "b")}
    summaries = {client: told(method, signals)[0] for client, signals in parts.items()}
    _, replies = method.agree({}, summaries, None, RNG)
    both = np.concatenate([signals.arrays["words"] for signals in parts.values()])
    pooled, _ = told(method, Signals(12, {"words": both}))
    assert np.allclose(replies[0]["mean"], pooled["mean"], atol=1e-6)


def test_samples_are_placed_around_the_common_mean():
    method, signals = method_of("centred"), words_of(200)
    summary, _ = told(method, signals)
    _, replies = method.agree({}, {0: summary}, None, RNG)
    # directions from the mean point everywhere: 200 unit vectors' mean has a length of
    # about 1 / sqrt(200) = .07, where without taking the mean away it is near 1
    placed, raw = (method.place(signals, space, {}) for space in (replies[0], {}))
    assert np.linalg.norm(placed.mean(axis=0)) < 0.3 < 0.8 < np.linalg.norm(raw.mean(axis=0))


def test_signals_count_alike_whatever_their_kinds():
    method = FedHDSAligned(dimensions=512)
    rng = generator(0, "kinds")
    states = rng.normal(size=(2, 2, 3, 16)).astype(np.float32)
    words = np.repeat(rng.random((1, 30)), 2, axis=0).astype(np.float32)
    signals = Signals(2, {"mean_states": states, "words": words})
    one, other = method.place(signals, {}, {})
    # states differ at random (product about 0), words are equal (1), and each counts half;
    # states of width 16 keep products of .25 / sqrt(2 kinds * 3 layers) = .1
    assert one @ other == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"dimensions": 0}, "dimensions must be at least 1"),
        ({"projection_seed": -1}, "projection_seed must be at least 0"),
        ({"minimum_group": 1}, "minimum_group must be at least 2"),
        ({"layers": []}, "layers must name at least one layer"),
    ],
)
def test_options_out_of_range_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        FedHDSAligned(**options)


def test_layers_a_model_does_not_have_are_refused():
    FedHDSAligned(layers=[0, -3]).check_layers(2)
    with pytest.raises(ValueError, match="no layer 3 in a model of 2"):
        FedHDSAligned(layers=[3]).check_layers(2)


def test_what_was_projected_to_tell_of_is_placed_without_reading_again():
    method = method_of("centred")
    signals = words_of(5)
    summary, memory = method.introduce(signals, {}, {}, RNG)
    space = {"mean": summary["mean"]}
    unread = method.place(Signals(5), space, memory)
    assert np.array_equal(unread, method.place(signals, space, {}))
