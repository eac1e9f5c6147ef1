"""Hashed words of samples' texts."""

import math

import numpy as np
import pytest
from sklearn.utils import murmurhash3_32

from fedhds.signals import compute
from fedhds.types import Example, Sample, Silent

TEXTS = ["The red fox runs", "Add 12 and 30 and 12", "the the the", "?", ""]


def of(*fields):
    """A sample of instruction, input and output, whose tokens play no part."""
    example = Example(*(*fields, "", "")[:3], "t", ("",))
    return Sample(example, (5,), (6,))


@pytest.fixture
def words(model):
    def read(*samples, batch_size=3):
        return compute("words", model, samples, batch_size, Silent())

    return read


def column(word):
    return abs(murmurhash3_32(word)) % 4096


def test_counts_are_damped_and_rows_scaled(words):
    (row,) = words(of("red fox", "", "Red"))
    # red twice: 1 + ln 2 = 1.693; fox once: 1; their length: sqrt(1.693 ** 2 + 1) = 1.966
    expected = np.zeros(4096)
    expected[column("red")] = (1 + math.log(2)) / math.hypot(1 + math.log(2), 1)
    expected[column("fox")] = 1 / math.hypot(1 + math.log(2), 1)
    np.testing.assert_allclose(row, expected, rtol=1e-6)
    assert row.max() == pytest.approx(0.8610, abs=1e-4)


def test_rows_have_unit_length_and_texts_without_words_are_zeros(words):
    rows = words(*map(of, TEXTS))
    assert (rows.dtype, rows.shape) == (np.float32, (5, 4096))
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1, 1, 0, 0])
    assert (rows >= 0).all()


def test_instruction_input_and_output_all_count_and_do_not_run_together(words):
    rows = words(of("red", "fox", "runs"), of("red fox runs"), of("redfox", "", "runs"))
    assert np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])


def test_case_is_folded(words):
    rows = words(of("RED Été"), of("red été"))
    assert np.array_equal(rows[0], rows[1])
    assert rows[0, column("été")] == pytest.approx(math.sqrt(0.5))


def test_other_samples_do_not_matter(words):
    rows = words(*map(of, TEXTS))
    for text, row in zip(TEXTS, rows, strict=True):
        assert np.array_equal(words(of(text), batch_size=1)[0], row)


def test_of_no_samples_have_the_same_axes(words):
    assert words().shape == (0, 4096)


def test_model_is_not_run(model, samples):
    model.base.get_input_embeddings().register_forward_hook(lambda *_: pytest.fail("it ran"))
    assert not compute("words", model, samples, 2, Silent()).any()  # their texts are empty
