"""What the partition figure says."""

from pages import group, made, without_task_names

from fedhds.report.figures import partition


def kinds(*groups):
    return [panel.spec["title"]["text"] for panel in partition.figure(groups).panels]


def test_few_clients_are_drawn_by_task_and_many_by_size():
    assert kinds(group(made(clients=2))) == ["Samples of each task at each client"]
    assert kinds(group(made(clients=1000, samples=2000))) == [
        "Samples of each client",
        "Tasks of each client",
    ]


def test_runs_on_the_same_partition_are_drawn_once_and_seeds_apart():
    groups = [group(made(m), made(m, 1)) for m in ("fedhds", "random")]
    assert kinds(*groups) == [
        "Samples of each task at each client, seed 0",
        "Samples of each task at each client, seed 1",
    ]


def test_skew_is_said_in_words():
    # 3 samples go to 8 clients: the first, the third and the sixth
    (words,) = partition.figure([group(made(samples=3))]).notes
    assert words == (
        "Seed 0: 8 clients with 0 to 1 samples (median 0), 5 clients without any; 1.0 tasks per "
        "client on average; a client's mix of tasks differs from that of all by 0.70 on average "
        "(total variation: 0 is the same mix, 1 no task in common)."
    )


def test_few_clients_without_tasks_stand_below_their_bars_by_name():
    few, many = (group(without_task_names(made(clients=n, samples=50))) for n in (3, 30))
    (panel,) = partition.figure([few]).panels
    assert panel.spec["encoding"]["x"]["scale"]["domain"] == ["client 0", "client 1", "client 2"]
    (panel,) = partition.figure([many]).panels
    assert panel.spec["encoding"]["x"]["title"] == "clients, the largest first"
    assert panel.spec["encoding"]["x"]["type"] == "quantitative"


def test_clients_with_as_many_tasks_each_are_one_bar_around_that_number():
    figure = partition.figure([group(made(clients=1000, samples=5000))])  # five of each client
    assert figure.panels[1].spec["encoding"]["x"]["scale"]["domain"] == [4.5, 5.5]
