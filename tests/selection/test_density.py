"""Density on word counts made by hand: distinct samples, and copies."""

import numpy as np
import pytest

from fedhds.rng import generator
from fedhds.selection._race import counted, hashed
from fedhds.selection.density import MOST, Density
from fedhds.types import Signals

RNG = generator(0, "unused")
NARROW = Density(features="words", dimensions=64, bandwidth=0.01)
"""Nothing but copies are near to each other."""


def words(*numbers):
    """Make a client of samples; equal numbers are copies, also across clients."""
    rows = generator(0, "words").random((100, 256))[list(numbers)].astype(np.float32)
    return Signals(len(numbers), {"words": rows})


def play(method, clients, budget, lost=()):
    """Play all exchanges; ``lost`` maps a step to who drops out of it.

    Returns the last replies, the clients' memories and the server's state.
    """
    memory, state = {client: {} for client in clients}, {}
    received = {client: {} for client in clients}
    for number, step in enumerate(method.steps):
        said = {c: step.client(clients[c], received[c], memory[c], RNG) for c in received}
        memory |= {client: kept for client, (_, kept) in said.items()}
        heard = {
            c: summary for c, (summary, _) in said.items() if c not in dict(lost).get(number, ())
        }
        state, received = step.server(state, heard, budget, RNG)
    return received, memory, state


def quotas(received):
    return {client: int(reply["quota"][0]) for client, reply in received.items()}


def test_pooled_counts_are_those_of_all_samples_together():
    clients = {0: words(*range(30)), 1: words(*range(20, 60))}
    agree, count, _ = NARROW.steps
    told = {c: agree.client(s, {}, {}, RNG) for c, s in clients.items()}
    _, spaces = agree.server({}, {c: summary for c, (summary, _) in told.items()}, None, RNG)
    counts = {c: count.client(clients[c], spaces[c], told[c][1], RNG)[0] for c in clients}
    _, pooled = count.server({}, counts, None, RNG)
    points = [NARROW.place(clients[c], spaces[c], told[c][1]) for c in clients]
    found = hashed(np.concatenate(points), 100, 2048, 0.01, 0)
    assert np.array_equal(pooled[0]["counts"], counted(found, 2048))
    assert pooled[0] is pooled[1]


def test_copies_are_a_tenth_as_likely_each_where_there_are_ten():
    # four of the ten on the other client. By chance a mean over 100 rows of 2,048 buckets is off
    # by less than sqrt((60 + 10**2) / 2048 / 100) = .03, and .15 is five of these
    clients = {0: words(*range(30), *[99] * 6), 1: words(*range(30, 60), *[99] * 4)}
    _, memory, _ = play(NARROW, clients, 10)
    for client in clients:
        assert (memory[client]["density"] >= 1).all()
        assert memory[client]["density"][:30] == pytest.approx(np.ones(30), abs=0.15)
        assert memory[client]["density"][30:] == pytest.approx(10, abs=0.15)


def test_budget_goes_where_little_is_said_twice():
    # weights 1 and 10 (ten copies, ten distinct): of 6 the quotients .5/10, 1.5/10 .. 4.5/10 of
    # the one come before .5/1 of the other, and that before 5.5/10
    clients = {0: words(*[99] * 10), 1: words(*range(10))}
    received, _, _ = play(NARROW, clients, 6)
    assert quotas(received) == {0: 1, 1: 5}


@pytest.mark.parametrize("step", [0, 1, 2])
def test_those_who_are_left_share_the_whole_budget(step):
    clients = {c: words(*range(10 * c, 10 * c + 10)) for c in range(3)}
    received, memory, _ = play(NARROW, clients, 15, {step: [1]}.items())
    assert sum(quotas(received).values()) == 15
    assert sorted(received) == [0, 2]
    drawn = {c: NARROW.pick(clients[c], received[c], memory[c], RNG) for c in received}
    assert sum(map(len, drawn.values())) == 15


def test_small_clients_say_nothing_and_give_what_others_cannot():
    clients = {0: words(1, 2), 1: words(*range(10)), 2: words(5)}
    for budget, expected in ((10, [0, 10, 0]), (12, [1, 10, 1]), (13, [2, 10, 1])):
        received, memory, state = play(NARROW, clients, budget)
        assert list(quotas(received).values()) == expected
    assert "2 client(s) have fewer than selection.minimum_group" in NARROW.remarks(state)[0]
    assert "hashed" not in memory[0]
    summary, _ = NARROW.count(clients[0], {}, {}, RNG)
    assert not summary["counts"].any()
    assert NARROW.remarks({"small_clients": np.array([0])}) == ()


def test_later_rounds_read_no_signals():
    _, memory, _ = play(NARROW, {0: words(*range(10))}, 5)
    summary, _ = NARROW.count(Signals(10), {}, memory[0], RNG)
    assert summary["counts"].sum(axis=1).tolist() == [10] * 100


def test_nobody_weighs_more_than_its_samples_or_counts_beyond_the_type():
    said = {
        0: {"weight": np.array([1e9]), "samples": np.array([5])},
        1: {"weight": np.array([5.0]), "samples": np.array([5])},
    }
    assert quotas(NARROW.share({}, said, 4, RNG)[1]) == {0: 2, 1: 2}
    full = {"counts": np.full((100, 2048), MOST, np.int32)}
    _, pooled = NARROW.pool({}, {0: full, 1: full}, 4, RNG)
    assert (pooled[0]["counts"] == MOST).all()


def drawn(quota, draws=4000):
    """Count how often each sample of densities 1, 1, 2 and 4 is drawn."""
    memory = {"density": np.array([1.0, 1.0, 2.0, 4.0])}
    found = np.zeros(4)
    for seed in range(draws):
        received = {"quota": np.array([quota])}
        found[NARROW.pick(Signals(4), received, memory, generator(seed, "p")).indices] += 1
    return found


def test_first_sample_is_drawn_by_the_inverse_of_its_density():
    # 4 : 4 : 2 : 1 of 11. Chi-square of 3 degrees of freedom is above 16.3 in 1 of 1,000 cases
    expected = 4000 * np.array([4, 4, 2, 1]) / 11
    assert ((drawn(1) - expected) ** 2 / expected).sum() < 16.3


def test_next_sample_is_drawn_in_the_same_way_from_the_others():
    # in both draws: first, or second after each other one: p_i + sum over j of p_j p_i / (1 - p_j)
    first = np.array([4, 4, 2, 1]) / 11
    second = [
        sum(first[j] * first[i] / (1 - first[j]) for j in range(4) if j != i) for i in range(4)
    ]
    chances = first + second
    margin = 4 * np.sqrt(chances * (1 - chances) / 4000)  # standard deviations
    assert (np.abs(drawn(2) / 4000 - chances) < margin).all()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"rows": 0}, "rows must be at least 1"),
        ({"buckets": 1}, "buckets must be at least 2"),
        ({"bandwidth": 0.0}, "bandwidth must be above 0 and finite"),
        ({"bandwidth": float("inf")}, "bandwidth must be above 0 and finite"),
        ({"minimum_group": 1}, "minimum_group must be at least 2"),
    ],
)
def test_options_out_of_range_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        Density(**options)


def test_layers_are_unused_where_no_states_are_read():
    assert Density(features="words", layers="last").unused() == ("layers",)
    assert Density(features="words").unused() == Density(layers="last").unused() == ()
