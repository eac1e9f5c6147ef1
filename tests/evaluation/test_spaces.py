"""Spaces made of text: words, and a tiny sentence encoder built here."""

import shutil

import numpy as np
import pytest
import torch
from tiny import save_encoder

from fedhds.evaluation.spaces import LONGEST, SentenceEncoder, lexical
from fedhds.types import Silent, UserError

TEXTS = ["the red fox runs", "the red fox sleeps", "a number is added", "a number is added"]


def lengths(rows):
    return np.linalg.norm(rows, axis=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_encoder(tmp_path_factory.mktemp("encoder"))


def encode(folder, texts, batch_size=8):
    return SentenceEncoder.load(folder).encode(texts, batch_size, Silent())


# --- words --------------------------------------------------------------------------------------


def test_texts_of_the_same_words_are_near_and_of_others_far():
    rows = lexical(TEXTS, seed=0)
    cosines = rows @ rows.T
    assert lengths(rows) == pytest.approx(1)
    assert cosines[2, 3] == pytest.approx(1)
    # "the", "red", "fox" are in two texts and kept, "runs" and "sleeps" in one and left out
    assert cosines[0, 1] == pytest.approx(1)
    assert cosines[0, 2] == pytest.approx(0)


def test_text_without_a_known_word_is_a_row_of_zeros():
    rows = lexical([*TEXTS, "zzz", "?"], seed=0)
    assert lengths(rows).tolist() == pytest.approx([1, 1, 1, 1, 0, 0])


@pytest.mark.parametrize("texts", [["one text"], ["alpha beta", "gamma delta"], ["?", "!", ""]])
def test_few_and_strange_texts_work(texts):
    rows = lexical(texts, seed=0)
    assert rows.shape[0] == len(texts)
    assert np.isfinite(rows).all()
    assert set(lengths(rows).round(5)) <= {0, 1}


def many_texts():
    # 300 texts of 6 of 200 words each, no two alike
    rng = np.random.default_rng(0)
    return [" ".join(f"word{i}" for i in rng.integers(200, size=6)) for _ in range(300)]


def test_many_texts_have_at_most_128_dimensions_and_unit_length():
    rows = lexical(many_texts(), seed=0)
    assert rows.shape == (300, 128)
    assert rows.dtype == np.float32
    assert lengths(rows) == pytest.approx(1, abs=1e-5)


def test_lexical_space_is_the_same_again_and_in_any_order():
    texts = many_texts()
    rows, again = lexical(texts, seed=0), lexical(texts, seed=0)
    assert rows.tobytes() == again.tobytes()
    turned = lexical(texts[::-1], seed=1)[::-1]
    assert turned @ turned.T == pytest.approx(rows @ rows.T, abs=1e-5)


# --- a sentence encoder -------------------------------------------------------------------------


def test_encoding_is_the_mean_over_real_tokens(folder):
    encoder = SentenceEncoder.load(folder)
    tokens = torch.tensor([encoder.tokenizer("abc")["input_ids"]])
    with torch.no_grad():
        states = encoder.model(tokens).last_hidden_state[0].mean(0).numpy()
    # the longer text beside it makes padding
    row = encode(folder, ["abc", "a longer text"])[0]
    assert row == pytest.approx(states / np.linalg.norm(states), abs=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_batches_do_not_change_the_rows(folder, batch_size):
    rows = encode(folder, TEXTS)
    assert lengths(rows) == pytest.approx(1, abs=1e-6)
    assert encode(folder, TEXTS, batch_size) == pytest.approx(rows, abs=1e-6)


def test_long_texts_are_cut_and_empty_ones_work(folder):
    # the tiny model has 32 positions of the 256
    assert LONGEST == 256
    long, cut, empty = encode(folder, ["a" * 100, "a" * 32, ""])
    assert long == pytest.approx(cut, abs=1e-6)
    assert np.isfinite(empty).all()


@pytest.mark.parametrize(
    ("removed", "problem"),
    [
        ("config.json", "has no config.json"),
        ("model.safetensors", "cannot load the encoder"),
        ("tokenizer.json", "cannot load the encoder"),
    ],
)
def test_folder_that_is_no_encoder_is_refused(folder, tmp_path, removed, problem):
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / removed).unlink()
    with pytest.raises(UserError, match=problem) as told:
        SentenceEncoder.load(broken)
    assert str(told.value).startswith("encoder: ")
    with pytest.raises(UserError, match="there is no folder"):
        SentenceEncoder.load(tmp_path / "absent")
