"""ZIP against its definition, computed by compressing whole sets at once."""

import zlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedhds.rng import generator
from fedhds.selection.zip import Zip
from fedhds.types import Signals

SMALL = {"pool": 9, "shortlist": 4, "batch": 2}
TEXTS = st.lists(st.one_of(st.binary(max_size=90), st.text("ab", max_size=90).map(str.encode)))
QUIET = settings(max_examples=60, deadline=None)


def chosen(texts, quota, **options):
    """The positions that ZIP chooses; it gets no randomness at all."""
    held = np.empty(len(texts), object)
    held[:] = texts
    method = Zip(**options)
    signals = Signals(len(texts), {"text": held})
    return method.pick(signals, {"quota": np.array([quota])}, {}, None).indices.tolist()


def random_bytes(size, seed=0):
    return generator(seed, "bytes").bytes(size)


def ratio(texts):
    whole = b"\n".join(texts)
    return len(whole) / len(zlib.compress(whole, 9))


def greedy(texts, quota):
    """Take the text with which the set's ratio is lowest, again and again."""
    taken = []
    for _ in range(quota):
        left = [i for i in range(len(texts)) if i not in taken]
        taken.append(min(left, key=lambda i: ratio([texts[j] for j in [*taken, i]])))
    return sorted(taken)


@QUIET
@given(TEXTS.map(lambda texts: list(dict.fromkeys(texts))), st.data())
def test_batch_of_everything_is_the_greedy_choice(texts, data):
    quota = data.draw(st.integers(0, len(texts)))
    assert chosen(texts, quota, minimum_bytes=0) == greedy(texts, quota)


@QUIET
@given(TEXTS)
def test_budgets_are_kept_by_different_samples_and_larger_ones_hold_smaller_ones(texts):
    before = set()
    for quota in range(len(texts) + 2):
        found = chosen(texts, quota, **SMALL, minimum_bytes=20)
        assert len(found) == len(set(found)) == min(quota, len(texts))
        assert before <= set(found)
        before = set(found)


@QUIET
@given(st.lists(st.sampled_from([b"", b"ab", b"a" * 2000, bytes(range(200))]) | st.binary()))
def test_no_text_is_taken_again_before_every_text_was_taken(texts):
    for quota in range(len(texts) + 1):
        counts = Counter(texts[i] for i in chosen(texts, quota, **SMALL))
        twice = any(count > 1 for count in counts.values())
        assert len(counts) == (len(set(texts)) if twice else quota)


@pytest.mark.parametrize("apart", [0, 20_000, 50_000])
def test_copy_waits_for_the_most_repetitive_text_however_far_the_first_is(apart):
    copied, repetitive = random_bytes(80, seed=1), 10_000 * b"a"
    texts = [copied, random_bytes(apart + 64), copied, repetitive]
    # with a copy the ratio stays near 1, and with 10 kB of one letter it is higher: the rule
    # decides, not the ratio
    assert ratio(texts[:3]) < ratio([*texts[:2], repetitive])
    assert chosen(texts, 3) == [0, 1, 3]


def test_short_texts_come_after_others_and_before_copies():
    short, long = b"ok", 100 * b"a"
    texts = [short, long, short, long, random_bytes(63), random_bytes(64)]
    order = [{1, 5}, {0, 4}, {3}, {2}]  # long, short, a long copy, a short one
    for tiers in range(1, 5):
        expected = set().union(*order[:tiers])
        assert set(chosen(texts, len(expected))) == expected


def test_near_copies_are_taken_once():
    # drawn bytes, so that nothing but the near copies repeats
    near = [random_bytes(300) + bytes([i]) for i in range(10)]
    other = [random_bytes(300, seed) for seed in range(1, 11)]
    found = chosen(near + other, 11)
    assert sum(i < 10 for i in found) == 1


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_what_was_listed_and_not_taken_goes_back(batch):
    # all six are listed for the first batch; the next ones are of those it left
    texts = [random_bytes(100, seed) for seed in range(6)]
    assert chosen(texts, 5, pool=6, shortlist=6, batch=batch) == greedy(texts, 5)


# Four that are nearly one (301 / 312: drawn bytes cannot be compressed), and one that says 100
# bytes three times (300 / 117). With one of the four, another makes 603 / 336 and the fifth
# 602 / 437.
NEAR = [*(random_bytes(300) + bytes([i]) for i in range(4)), 3 * random_bytes(100, seed=1)]


def test_batch_is_taken_from_the_list_alone():
    assert chosen(NEAR, 2, shortlist=2, batch=2) == [0, 1]
    assert chosen(NEAR, 2, shortlist=2, batch=1) == [0, 4]


def test_samples_stand_by_what_they_added_when_they_were_last_looked_at():
    # The pool is 0 and 1, of which 0 is taken; then 1 and 2, of which 1 is taken and 2 seen to
    # add little (301 / 23); then 3, never compared with 0, and the last (300 / 109), which has
    # the lower ratio. By ratios of sets 2 (603 / 336) would be in that pool instead of it.
    assert chosen(NEAR, 3, pool=2, shortlist=2, batch=1) == [0, 1, 4]


@pytest.mark.parametrize("texts", [[], [b""], 5 * [b"the same"], [b"", b"", b"a"]], ids=str)
def test_more_than_there_is_takes_all(texts):
    assert chosen(texts, 9) == list(range(len(texts)))


def test_ties_go_to_the_earlier_sample():
    # the same letters in other places: one size, alone and with each other
    texts = [letter * 100 for letter in (b"a", b"b", b"c", b"d")]
    assert len({len(zlib.compress(text, 9)) for text in texts}) == 1
    assert chosen(texts, 2) == [0, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "batch must be at least 1"),
        ({"shortlist": 99}, "shortlist must be at least the batch, which is 100"),
        ({"pool": 199}, "pool must be at least the shortlist, which is 200"),
        ({"minimum_bytes": -1}, "minimum_bytes must be at least 0"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Zip(**options)
