"""Texts are found by rare words that they share, and never those that repeat the question."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedhds.data import retrieval
from fedhds.data.retrieval import TOP, retrieve

BASE = ["the red apple", "the green pear", "the red pear tree", "the tall tree"]


def test_texts_that_share_more_and_rarer_words_come_first():
    # "red", "pear", "tree" stand in two of four texts each: the third has all of them, "the
    # red apple" and "the green pear" one and a rarer word besides, "the tall tree" likewise
    assert retrieve(["red pear tree"], BASE) == ([[2, 0, 1, 3]], 0)
    assert retrieve(["a tall apple"], BASE)[0] == [[0, 3]]


def test_equally_similar_texts_come_by_position():
    assert retrieve(["blue pear"], ["pear one", "pear one", "pear two"])[0] == [[0, 1, 2]]


def test_no_more_than_five_are_found():
    assert retrieve(["blue pear"], ["pear one"] * 9)[0] == [[0, 1, 2, 3, 4]]
    assert TOP == 5


@pytest.mark.parametrize("copy", ["the red apple", "The red, red APPLE!", "apple the red"])
def test_a_text_that_repeats_the_question_is_passed_over_and_counted(copy):
    # of words, case, signs and order do not count; a second "red" changes the angle by little
    found, copies = retrieve([copy, "green"], BASE)
    assert copies == 1
    # then come the text with "red", too, and those that share "the" alone, by position
    assert found == [[2, 1, 3], [1]]


def test_words_the_base_has_not_make_a_question_another():
    # "apple" alone repeats the first text; of three words, two unknown, it is a small part
    assert retrieve(["apple"], ["apple", "pear"]) == ([[]], 1)
    assert retrieve(["apple quince fig"], ["apple", "pear"]) == ([[0]], 0)


def test_what_has_only_common_words_in_common_is_not_found():
    base = [f"the {word} {word}er {word}est" for word in ("long", "short", "dark", "old", "new")]
    assert retrieve(["the sun sets behind seven hills"], base) == ([[]], 0)


@pytest.mark.parametrize(("texts", "base"), [([], BASE), (["red"], []), (["?"], ["!"])])
def test_nothing_is_found_where_there_is_nothing(texts, base):
    assert retrieve(texts, base) == ([[]] * len(texts), 0)


words = st.lists(st.sampled_from(["red", "green", "tall", "apple", "pear"]), max_size=5)
texts = st.lists(words.map(" ".join), max_size=6)


@settings(deadline=None, max_examples=30)
@given(texts, texts)
def test_what_one_finds_depends_on_no_other_question(asked, base):
    alone = [retrieve([text], base) for text in asked]
    found, copies = retrieve(asked, base)
    assert found == [places for (places,), _ in alone]
    assert copies == sum(number for _, number in alone)


def test_blocks_make_no_difference(monkeypatch):
    asked = ["red pear tree", "a tall apple", *BASE]
    whole = retrieve(asked, BASE)
    monkeypatch.setattr(retrieval, "ENTRIES", 1)
    assert retrieve(asked, BASE) == whole
