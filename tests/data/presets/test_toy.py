from fedhds import config
from fedhds.data.presets.toy import Toy
from fedhds.data.toy import TASKS, generate


def test_rows_are_those_that_the_toy_generates() -> None:
    train, unseen = Toy(3).read(None, None, seed=5)
    assert (train.rows, unseen.rows) == generate(3, 5)
    assert len(train.rows) + len(unseen.rows) == 3 * len(TASKS)


def test_samples_a_task_are_a_key_of_data() -> None:
    assert config.load(None, ["data.toy_samples=7"]).data_preset == Toy(7)
