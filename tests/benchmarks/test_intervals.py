"""The simulation of intervals: its ways are told apart, and its tables say what was measured."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "intervals.py"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    spec = importlib.util.spec_from_file_location("benchmark_of_intervals", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_drawn_differences_have_the_deviations_asked_for(benchmark):
    truth = benchmark.Truth(seed=0.5, task=0.3, noise=0.0, difference=2.0, skewed=True)
    cells = truth.draw(np.random.default_rng(0), (4000, 1, 2, 2))
    assert cells.mean() == pytest.approx(2, abs=0.05)
    # Without noise, cells of two seeds and one task differ by two seed effects.
    assert (cells[:, 0, 0, 0] - cells[:, 0, 1, 0]).std() == pytest.approx(0.5 * 2**0.5, rel=0.1)
    assert (cells[:, 0, 0, 0] - cells[:, 0, 0, 1]).std() == pytest.approx(0.3 * 2**0.5, rel=0.1)


def test_intervals_over_seeds_alone_miss_where_tasks_vary(benchmark):
    found = benchmark.measure(benchmark.NULLS["tasks"], 5, 10, 12, families=40, draws=50)
    assert found["seeds alone"][0] > 0.5
    assert found["pooled"][0] < 0.2


def test_intervals_of_any_way_hold_the_mean(benchmark):
    cells = benchmark.NULLS["noise"].draw(np.random.default_rng(1), (4, 3, 3, 10))
    rng = np.random.default_rng(2)
    family = benchmark.Family(
        cells, benchmark.weights(rng, 3, 200), benchmark.weights(rng, 10, 200)
    )
    for way in benchmark.WAYS.values():
        low, high = way(family)
        assert low.shape == high.shape == (4, 3)
        assert ((low <= family.mean) & (family.mean <= high)).all()


def test_tables_have_a_row_a_setting_and_mark_what_misses_too_often(benchmark):
    lines = benchmark.table({"tasks": benchmark.NULLS["tasks"]}, 0, families=8, draws=20)
    assert len(lines) == 2 + 3 * 3 * 2 + 1  # head, seeds x tasks x comparisons, an empty line
    assert any("**" in line for line in lines)
