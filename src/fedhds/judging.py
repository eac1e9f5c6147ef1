"""How representative a finished selection is: its coreset beside chance and two references.

It reads all clients' texts in one place, which a federation exists to avoid: for experiments
on one machine, in process or simulated, and never for a deployment.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fedhds import config as configuration
from fedhds import run_folder
from fedhds.config import Config
from fedhds.data.texts import text_of
from fedhds.evaluation.coverage import DRAWS, compare
from fedhds.evaluation.spaces import SentenceEncoder, lexical
from fedhds.federation.client_app import coreset_row
from fedhds.files import json_line, write_json
from fedhds.models import LanguageModel, set_threads
from fedhds.preparation import Inputs, check_models, read_inputs
from fedhds.pretrained import load_base
from fedhds.readings import base_source
from fedhds.rng import generator
from fedhds.selection._layers import pooled
from fedhds.selection.coreset_cent import representatives
from fedhds.signals import Reader
from fedhds.sites import coreset_files
from fedhds.types import Array, ClientData, Example, Progress, Silent, UserError


def judge(
    folder: str | Path, encoder: str | Path | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Judge the coresets of a finished ``fedhds select``: the union over clients and rounds.

    Coverage is the mean over all clients' training samples of the highest cosine to a chosen
    one, redundancy the mean over the chosen of the highest cosine to another, in spaces made
    of the texts and not of hidden states. Beside it stand 20 random coresets of the
    same size, drawn from all samples; `fedhds.selection.coreset_cent`, which sees all clients'
    hidden states under the base model; and greedy facility location in the judging space.

    Parameters
    ----------
    folder : path
        The run folder. ``judgement.json`` is written into it.
    encoder : path, optional
        A folder with a sentence encoder, for a second space.

    Returns
    -------
    dict
        What is written: ``method``, ``seed``, ``size`` of the coreset, ``samples``, ``in_all``
        how many ``tasks`` and ``data_sets`` (of rows' column ``dataset``) there are, where
        there are any, ``draws``, and under ``spaces`` the rows of
        `fedhds.evaluation.coverage.compare`: ``method``, ``coreset-cent``, ``ceiling`` and
        ``random draws``.

    Raises
    ------
    UserError
        If ``folder`` is no finished selection, its data changed, nothing was chosen, or
        ``encoder`` is no folder with a model.
    """
    out, progress = Path(folder), progress or Silent()
    config = _config(out)
    sentences = SentenceEncoder.load(encoder) if encoder is not None else None
    set_threads(config.model.threads)
    inputs = read_inputs(config, Silent(), selects=False)  # the selection told of them
    run_folder.check_data(out, inputs.data.fingerprint)
    chosen = chosen_positions(out, inputs.data.clients)
    if not len(chosen):
        raise UserError(f"no sample was chosen in '{folder}', so there is nothing to judge")
    examples = [sample.example for client in inputs.data.clients for sample in client.train]
    labels = labels_of(examples)
    central = central_order(config, inputs, progress)[: len(chosen)]
    coresets = {"method": chosen, "coreset-cent": central}
    spaces = _spaces(examples, sentences, config, progress)
    found = {
        "method": config.selection_name,
        "seed": config.seed,
        "size": len(chosen),
        "samples": len(examples),
        "in_all": {kind: len({*of} - {""}) for kind, of in labels.items()},
        "draws": DRAWS,
        "spaces": {n: compare(rows, coresets, labels, config.seed) for n, rows in spaces.items()},
    }
    write_json(out / "judgement.json", found)
    return found


def _config(out: Path) -> Config:
    needed = ("config.yaml", "summary.json", "coresets")
    if not all((out / name).exists() for name in needed):
        raise UserError(f"'{out}' is not the folder of a finished 'fedhds select'")
    return configuration.load(out / "config.yaml")


def chosen_positions(out: Path, clients: Sequence[ClientData]) -> Array:
    """Return the positions of a selection's samples among all clients' samples, ascending.

    Raises
    ------
    UserError
        If a coreset's row is none of its client's samples.
    """
    starts = np.cumsum([0, *(len(client.train) for client in clients)])
    files = coreset_files(out, clients)
    parts = [
        start + np.array(_positions(path, client), np.int64)
        for start, path, client in zip(starts, files, clients, strict=False)
        if path.is_file()  # a client that never took part has none
    ]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _positions(path: Path, client: ClientData) -> list[int]:
    """Find the rows of a coreset among the client's samples, which they are in the order of."""
    with path.open(encoding="utf-8") as lines:  # of a file: text alone has more ends of lines
        rows = [json.loads(line) for line in lines]
    samples = enumerate(
        json.loads(json_line(coreset_row(client, i))) for i in range(len(client.train))
    )
    found = []
    for number, row in enumerate(rows, start=1):
        row.pop("group", None)
        position = next((i for i, sample in samples if sample == row), None)
        if position is None:
            raise UserError(f"'{path}' line {number} is no training sample of '{client.name}'")
        found.append(position)
    return found


def labels_of(examples: Sequence[Example]) -> dict[str, list[str]]:
    """Return each sample's task and its data set ("" for none), leaving out what none has."""
    labels = {
        "tasks": [example.task for example in examples],
        "data_sets": [str(example.row.get("dataset") or "") for example in examples],
    }
    return {kind: of for kind, of in labels.items() if any(of)}


def _spaces(
    examples: Sequence[Example],
    sentences: SentenceEncoder | None,
    config: Config,
    progress: Progress,
) -> dict[str, Array]:
    """Return the judging spaces, by name."""
    texts = [text_of(example) for example in examples]
    spaces = {"lexical": lexical(texts, config.seed)}
    if sentences is not None:
        size = config.evaluation.batch_size
        spaces["sentence encoder"] = sentences.encode(texts, size, progress)
    return spaces


def central_order(config: Config, inputs: Inputs, progress: Progress) -> Array:
    """Order all samples as Coreset-Cent takes them, by the base model's hidden states."""
    base = load_base(base_source(config))
    model = LanguageModel(base, inputs.tokenizer, base.device)
    check_models(config, inputs, {None: model})
    clients, batch_size = inputs.data.clients, config.evaluation.batch_size
    features = [
        pooled(Reader(model, client.train, batch_size, True, Silent()).read("hidden_states"))
        for client in progress.track(clients, "hidden states of all clients", len(clients))
    ]
    rng = generator(config.seed, "judge coreset-cent")
    total = sum(len(client.train) for client in clients)
    return representatives(np.concatenate(features), total, rng)[0]
