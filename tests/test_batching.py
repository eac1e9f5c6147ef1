import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedhds.batching import TOKENS, by_length

CPU = torch.device("cpu")


@given(st.lists(st.integers(1, 600), max_size=60), st.integers(1, 20))
def test_every_sequence_is_in_one_batch_that_is_not_too_large(lengths, size):
    batches = by_length(lengths, size, CPU)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[i] for i in batch)
        assert len(batch) <= size
        assert padded <= TOKENS["cpu"] or len(batch) == 1


def test_longest_come_first_and_ties_keep_their_order():
    assert by_length([3, 5, 3, 9], 2, CPU) == [[3, 1], [0, 2]]


def test_a_batch_is_filled_by_tokens():
    # 768 tokens hold two sequences of 300 and seven of 100
    assert [len(batch) for batch in by_length([300] * 4 + [100] * 14, 50, CPU)] == [2, 2, 7, 7]


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_other_devices_have_a_size_too(device):
    assert by_length([4, 4], 2, torch.device(device)) == [[0, 1]]
