import numpy as np
import pytest

from fedhds.aggregation.fedavg import FedAvg
from fedhds.aggregation.flexlora import FlexLoRA
from fedhds.rng import generator

A, B, OTHER = "layer.lora_A.default.weight", "layer.lora_B.default.weight", "layer.magnitude"


def adapters(count, rank=2, inputs=7, outputs=5, zero=False):
    rng = generator(0, "flexlora")
    shapes = {A: (rank, inputs), B: (outputs, rank), OTHER: (outputs,)}
    drawn = [
        {n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()} for _ in range(count)
    ]
    for adapter in drawn if zero else ():
        adapter[B][:] = 0
    return drawn


def mean_product(parts, samples):
    return np.average([part[B] @ part[A] for part in parts], axis=0, weights=samples)


@pytest.mark.parametrize(("count", "inputs", "outputs"), [(3, 7, 5), (2, 3, 9), (4, 40, 30)])
def test_product_is_the_best_of_its_rank(count, inputs, outputs):
    # Eckart and Young: the best approximation keeps the largest singular values
    parts, samples = adapters(count, 2, inputs, outputs), list(range(1, count + 1))
    wanted = mean_product(parts, samples)
    left, values, right = np.linalg.svd(wanted, full_matrices=False)
    best = (left[:, :2] * values[:2]) @ right[:2]
    merged = FlexLoRA().aggregate(zip(parts, samples, strict=True))
    assert np.allclose(merged[B] @ merged[A], best, atol=1e-5)
    assert {n: a.dtype.name for n, a in merged.items()} == dict.fromkeys(parts[0], "float32")


@pytest.mark.parametrize(("inputs", "outputs"), [(7, 1), (1, 5), (2, 2)])
def test_layer_narrower_than_the_rank_keeps_its_product(inputs, outputs):
    # a product with a side of 1 or 2 has no more singular values, so nothing is lost at rank 4
    parts = adapters(3, 4, inputs, outputs)
    merged = FlexLoRA().aggregate((part, 1) for part in parts)
    assert {n: a.shape for n, a in merged.items()} == {n: a.shape for n, a in parts[0].items()}
    assert np.allclose(merged[B] @ merged[A], mean_product(parts, [1, 1, 1]), atol=1e-5)


def test_product_of_equal_adapters_stays():
    # the mean of copies has the rank of one, so nothing is lost
    (part,) = adapters(1)
    merged = FlexLoRA().aggregate((part, samples) for samples in (1, 5, 2))
    assert np.allclose(merged[B] @ merged[A], part[B] @ part[A], atol=1e-5)


def test_fedavg_loses_what_flexlora_keeps():
    # the same product twice, once with both factors' signs turned: mean factors cancel out
    (part,) = adapters(1)
    turned = {**part, A: -part[A], B: -part[B]}
    flex, plain = (m.aggregate([(part, 1), (turned, 1)]) for m in (FlexLoRA(), FedAvg()))
    assert np.allclose(flex[B] @ flex[A], part[B] @ part[A], atol=1e-5)
    assert not plain[B].any()


def test_untrained_adapters_stay_without_effect():
    merged = FlexLoRA().aggregate((part, 1) for part in adapters(3, zero=True))
    assert not (merged[B] @ merged[A]).any()
    assert np.isfinite(merged[A]).all()


def test_what_is_no_factor_is_averaged():
    parts = adapters(2)
    merged = FlexLoRA().aggregate(zip(parts, [1, 3], strict=True))
    assert np.allclose(merged[OTHER], (parts[0][OTHER] + 3 * parts[1][OTHER]) / 4)
