"""Topics with wrong answers made by hand: of another topic, and no likelier by the prompt."""

import numpy as np
import pytest

from fedhds.rng import generator
from fedhds.selection._grouping import NOISE
from fedhds.selection.fedhds_quality import FedHDSQuality
from fedhds.types import Signals

RNG = generator(0, "test")
METHOD = FedHDSQuality(features="words", space="random", grouping="kmeans", groups=2)


def client(topics, wrong=(), answers=None):
    """Make signals of samples; ``answers`` is whose topic each response is of, by default its own.

    A right answer's loss is 1 less with its prompt than alone, give or take .1; a wrong one's
    is no less.
    """
    rng = generator(0, "topics")
    states, words = rng.normal(size=(4, 2, 3, 16)), rng.random((4, 64)) ** 4
    of, told = (np.array(part, np.int64) for part in (topics, answers or topics))
    count = len(of)
    both = np.stack([states[of, 0], states[told, 1]], axis=1)
    gain = np.where(np.isin(np.arange(count), wrong), 0, 1 + rng.uniform(-0.1, 0.1, count))
    arrays = {
        "words": words[of] * rng.uniform(0.9, 1.1, (count, 64)),
        "mean_states": both + 0.1 * rng.normal(size=both.shape),
        "loss_alone": np.full(count, 3.0),
        "loss_with_prompt": 3.0 - gain,
    }
    return Signals(count, {name: a.astype(np.float32) for name, a in arrays.items()})


TOPICS = [0] * 10 + [1] * 10
WRONG = (0, 4, 8, 11, 15, 19)
SWAPPED = [1 - topic if i in WRONG else topic for i, topic in enumerate(TOPICS)]


def chosen(signals, budget, method=METHOD):
    """Play a round of one client and return what it gives."""
    summary, memory = method.group(signals, {}, {}, RNG)
    _, replies = method.choose({}, {0: summary}, budget, RNG)
    return method.pick(signals, replies[0], memory, RNG).indices.tolist()


@pytest.mark.parametrize("budget", [1, 2, 6, 10])
def test_wrong_answers_are_not_chosen(budget):
    # of each topic's ten samples seven are right, and a budget of 10 takes five of each
    assert not set(chosen(client(TOPICS, WRONG, SWAPPED), budget)) & set(WRONG)


def test_losses_alone_tell_wrong_answers():
    assert not set(chosen(client(TOPICS, WRONG), 10)) & set(WRONG)


def test_responses_alone_tell_wrong_answers():
    assert not set(chosen(client(TOPICS, (), SWAPPED), 10)) & set(WRONG)


def test_prototypes_stand_for_the_better_half():
    signals = client(TOPICS, WRONG, SWAPPED)
    _, memory = METHOD.group(signals, {}, {}, RNG)
    for members in np.split(memory["members"], np.cumsum(memory["sizes"])[:-1]):
        # five are the better half of ten, and the prototype is of the first three
        assert not set(members[:5].tolist()) & set(WRONG)


POOR = [0] * 10 + [1] * 10 + [2] * 4


def poor_topic(method=METHOD):
    """Make two good topics, and one all of whose answers are wrong."""
    answers = [0] * 10 + [1] * 10 + [0, 1, 0, 1]
    return client(POOR, wrong=range(20, 24), answers=answers)


THREE = FedHDSQuality(features="words", space="random", grouping="kmeans", groups=3)


def test_poor_group_is_left_out_until_nothing_else_is_left():
    summary, _ = THREE.group(poor_topic(), {}, {}, RNG)
    assert summary["sizes"].tolist() == [10, 10]
    assert summary["samples"].tolist() == [24]
    assert max(chosen(poor_topic(), 20, THREE)) < 20
    assert len(chosen(poor_topic(), 22, THREE)) == 22


def test_outlier_says_how_poor_a_group_may_be():
    # nothing is further down than where a measure is clipped, three standard deviations
    lenient = FedHDSQuality(
        features="words", space="random", grouping="kmeans", groups=3, outlier=3.5
    )
    summary, _ = lenient.group(poor_topic(), {}, {}, RNG)
    assert summary["sizes"].tolist() == [10, 10, 4]


def test_where_all_groups_are_poor_none_is_left_out():
    # only what is in a group has wrong answers, and most is in none
    labels = np.array([0] * 3 + [1] * 3 + [NOISE] * 18)
    signals = client(POOR, wrong=range(6), answers=[1, 2] * 3 + POOR[6:])
    kept, quality = METHOD.sift(signals, labels)
    assert kept.tolist() == labels.tolist()
    assert np.median(quality[:6]) < -METHOD.outlier


def test_groups_that_are_left_are_numbered_from_zero():
    signals = client(POOR[::-1], wrong=range(4), answers=[1, 0, 1, 0, *POOR[19::-1]])
    kept, _ = METHOD.sift(signals, np.array([0] * 4 + [1] * 10 + [2] * 10))
    assert kept.tolist() == [NOISE] * 4 + [0] * 10 + [1] * 10


def test_samples_all_alike_are_all_as_good():
    signals = client([0] * 5)
    same = Signals(5, {name: np.repeat(a[:1], 5, axis=0) for name, a in signals.arrays.items()})
    kept, quality = METHOD.sift(same, np.array([0, 0, 0, 1, 1]))
    assert kept.tolist() == [0, 0, 0, 1, 1]
    assert quality.tolist() == [0.0] * 5


@pytest.mark.parametrize("samples", [0, 1, 2, 3])
def test_few_samples_are_served(samples):
    assert len(chosen(client([0] * samples), 9)) == samples


@pytest.mark.parametrize("name", ["loss_alone", "loss_with_prompt", "mean_states"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_signals_that_are_not_finite_are_refused(name, value):
    signals = client(TOPICS)
    signals.arrays[name][3] = value
    with pytest.raises(ValueError, match="non-finite"):
        METHOD.group(signals, {}, {}, RNG)


@pytest.mark.parametrize(
    ("features", "needed"),
    [
        ("both", {"mean_states", "words"}),
        ("words", {"mean_states", "words"}),
        ("last-token", {"hidden_states", "mean_states"}),
    ],
)
def test_quality_is_read_from_states_and_losses_alone(features, needed):
    read = FedHDSQuality(features=features).needs()
    assert len(set(read)) == len(read)
    assert set(read) == needed | {"loss_with_prompt", "loss_alone"}


@pytest.mark.parametrize("outlier", [0.0, -1.0, float("nan")])
def test_outlier_out_of_range_is_refused(outlier):
    with pytest.raises(ValueError, match="outlier must be above 0"):
        FedHDSQuality(outlier=outlier)


def test_options_of_what_it_builds_on_are_checked_and_named():
    with pytest.raises(ValueError, match="groups must be at least 1"):
        FedHDSQuality(groups=0)
    assert FedHDSQuality(keep_noise=True).unused() == ("keep_noise",)
