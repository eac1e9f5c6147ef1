"""What a site adds noise to: the server can neither work the noise out nor cancel it."""

from dataclasses import replace

import numpy as np
import pytest
from flwr.app import Context, Message, RecordDict
from tiny import random_samples, tiny_language_model

from fedhds.codecs.float32 import Float32
from fedhds.federation.client_app import Site, build_client_app
from fedhds.federation.client_store import ClientStore, RoundAdapter
from fedhds.federation.in_process import answer, flower_identity
from fedhds.federation.messages import ADAPTER, KINDS, SELECT, SELECTION, Content, pack, unpack
from fedhds.models import adapter_arrays
from fedhds.selection.fedhds import FedHDS
from fedhds.signals import Reader
from fedhds.tuning.options import TuningOptions
from fedhds.types import ClientData, Silent

LOUD = FedHDS(minimum_group=3, noise=10_000.0)
"""Noise of a standard deviation of 100, on numbers within -1 and 1."""


@pytest.fixture
def describe(tmp_path):
    """Ask a site to describe its groups; return their centroids."""
    model = tiny_language_model()
    train = tuple(random_samples(12, seed=1))
    readers = {name: Reader(model, train, 4, False, Silent()) for name, _ in LOUD.reads().values()}
    own = 1, ClientData("c", train, ()), model, readers, LOUD, TuningOptions(), 4, 4, 0
    kept = ClientStore(tmp_path / "memory"), RoundAdapter(tmp_path / "adapter")
    schema = Float32().schema(adapter_arrays(model))
    site = Site(*own, *kept, None, Silent(), Float32(), schema)
    untouched = adapter_arrays(model.model)

    def asked(noise_seed, method=LOUD, round=1, shift=0.0):
        asks = replace(site, method=method, noise_seed=noise_seed)
        adapter = {name: array + np.float32(shift) for name, array in untouched.items()}
        content = Content({"run": 0, "round": round, "step": 0}, {ADAPTER: adapter})
        with flower_identity():
            app = build_client_app(lambda context, run: asks)
            context = Context(1, 7, {}, RecordDict(), {})
            reply = answer(app, Message(pack(content), 7, SELECT), context)
        schemas = {SELECTION: method.steps[0].summary}
        return unpack(reply.content, KINDS[SELECT].up, schemas).arrays[SELECTION]["centroids"]

    return asked


def far(one, other):
    """Tell whether two descriptions differ by noise, which is larger than what it is added to."""
    count = min(len(one), len(other))
    return np.abs(one[:count] - other[:count]).max() > 10


def test_the_servers_seed_does_not_tell_the_noise(describe):
    assert far(describe(1), describe(None))
    assert far(describe(1), describe(2))


def test_the_same_question_has_the_same_answer_however_often_it_is_asked(describe):
    assert np.array_equal(describe(1), describe(1))


@pytest.mark.parametrize("other", [{"shift": 1e-6}, {"round": 2}])
def test_two_questions_whose_answers_are_alike_have_noise_of_their_own(describe, other):
    assert far(describe(1), describe(1, **other))
