"""Whether wrong answers stand apart, by the model that the demo tunes."""

from importlib.resources import files

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import fedhds
from fedhds import config as configuration
from fedhds.models import load_adapter
from fedhds.preparation import prepare
from fedhds.selection._alignment import ira
from fedhds.selection.feddqc import FedDQC
from fedhds.selection.ifd import ifd
from fedhds.signals import compute
from fedhds.types import Silent

DEMO = files("fedhds") / "assets" / "demo.yaml"
QUIET = Silent()


def held(experiment):
    return [sample for client in experiment.data.clients for sample in client.train]


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """The two losses of all samples, three in ten with another one's answer, and without."""
    out = tmp_path_factory.mktemp("demo") / "run"
    # what is evaluated changes nothing of what is tuned
    quick = ["evaluation.per_task=1", "evaluation.max_new_tokens=1"]
    fedhds.run(configuration.load(DEMO, quick), out)
    swapped = prepare(configuration.load(DEMO, ["data.corrupted=0.3"]), QUIET, selects=False)
    load_adapter(swapped.model.model, out / "adapter")
    samples = held(swapped)
    wrong = np.array([bool(sample.example.row.get("corrupted")) for sample in samples])
    clean = held(prepare(configuration.load(DEMO), QUIET, selects=False))
    assert [sample.prompt for sample in clean] == [sample.prompt for sample in samples]
    names = FedDQC().needs()
    losses, before = (
        [compute(name, swapped.model, each, 32, QUIET) for name in names]
        for each in (samples, clean)
    )
    return wrong, losses, before


def test_alignment_ranks_right_answers_above_wrong_ones(scored):
    wrong, losses, _ = scored
    assert 0.28 < wrong.mean() < 0.32
    assert roc_auc_score(~wrong, ira(*losses)) >= 0.8


def test_difficulty_ranks_wrong_answers_above_right_ones(scored):
    wrong, losses, _ = scored
    assert roc_auc_score(wrong, ifd(*losses)) >= 0.8


def test_swapping_answers_lowers_the_mean_alignment_of_the_same_samples(scored):
    wrong, losses, before = scored
    assert ira(*losses)[wrong].mean() < ira(*before)[wrong].mean()
