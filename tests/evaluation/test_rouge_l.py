import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from fedhds.evaluation.rouge_l import score, tokenize

texts = st.text(max_size=30)
ascii_texts = st.text(st.characters(max_codepoint=127), max_size=40)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The quick, brown fox!", ["the", "quick", "brown", "fox"]),
        ("snake_case don't", ["snake", "case", "don", "t"]),
        ("Straße ＡＢＣ１２ ﬁn", ["strasse", "abc12", "fin"]),
        ("cafe\u0301 café", ["café", "café"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("می\u200cخواهم", ["میخواهم"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("私はGPT4です。", ["私", "は", "gpt4", "で", "す"]),
        ("ไทย2", ["ไ", "ท", "ย", "2"]),
        ("ที่", ["ที่"]),
        ("a❤️b", ["a", "b"]),
        ("❤ :)", ["❤", ":", ")"]),
        (" \n", []),
    ],
)
def test_tokens(text, tokens):
    assert tokenize(text) == tokens


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        # LCS "police the gunman" is 3 of 4 and 4 words: the example of Lin (2004), section 3.1
        ("police kill the gunman", "police killed the gunman", 0.75),
        ("the gunman kill police", "police killed the gunman", 0.5),
        # LCS 1 of 1 and 3 words: 2 * 1 * 1/3 / (1 + 1/3)
        ("yes", "yes of course", 0.5),
        ("Yes!", "yes", 1.0),
        ("", "yes", 0.0),
        ("yes", "", 0.0),
        ("", " ", 1.0),
        ("!", "yes", 0.0),
        ("東京", "京都", 0.5),
    ],
)
def test_score_by_hand(prediction, reference, expected):
    assert score(prediction, [reference]) == pytest.approx(expected)


def test_the_best_reference_counts():
    assert score("red", ["blue", "dark red", "red"]) == 1.0


def test_needs_a_reference():
    with pytest.raises(ValueError, match="at least one reference"):
        score("yes", [])


@given(texts)
def test_a_text_equals_itself(text):
    assert score(text, [text]) == 1.0


@given(texts, texts)
def test_score_is_symmetric_and_bounded(left, right):
    forth, back = score(left, [right]), score(right, [left])
    assert forth == pytest.approx(back)
    assert 0 <= forth <= 1


@given(ascii_texts, ascii_texts)
def test_agrees_with_the_library_on_ascii_words(prediction, reference):
    # the library finds no token at all in punctuation alone
    assume(any(c.isalnum() for c in prediction) and any(c.isalnum() for c in reference))
    library = RougeScorer(["rougeL"]).score(reference, prediction)["rougeL"].fmeasure
    assert score(prediction, [reference]) == library
