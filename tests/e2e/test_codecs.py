"""Whole runs with each codec: what they send, and that they go on as they would have."""

import pytest
from safetensors.numpy import load_file
from small import small_config

import fedhds
from fedhds import registry
from fedhds.files import read_json
from fedhds.types import Silent

CODECS = registry.names("codec")


class Interrupting(Silent):
    """Progress that ends the run after its first round, as Ctrl-C would."""

    def say(self, event, text, **facts):
        if event == "round":
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return small_config(tmp_path_factory.mktemp("small"))


def with_codec(plain, codec, **changes):
    return plain | {"federation": plain["federation"] | {"codec": codec}} | changes


@pytest.fixture(scope="module")
def finished(plain, tmp_path_factory):
    """The folders of a run with each codec."""
    folder = tmp_path_factory.mktemp("runs")
    for codec in CODECS:
        fedhds.run(with_codec(plain, codec), folder / codec)
    return folder


def adapter(folder):
    arrays = load_file(folder / "adapter" / "adapter_model.safetensors")
    return {name: array.tobytes() for name, array in arrays.items()}


def test_runs_send_a_half_and_about_a_quarter(finished):
    sent = {codec: read_json(finished / codec / "summary.json")["bytes"] for codec in CODECS}
    # one to each of four clients in three rounds, and to all eight at four evaluations
    sizes = {codec: account["adapters_down"] / (3 * 4 + 4 * 8) for codec, account in sent.items()}
    assert sizes["bfloat16"] == sizes["float32"] / 2
    # of rank 8 and sides of 8, 16 and 24: of each direction four bytes to some 16 of its own
    assert sizes["float32"] / 4 < sizes["int8"] < sizes["float32"] / 3
    # clients that select nothing send nothing, and who does may differ
    for codec, account in sent.items():
        assert 0 < account["adapters_up"] <= 3 * 4 * sizes[codec]
        assert account["adapters_up"] % sizes[codec] == 0


def test_each_codec_learns(finished):
    for codec in CODECS:
        scores = read_json(finished / codec / "summary.json")["validation"]
        assert scores["after"]["loss"] < scores["before"]["loss"]


@pytest.mark.parametrize("codec", CODECS)
def test_resumed_run_equals_an_uninterrupted_one(plain, finished, tmp_path, codec):
    config, out = with_codec(plain, codec), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        fedhds.run(config, out, progress=Interrupting())
    assert fedhds.run(config, out, resume=True).summary["resumed_from"] == 1
    assert adapter(out) == adapter(finished / codec)


def test_coresets_can_be_chosen_alone(plain, tmp_path):
    result = fedhds.select(with_codec(plain, "int8"), tmp_path / "run")
    assert result.summary["samples_used"] > 0
    assert result.summary["bytes"]["adapters_up"] == 0
