import copy
import dataclasses
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from fedhds.data.partition.column import ColumnPartition
from fedhds.data.partition.dirichlet import DirichletPartition
from fedhds.data.partition.iid import IidPartition
from fedhds.data.partition.task import TaskPartition
from fedhds.data.skew import summarise
from fedhds.registry import load, names, source
from fedhds.types import Example, Partition, UserError

EXAMPLES = [
    Example(f"i{n}", "", f"o{n}", f"task-{n % 3}", (f"o{n}",), {"writer": f"w{n % 4}", "n": n})
    for n in range(120)
]
OPTIONS: dict[str, Any] = {"clients": 4, "by": "writer"}
"""Values for options without a default, by name."""


def example_of(name: str) -> Partition:
    """Build a partition, giving only the options that have no default."""
    method = load("partition", name)
    required = [f.name for f in dataclasses.fields(method) if f.default is dataclasses.MISSING]
    built: Partition = method(**{option: OPTIONS[option] for option in required})
    return built


every_partition = pytest.mark.parametrize("name", names("partition"))


@every_partition
def test_each_example_is_on_exactly_one_client(name: str) -> None:
    parts = example_of(name).split(EXAMPLES, 1)
    positions = [position for _, part in parts for position in part]
    assert sorted(positions) == list(range(len(EXAMPLES)))
    assert all(part == sorted(part) for _, part in parts)
    assert all(type(position) is int for position in positions)


@every_partition
def test_same_seed_gives_the_same_split_and_leaves_the_input(name: str) -> None:
    before = copy.deepcopy(EXAMPLES)
    assert example_of(name).split(EXAMPLES, 1) == example_of(name).split(EXAMPLES, 1)
    assert before == EXAMPLES


@every_partition
def test_names_are_sorted_and_distinct(name: str) -> None:
    client_names = [client for client, _ in example_of(name).split(EXAMPLES, 1)]
    assert client_names == sorted(set(client_names))


@every_partition
def test_partition_names_its_source(name: str) -> None:
    assert source("partition", name)


@pytest.mark.parametrize("name", ["dirichlet", "iid"])
def test_other_seed_gives_another_split(name: str) -> None:
    assert example_of(name).split(EXAMPLES, 1) != example_of(name).split(EXAMPLES, 2)


@pytest.mark.parametrize(
    "partition", [TaskPartition(), ColumnPartition("task")], ids=["task", "column"]
)
def test_tasks_become_clients(partition: Partition) -> None:
    parts = partition.split(EXAMPLES, 1)
    assert [name for name, _ in parts] == ["task-0", "task-1", "task-2"]
    assert parts[1][1][:3] == [1, 4, 7]


def test_column_values_become_clients() -> None:
    examples = [dataclasses.replace(EXAMPLES[0], row={"age": age}) for age in (7, 10, 7)]
    assert ColumnPartition("age").split(examples, 1) == [("10", [1]), ("7", [0, 2])]


def test_iid_clients_are_equally_large_and_alike() -> None:
    # 120 = 7 * 17 + 1: one client of 18, six of 17.
    sizes = [len(part) for _, part in IidPartition(7).split(EXAMPLES, 1)]
    assert Counter(sizes) == {18: 1, 17: 6}


def test_small_alpha_is_more_skewed_than_large() -> None:
    distances = []
    for alpha in (0.1, 1000):
        parts = DirichletPartition(4, alpha, min_size=1).split(EXAMPLES, 1)
        clients = [(name, [EXAMPLES[position] for position in part]) for name, part in parts]
        distances.append(summarise(clients)["total_variation"])
    assert distances[0] > 0.3
    assert distances[1] < 0.1


def test_dirichlet_by_column_keeps_labels_apart() -> None:
    # With almost no concentration each of the four writers falls to one client as a whole.
    parts = DirichletPartition(2, 1e-6, by="writer", min_size=0).split(EXAMPLES, 1)
    writers = [{EXAMPLES[position].row["writer"] for position in part} for _, part in parts]
    assert writers[0].isdisjoint(writers[1])


def test_dirichlet_respects_the_smallest_size() -> None:
    for seed in range(5):
        parts = DirichletPartition(4, 0.5, min_size=15).split(EXAMPLES, seed)
        assert min(len(part) for _, part in parts) >= 15


@pytest.mark.parametrize(
    "clients", [IidPartition(1001), DirichletPartition(1001, 50.0, min_size=1)]
)
def test_names_grow_with_the_number_of_clients(clients: Partition) -> None:
    parts = clients.split([EXAMPLES[0]] * 60_000, 1)
    assert (parts[0][0], parts[-1][0]) == ("client-0000", "client-1000")


@pytest.mark.parametrize(
    ("partition", "message"),
    [
        (IidPartition(121), "partition.clients: 121 clients cannot share 120 examples"),
        (DirichletPartition(121), "partition.clients: 121 clients cannot share 120 examples"),
        (DirichletPartition(13), "partition.min_size: 120 examples are too few for 13 clients"),
        (DirichletPartition(12, 0.01), "partition.min_size: no draw gave each of 12 clients"),
        (ColumnPartition("author"), "partition.by: there is no column 'author'; .* writer, n$"),
        (DirichletPartition(2, by="author"), "partition.by: there is no column 'author'"),
    ],
)
def test_impossible_split_names_its_key(partition: Partition, message: str) -> None:
    with pytest.raises(UserError, match=message):
        partition.split(EXAMPLES, 1)


@pytest.mark.parametrize(
    ("partition", "message"),
    [
        (TaskPartition(), "data.columns.task: 1 of 121 examples have no task"),
        (DirichletPartition(2), "data.columns.task: 1 of 121 examples have no task"),
        (ColumnPartition("writer"), "partition.by: 1 of 121 examples have no value in .* 'writer'"),
    ],
)
def test_example_of_no_client_is_refused(partition: Partition, message: str) -> None:
    with pytest.raises(UserError, match=message):
        partition.split([*EXAMPLES, Example("i", "", "o", "", ("o",))], 1)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: IidPartition(0), "clients must be at least 1"),
        (lambda: DirichletPartition(0), "clients must be at least 1"),
        (lambda: DirichletPartition(2, 0.0), "alpha must be above 0"),
        (lambda: DirichletPartition(2, float("nan")), "alpha must be above 0"),
        (lambda: DirichletPartition(2, float("inf")), "alpha must be above 0"),
        (lambda: DirichletPartition(2, min_size=-1), "min_size must not be negative"),
    ],
)
def test_impossible_option_is_named(build: Callable[[], Partition], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_dirichlet_prints_nothing_and_phones_nowhere() -> None:
    program = (
        "import os; os.environ.pop('FLWR_TELEMETRY_ENABLED', None)\n"
        "from fedhds.data.partition.dirichlet import DirichletPartition\n"
        "from fedhds.types import Example\n"
        "examples = [Example('', '', '', str(n % 3), ()) for n in range(60)]\n"
        "DirichletPartition(4, 0.5).split(examples, 1)\n"
        "from flwr_datasets.common import telemetry\n"
        "assert telemetry.FLWR_TELEMETRY_ENABLED == '0'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
