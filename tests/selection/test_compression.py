"""The growing text's sizes are those of zlib, byte for byte."""

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedhds.rng import generator
from fedhds.selection._compression import GrowingText

# repeated and drawn bytes by turns: short pieces, and some that alone fill zlib's 32 kB window
DRAWN = st.builds(
    lambda seed, size, letters: generator(seed, "drawn").integers(letters, size=size),
    st.integers(0, 5),
    st.integers(0, 70_000),
    st.sampled_from([2, 26, 256]),
).map(lambda numbers: bytes(numbers.tolist()))
PIECES = st.one_of(st.binary(max_size=300), st.text("ab\n", max_size=300).map(str.encode), DRAWN)


def grown(pieces):
    text = GrowingText()
    for piece in pieces:
        text.append(piece)
    return text


@settings(max_examples=60, deadline=None)
@given(st.lists(PIECES, max_size=12), st.lists(PIECES, max_size=3))
def test_sizes_are_those_of_compressing_everything_at_once(pieces, candidates):
    text, whole = grown(pieces), b"".join(pieces)
    assert text.length == len(whole)
    for candidate in [b"", *candidates]:
        assert text.compressed_with(candidate) == len(zlib.compress(whole + candidate, 9))


@pytest.mark.parametrize("step", [1, 700, 32_768, 100_000])
def test_sizes_do_not_depend_on_how_the_text_was_cut(step):
    whole = generator(0, "whole").bytes(40_000) + 9_000 * b"again and " + b"the end"
    text = grown(whole[i : i + step] for i in range(0, len(whole), step))
    assert text.compressed_with(whole[:500]) == len(zlib.compress(whole + whole[:500], 9))


def test_candidates_leave_no_trace():
    text = grown([b"one two three"])
    first = text.compressed_with(b"four")
    text.compressed_with(b"one two three" * 5000)
    assert text.compressed_with(b"four") == first
    assert text.length == 13
