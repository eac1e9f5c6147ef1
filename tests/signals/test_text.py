"""Samples' texts as bytes."""

import dataclasses

import numpy as np
import pytest

from fedhds.signals import compute
from fedhds.types import Example, Sample, Silent


def of(*fields):
    """A sample of instruction, input and output, whose tokens play no part."""
    example = Example(*(*fields, "", "")[:3], "t", ("",))
    return Sample(example, (5,), (6,))


@pytest.fixture
def text(model):
    return lambda *samples: compute("text", model, samples, 3, Silent())


def test_fields_are_lines_and_empty_ones_are_left_out(text):
    found = text(of("Add.", "1 2", "3"), of("Say hi.", "", "hi"), of(""))
    assert (found.dtype, found.shape) == (object, (3,))
    assert found.tolist() == [b"Add.\n1 2\n3", b"Say hi.\nhi", b""]


@pytest.mark.parametrize("written", ["caf\u00e9\na\n\nb", "cafe\u0301\r\na\r\rb"])
def test_what_reads_alike_is_alike(text, written):
    assert text(of(written)).tolist() == [b"caf\xc3\xa9\na\n\nb"]


@pytest.mark.parametrize("other", [{"task": "u"}, {"row": {"id": 7}}, {"references": ("x", "y")}])
def test_nothing_but_the_text_counts(text, other):
    one = of("red", "fox", "runs")
    changed = dataclasses.replace(one, example=dataclasses.replace(one.example, **other))
    same = dataclasses.replace(changed, prompt=(7, 8), response=(9,))
    assert np.array_equal(text(one), text(same))


def test_of_no_samples_have_the_same_axes(text):
    assert (text().dtype, text().shape) == (object, (0,))


def test_model_is_not_run(model):
    model.base.get_input_embeddings().register_forward_hook(lambda *_: pytest.fail("it ran"))
    assert compute("text", model, [of("a")], 2, Silent()).tolist() == [b"a"]
