"""A site: its node config, its policy and the server's experiment, joined to what answers messages.

Of the experiment a site takes the methods and their numbers. Where data and models are, and whether
a model may bring code, it says itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from fedhds import config as configuration
from fedhds.config import Config
from fedhds.deployment.state import state_folder
from fedhds.federation.client_app import Site
from fedhds.federation.client_store import ClientStore, RoundAdapter
from fedhds.federation.ledger import Ledger
from fedhds.federation.messages import BadMessage
from fedhds.federation.policy import Asked, Policy
from fedhds.federation.relay import EXPERIMENT_KEY
from fedhds.federation.site_guard import ClosedGuard, Guard, PolicyGuard
from fedhds.preparation import Experiment, OwnData, prepare
from fedhds.sites import build_site, digests
from fedhds.types import Silent, UserError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NodeConfig:
    """What a site says in its SuperNode's node config.

    Attributes
    ----------
    data : str
        Its training data: what ``data.train`` takes.
    model : str
        The base model: a folder or a hub id.
    policy : str
        Its policy file.
    columns : str
        Which of its columns are read as what, where their names differ from the preset's:
        ``instruction=question,output=answer``. No other column is ever read.
    preset : str or None
        The format of its data, as ``data.preset``.
    proxy, scorer, knowledge : str or None
        Where the methods' other inputs are, for those that read with such.
    device : str
        Where the model is to be, as ``model.device``.
    threads : int or None
        As ``model.threads``.
    state : str or None
        A folder for what outlives its processes; ``state`` beside the policy file by default.
    """

    data: str
    model: str
    policy: str
    columns: str = ""
    preset: str | None = None
    proxy: str | None = None
    scorer: str | None = None
    knowledge: str | None = None
    device: str = "auto"
    threads: int | None = None
    state: str | None = None

    @property
    def column_names(self) -> dict[str, str]:
        """The columns by what they are read as."""
        pairs = [pair.partition("=") for pair in self.columns.split(",") if pair.strip()]
        if bad := next((field for field, equals, name in pairs if not (equals and name)), None):
            raise UserError(f"node-config.columns: '{bad}' is not of the form field=column")
        return {field.strip(): name.strip() for field, _, name in pairs}


def open_site(context: Any, run: int) -> Site:
    """Open the site of a SuperNode for a run.

    Parameters
    ----------
    context : flwr.app.Context
        Flower's, with the experiment's text in the run config.
    run : int
        The run's number: what is kept of it has a folder of its own.

    Raises
    ------
    BadMessage
        If the site cannot take part. What is wrong with its own data or settings stands in
        its log and does not travel.
    """
    with _own_mistakes_stay_here():
        terms = _terms(context)
        kept = state_folder(context.node_config, run)
        experiment = _prepare(terms)
        site = build_site(
            experiment,
            terms.number,
            ClientStore(kept / "memory"),
            RoundAdapter(kept / "adapter"),
            kept / "coreset.jsonl",
            Silent(),
        )
        site = replace(site, handshake=partial(digests, experiment))
        if not site.method.noise:
            return site
        # of another method or other data the noise must be another: it would cancel out
        drawn_for = _secret(kept.parent / "secret"), terms.config, experiment.data.fingerprint
        return replace(site, noise_seed=int.from_bytes(sha256(repr(drawn_for).encode()).digest()))


def open_guard(context: Any, run: int) -> Guard:
    """Return what keeps the site's policy; where it cannot be read, nothing else is let in."""
    ledger = Ledger(state_folder(context.node_config, run))
    try:
        with _own_mistakes_stay_here():
            terms = _terms(context)
    except BadMessage as error:
        return ClosedGuard(str(error), ledger)
    except Exception as error:  # whatever it is, its reply is in the ledger, too
        log.exception("policy and experiment cannot be put together")
        return ClosedGuard(type(error).__name__, ledger)
    return PolicyGuard(terms.policy, terms.asked, ledger)


@contextlib.contextmanager
def _own_mistakes_stay_here() -> Iterator[None]:
    try:
        yield
    except UserError as error:
        log.error("this site cannot take part: %s", error)
        raise BadMessage("its own settings or data are at fault, as its log says") from error


def _secret(path: Path) -> int:
    """Return what the server must not know: what noise is drawn by, made once for all runs."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(str(secrets.randbits(128)))
    except FileExistsError:
        pass
    return int(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class _Terms:
    """What a site and a server's experiment are to each other, before anything is loaded."""

    policy: Policy
    asked: Asked
    config: Config

    @property
    def number(self) -> int:
        """The site's client number: its place in ``federation.sites``."""
        names = self.config.federation.sites
        if self.policy.site not in names:
            raise BadMessage(f"the site '{self.policy.site}' is not among federation.sites")
        return names.index(self.policy.site)


def _terms(context: Any) -> _Terms:
    """Read policy and experiment; the policy anew for each message, as it may have changed."""
    settings = configuration.build(NodeConfig, dict(context.node_config), "node-config")
    policy = configuration.load_policy(settings.policy)
    text = str(context.run_config[EXPERIMENT_KEY])
    served = configuration.from_text(text, "the server's experiment")
    config = site_config(served, settings)
    return _Terms(policy, configuration.asked(config), config)


_loaded: dict[str, Experiment] = {}
"""The experiment that this process has loaded: one at a time, by what it was loaded from."""


def _prepare(terms: _Terms) -> Experiment:
    """Load what an experiment needs of this site, once."""
    key = repr((terms.config, terms.policy.site))
    if key not in _loaded:
        _loaded.clear()  # two base models may not fit into memory
        own = OwnData(terms.policy.site, terms.number)
        _loaded[key] = prepare(terms.config, Silent(), own=own)
    return _loaded[key]


SERVED = {
    "model": ("dtype", "proxy_dtype", "quantization", "trust_remote_code"),
    "data": ("prompt", "max_length"),
    "federation": ("codec", "sites", "deadline"),
    "evaluation": ("max_new_tokens", "batch_size", "validation"),
}
"""Of these sections a site takes these keys from the server; those of `WHOLE` as they are."""

WHOLE = ("adapter", "selection", "aggregation", "tuning", "seed")


def site_config(served: Mapping[str, Any], settings: NodeConfig) -> Config:
    """Put a site's configuration together: how to do it from the server, on what from the site.

    Whatever else the server's experiment says is not read.

    Parameters
    ----------
    served : mapping
        The server's experiment, unchecked.

    Raises
    ------
    UserError
        If that is no experiment for this site.
    """
    taken: dict[str, Any] = {key: served[key] for key in WHOLE if key in served}
    for section, keys in SERVED.items():
        given = _section(served, section)
        taken[section] = {key: given[key] for key in keys if key in given}
    taken["selection"] = {**_section(served, "selection"), "knowledge": settings.knowledge}
    taken["federation"] |= {"engine": "deployment"}
    taken["data"] |= {
        "train": settings.data,
        "columns": settings.column_names,
        "preset": settings.preset,
    }
    taken["model"] |= {
        "name": settings.model,
        "proxy": settings.proxy,
        "scorer": settings.scorer,
        "device": settings.device,
        "threads": settings.threads,
    }
    return configuration.parse(taken)


def _section(served: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    given = served.get(name) or {}
    if not isinstance(given, Mapping):
        raise UserError(f"the server's experiment: {name} is no section")
    return given
