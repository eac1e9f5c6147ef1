"""From an experiment to its clients' sites: in this process, or once in each other process.

Joins preparation with the federation's clients, as `experiment` does for the server.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from fedhds import config as configuration
from fedhds import run_folder
from fedhds.federation.client_app import Site
from fedhds.federation.client_store import ClientStore, RoundAdapter
from fedhds.federation.handshake import handshake
from fedhds.models import adapter_arrays
from fedhds.preparation import Experiment, max_length, prepare
from fedhds.readings import base_source
from fedhds.run_folder import Verb
from fedhds.types import Array, ClientData, Progress, Silent, UserError


def build_sites(experiment: Experiment, folder: Path, verb: Verb, progress: Progress) -> list[Site]:
    """Describe the clients to the ClientApp; all share the one model in memory."""
    clients = experiment.data.clients
    adapters = RoundAdapter(folder / "clients" / "adapter")
    files = coreset_files(folder, clients)
    first = build_site(experiment, 0, client_store(folder, 0), adapters, None, progress)
    return [
        replace(
            first,
            client=number,
            data=data,
            readers=experiment.readers(number, progress),
            store=client_store(folder, number),
            coresets=files[number] if verb == "select" else None,
        )
        for number, data in enumerate(clients)
    ]


def build_site(
    experiment: Experiment,
    number: int,
    store: ClientStore,
    adapters: RoundAdapter,
    coresets: Path | None,
    progress: Progress,
) -> Site:
    """Describe an experiment's first client, under a number, to the ClientApp."""
    config = experiment.config
    codec = config.codec_method
    return Site(
        client=number,
        data=experiment.data.clients[0],
        model=experiment.model,
        readers=experiment.readers(0, progress),
        method=config.selection_method,  # built anew whenever it is asked for
        tuning=config.tuning,
        max_new_tokens=config.evaluation.max_new_tokens,
        batch_size=config.evaluation.batch_size,
        seed=config.seed,
        store=store,
        adapters=adapters,
        coresets=coresets,
        progress=progress,
        codec=codec,
        adapter_schema=codec.schema(adapter_arrays(experiment.model)),
    )


def digests(experiment: Experiment) -> dict[str, Array]:
    """Digest what server and sites of a deployment must have alike (see `handshake`)."""
    config, model = experiment.config, experiment.model
    return handshake(
        base_source(config),
        model.tokenizer,
        config.data.prompt,
        max_length(config),
        config.codec_method.schema(adapter_arrays(model)),
        config.selection_method,
    )


def coreset_files(folder: Path, clients: Sequence[ClientData]) -> list[Path]:
    """Say where in a run folder each client's coreset is written."""
    return [folder / "coresets" / name for name in _file_names([c.name for c in clients])]


def client_store(folder: Path, client: int) -> ClientStore:
    """Return what a client of this machine keeps in a run folder."""
    return ClientStore(folder / "clients" / str(client))


def check_kept(folder: Path, lines: Sequence[str]) -> None:
    """Refuse to resume where a power cut took what clients had kept in finished rounds.

    Parameters
    ----------
    lines : sequence of str
        The finished rounds' lines of ``rounds.jsonl``.

    Raises
    ------
    UserError
        Naming the client.
    """
    last: dict[int, int] = {}
    now = len(lines)
    for record in map(json.loads, lines):
        took_part = [c for c in record["clients"] if str(c) not in record["failed"]]
        last |= dict.fromkeys(took_part, record["round"])
    for client, round in last.items():
        if not client_store(folder, client).survived(round, now):
            raise UserError(
                f"client {client} lost what it kept in round {round}, as in a power cut, so "
                f"'{folder}' cannot be resumed: say --overwrite"
            )


@dataclass(frozen=True)
class SiteOpener:
    """Opens sites in a process that is not the server's, where it arrives pickled.

    That process prepares the experiment by itself, once, and serves all messages from it:
    one base model per process, and no data or model travels.

    Attributes
    ----------
    config : str
        The configuration as JSON.
    folder : Path
        The run folder, absolute.
    """

    config: str
    folder: Path
    verb: Verb

    @classmethod
    def of(cls, experiment: Experiment, folder: Path, verb: Verb) -> SiteOpener:
        """Describe an experiment to processes that each take one client's CPUs and GPUs."""
        plain = experiment.config.resolved()
        own_cores = max(1, int(experiment.config.federation.client_cpus))
        plain["model"]["threads"] = experiment.config.model.threads or own_cores
        plain["model"]["device"] = experiment.model.device.type  # each sees only its own GPUs
        return cls(json.dumps(plain), folder.absolute(), verb)

    def __call__(self, context: Any, run: int) -> Site:
        """Return the site of the client that Flower's context is for; the folder is of one run."""
        return _prepare_sites(self)[int(context.node_config["partition-id"])]


@lru_cache(maxsize=1)
def _prepare_sites(opener: SiteOpener) -> list[Site]:
    experiment = prepare(configuration.parse(json.loads(opener.config)), Silent())
    run_folder.check_data(opener.folder, experiment.data.fingerprint)
    run_folder.check_knowledge(opener.folder, experiment.knowledge)
    return build_sites(experiment, opener.folder, opener.verb, Silent())


def _file_names(names: Sequence[str]) -> list[str]:
    """Turn clients' names into file names, each once even where the file system folds case."""
    taken: Counter[str] = Counter()
    files = []
    for name in names:
        plain = re.sub(r"[^\w.-]+", "_", name).strip("._")[:100] or "client"
        taken[plain.casefold()] += 1
        count = taken[plain.casefold()]
        files.append(f"{plain}.jsonl" if count == 1 else f"{plain}~{count}.jsonl")
    return files
