"""What every aggregation must keep to."""

import inspect
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedhds import registry
from fedhds.rng import generator


@pytest.fixture(params=registry.names("aggregation"))
def method(request):
    return registry.load("aggregation", request.param)()


def adapters(count):
    rng = generator(0, "adapters")
    return [
        {
            "a": rng.normal(size=(2, 3)).astype(np.float32),
            "b": rng.normal(size=4).astype(np.float32),
        }
        for _ in range(count)
    ]


def test_source_is_named(method):
    assert "Source:" in (inspect.getmodule(method).__doc__ or "")


def trained(parts, samples):
    """Give adapters with their samples as the server does: once, each made when it is asked for."""
    return ((part, count) for part, count in zip(parts, samples, strict=True))


def test_names_shapes_and_dtypes_are_kept(method):
    merged = method.aggregate(trained(adapters(3), [1, 2, 3]))
    assert {n: (a.shape, a.dtype.name) for n, a in merged.items()} == {
        "a": ((2, 3), "float32"),
        "b": ((4,), "float32"),
    }


def test_one_adapter_comes_back_unchanged(method):
    (adapter,) = adapters(1)
    merged = method.aggregate(trained([adapter], [5]))
    assert all(np.array_equal(merged[name], adapter[name]) for name in adapter)


def test_adapters_are_left_as_they_were(method):
    given_adapters, before = adapters(3), adapters(3)
    method.aggregate(trained(given_adapters, [1, 2, 3]))
    for now, then in zip(given_adapters, before, strict=True):
        assert all(np.array_equal(now[name], then[name]) for name in then)


def test_nothing_to_aggregate_is_refused(method):
    with pytest.raises(ValueError, match="nothing to aggregate"):
        method.aggregate(iter([]))


def test_merged_values_lie_between_the_clients(method):
    parts = adapters(4)
    merged = method.aggregate(trained(parts, [1, 9, 2, 4]))
    stacked = np.stack([part["a"] for part in parts])
    assert (stacked.min(axis=0) - 1e-6 <= merged["a"]).all()
    assert (merged["a"] <= stacked.max(axis=0) + 1e-6).all()


def test_no_more_is_held_than_the_method_says(method):
    made, most = [], 0

    def arriving():
        nonlocal most
        for _ in range(5):
            adapter = {"a": np.ones((2, 3), np.float32)}
            made.append(weakref.ref(adapter["a"]))
            yield adapter, 1
            del adapter
            most = max(most, sum(array() is not None for array in made))

    method.aggregate(arriving())
    assert most == {"one adapter": 1, "all adapters": 5}[method.holds]


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=6))
def test_fedavg_agrees_with_numpys_average(samples):
    method = registry.load("aggregation", "fedavg")()
    parts = adapters(len(samples))
    expected = np.average([p["a"] for p in parts], axis=0, weights=samples)
    assert np.allclose(method.aggregate(trained(parts, samples))["a"], expected, atol=1e-6)
