"""Where all clients' samples lie, which were chosen and in which groups: a report's map.

It reads all clients' texts in one place, which a federation exists to avoid: for experiments
on one machine, in process or simulated, and never for a deployment. No text is written.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from fedhds.data.texts import text_of
from fedhds.evaluation.layout import layout
from fedhds.evaluation.spaces import lexical
from fedhds.federation.client_store import CORESET, ClientStore
from fedhds.preparation import Experiment
from fedhds.rng import generator
from fedhds.signals import remembered
from fedhds.sites import client_store
from fedhds.types import Array, GroupingMethod, Progress, SelectionMethod

MOST = 20_000
"""Samples that a map is made of; of more, there is none."""

AFTER_ALL = 10**6
"""Later than any round."""


def sample_map(experiment: Experiment, folder: Path, progress: Progress) -> dict[str, Any] | None:
    """Describe all training samples and what the run in ``folder`` chose of them.

    Returns
    -------
    dict or None
        Parallel columns, client by client: ``client``, ``task`` (its place in ``tasks``),
        ``x`` and ``y`` (of the samples' words, see `layout`), ``group`` (the client's own, as
        it was grouped last; -1 for none) and ``chosen`` (1 or 0). None of too many samples.
    """
    clients = experiment.data.clients
    examples = [sample.example for client in clients for sample in client.train]
    if not clients:  # of a deployment, whose samples are not here
        return None
    if not 0 < len(examples) <= MOST:
        progress.say("map", f"no map is made of {len(examples):,} samples: {MOST:,} at most")
        return None
    tasks = sorted({example.task for example in examples})
    numbers = {task: number for number, task in enumerate(tasks)}
    places = _places([text_of(example) for example in examples])
    method, parts = experiment.config.selection_method, []
    for number, client in enumerate(clients):
        parts.append(_chosen(method, client_store(folder, number), len(client.train)))
    sizes = [len(client.train) for client in clients]
    return {
        "tasks": tasks,
        "client": np.repeat(np.arange(len(clients)), sizes).tolist(),
        "task": [numbers[example.task] for example in examples],
        "x": [round(float(x), 4) for x in places[:, 0]],
        "y": [round(float(y), 4) for y in places[:, 1]],
        "group": np.concatenate([groups for _, groups in parts]).tolist(),
        "chosen": np.concatenate([chosen for chosen, _ in parts]).tolist(),
    }


def _places(texts: list[str]) -> Array:
    """Place texts by their words; the same texts are placed once and remembered."""
    key = sha256(repr(("sample map", texts)).encode()).hexdigest()
    return remembered(key, lambda: layout(lexical(texts, 0), generator(0, "sample map")))


def _chosen(method: SelectionMethod, store: ClientStore, samples: int) -> tuple[Array, Array]:
    """Read what a client chose (1 or 0) and its groups, each of shape (samples,)."""
    chosen, groups = np.zeros(samples, np.int64), np.full(samples, -1)
    if (coreset := store.before(CORESET, AFTER_ALL, 0)) is not None:
        chosen[coreset["used"]] = 1
        groups[coreset["used"]] = coreset["used_groups"]
    memory = store.before("memory", AFTER_ALL, 0)
    if isinstance(method, GroupingMethod) and memory:
        groups = method.labels(memory, samples)
    return chosen, groups
