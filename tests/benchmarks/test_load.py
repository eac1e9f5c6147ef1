"""The load benchmark: Flower's bytes lose nothing, and what it calls forged is refused."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Error

from fedhds.codecs.float32 import Float32
from fedhds.federation.in_process import flower_identity
from fedhds.federation.messages import ADAPTER, SELECT, SELECTION, TRAIN, Content

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "load.py"


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    module = importlib.import_module("load")
    monkeypatch.setattr(module, "PARAMETERS", 1000)
    with flower_identity():
        yield module


def answer(load, group, forge):
    """Return what the server makes of a reply."""
    honest = {ADAPTER: load.honest_adapter, SELECTION: load.honest_summary}[group]
    records = forge(honest())
    grid = load.CannedGrid([records if isinstance(records, Error) else load.canned(records)])
    if group == ADAPTER:
        schema = Float32().schema({"w": np.zeros(1000, np.float32)})
        asked, kind = Content({"choose": 1, "tune": 1}), TRAIN
    else:
        schema = load.FedHDS().steps[0].summary
        asked, kind = Content({"step": 0}), SELECT
    ((_, found),) = load.reached(grid, 1).stream(kind, {0: asked}, {group: schema}, 1)
    return found


@pytest.mark.parametrize("group", [ADAPTER, SELECTION])
def test_forged_replies_are_refused_and_honest_ones_are_not(load, group):
    assert isinstance(answer(load, group, lambda records: records), Content)
    for name, forge in load.forgeries(group).items():
        assert isinstance(answer(load, group, forge), str), name


def test_replies_that_are_too_long_are_refused(load):
    assert isinstance(answer(load, ADAPTER, load.longer(ADAPTER, 2)), str)
    assert isinstance(answer(load, SELECTION, load.longer(SELECTION, 10)), Content)  # of 500
    assert isinstance(answer(load, SELECTION, load.longer(SELECTION, 16)), str)  # 512 of 500


def test_what_goes_through_flowers_bytes_comes_out_again(load):
    message = load.Message(load.honest_adapter(), 5, TRAIN, group_id="1")
    again = load.from_wire(*load.to_wire(message))
    assert again.content == message.content
    assert again.metadata.dst_node_id == 5
    failed = load.Message(Error(100, "why"), reply_to=message)
    assert load.from_wire(*load.to_wire(failed)).error.reason == "why"
