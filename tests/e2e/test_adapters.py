"""Every kind of adapter through a whole run, and scored again from what the run left."""

import pytest
from small import small_config

import fedhds
from fedhds import registry
from fedhds.experiment import evaluate_run


@pytest.mark.parametrize("kind", registry.names("adapter"))
def test_run_of_each_kind_is_scored_again_as_it_was(kind, tmp_path):
    config = small_config(tmp_path, federation__rounds=1, evaluation__every=0, adapter__kind=kind)
    summary = fedhds.run(config, out=tmp_path / "run").summary
    assert summary["config"]["adapter"]["kind"] == kind
    assert summary["loss_after"] != summary["loss_before"]
    again = evaluate_run(tmp_path / "run")
    assert (again["loss"], again["rouge_l"]) == (summary["loss_after"], summary["rouge_l_after"])
