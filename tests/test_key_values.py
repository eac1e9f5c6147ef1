import pytest
import torch
from tiny import tiny_adapter, tiny_language_model

from fedhds.key_values import SHORTEST, Beginning, joined
from fedhds.models import inference

ALIKE = [[*range(5, 5 + SHORTEST), 60 + i, 70] for i in range(3)]


def read(model, sequences):
    with inference(model.model):
        return Beginning.of(model, sequences)


@pytest.mark.parametrize(
    "sequences",
    [
        [],
        ALIKE[:1],  # nobody to share with
        [ALIKE[0][1:], ALIKE[1][1:]],  # too short
        [*ALIKE, [5, 6]],  # one that shares little
        [ALIKE[0][:SHORTEST]] * 2,  # one token must be left
    ],
)
def test_nothing_is_read_where_nothing_is_saved(model, sequences):
    assert read(model, sequences) == Beginning()


def test_the_beginning_is_what_all_share(model):
    found = read(model, ALIKE)
    assert found.length == SHORTEST
    assert found.cache.layers[0].keys.shape[:3] == (1, 1, SHORTEST)


def test_a_batchs_copy_leaves_the_original_alone(model):
    found = read(model, ALIKE)
    copy = found.of_rows(3)
    copy.update(torch.zeros(3, 1, 1, 8), torch.zeros(3, 1, 1, 8), 0)
    assert copy.layers[0].keys.shape == (3, 1, SHORTEST + 1, 8)
    assert found.cache.get_seq_length() == SHORTEST


def test_nothing_is_shared_behind_virtual_tokens():
    model = tiny_language_model(adapter=tiny_adapter("prompt-tuning"))
    assert read(model, ALIKE) == Beginning()


def test_rows_are_joined_at_their_last_tokens_and_have_room(model):
    with inference(model.model):
        parts = [
            model.base(torch.tensor(rows), use_cache=True).past_key_values
            for rows in ([[5, 6, 7], [8, 9, 10]], [[11]])
        ]
    one = joined(parts, 2)
    keys = one.layers[1].keys
    assert keys.shape[:3] == (3, 1, 3)
    torch.testing.assert_close(keys[:2], parts[0].layers[1].keys)
    torch.testing.assert_close(keys[2:, :, 2:], parts[1].layers[1].keys)
    assert (keys[2, :, :2] == 0).all()
    added = torch.ones(3, 1, 1, 8)
    grown, _ = one.update(added, added, 1)
    torch.testing.assert_close(grown, torch.cat([keys, added], 2))
    one.reorder_cache(torch.tensor([2]))
    torch.testing.assert_close(one.layers[1].keys, grown[2:])
