"""What the benchmark of coverage makes of judgements, two partitions of them by hand."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "coverage.py"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    spec = importlib.util.spec_from_file_location("benchmark_of_coverage", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(gain, redundancy=0.4, corrupted=0.3):
    return {
        "coverage": 0.5 + gain,
        "gain": gain,
        "redundancy": redundancy,
        "tasks": 20,
        "corrupted": corrupted,
    }


# fedhds-aligned: gains of .03 and .05 have a mean of .04 and a standard error of .01
GAINS = {"fedhds-aligned": (0.03, 0.05), "fedhds-quality": (0.02, 0.02), "ceiling": (0.1, 0.1)}


def judged(cases, partition):
    rows = {name: row(gains[partition]) for name, gains in GAINS.items()}
    rows["fedhds-aligned"]["redundancy"] = 0.5
    rows["fedhds-quality"]["corrupted"] = 0.1
    rows |= {"fedhds": row(0.01, corrupted=0.33), "coreset-cent": row(0.035)}
    chance = {"coverage": 0.5, "coverage_sd": 0.01, "redundancy": 0.3, "tasks": 18}
    space = rows | {"random draws": chance}
    return {"samples": 600, "judged": {case: {"lexical": space} for case in cases}}


def found(benchmark, federation):
    return {federation: [judged(benchmark.CASES, partition) for partition in (0, 1)]}


def test_bars_of_coverage_are_held_against_the_means(benchmark):
    lines = benchmark.bars(found(benchmark, "toy"))
    assert lines[2:6] == [
        "| gain > 2 standard errors | toy | once, 50 | lexical | 4.0 | met |",
        "| gain >= coreset-cent's | toy | once, 50 | lexical | +0.0400 against +0.0350 | met |",
        "| redundancy <= coreset-cent's | toy | once, 50 | lexical | 0.500 against 0.400 "
        "| **not met** |",
        "| gain >= 25% of the ceiling's | toy | once, 50 | lexical | 40% | met |",
    ]
    assert len(lines) == 2 + 4 * len(benchmark.CASES)


def test_bars_of_quality_are_held_on_swapped_answers(benchmark):
    federation = "toy, swapped answers"
    lines = benchmark.bars(found(benchmark, federation))
    where = f"{federation} | once, 50 | lexical"
    # a third of 33% is 11%; three quarters of .04 are .03
    assert lines[2:4] == [
        f"| corrupted <= a third of fedhds's | {where} | 10.0% against 33.0% | met |",
        f"| at most a quarter of aligned's gain lost | {where} | +0.0200 against +0.0400 "
        "| **not met** |",
    ]
    assert len(lines) == 2 + 2 * 2  # the two cases of one round


def test_nothing_judged_holds_no_bar(benchmark):
    assert len(benchmark.bars({})) == 2


def test_table_has_a_line_for_what_was_judged_alone(benchmark):
    parts = found(benchmark, "toy")["toy"]
    said, _, _, _, *rows, last = benchmark.table(parts, "once, 50", "lexical")
    assert said.endswith("coverage of random ones 0.5000 ± 0.0100:")
    assert [line.split(" | ")[0] for line in rows] == [
        *(f"| {name}" for name in benchmark.MAIN),
        *(f"| {name}" for name in benchmark.REFERENCES),
    ]
    assert rows[1] == "| fedhds-aligned | 2 | +0.0400 ± 0.0100 | 40% | 0.500 | 20.0 | 30.0% |"
    assert rows[4] == "| random draws | 2 | – | – | 0.300 | 18.0 | – |"
    assert last == ""
