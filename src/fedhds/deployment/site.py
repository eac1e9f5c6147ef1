"""A site: its node config, its policy and the server's experiment, joined to what answers messages.

Of the experiment a site takes the methods and their numbers. Where data and models are, and whether
a model may bring code, it says itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from fedhds import config as configuration
from fedhds.config import Config
from fedhds.config.policy import load_policy
from fedhds.deployment.state import state_folder
from fedhds.federation.client_app import Site
from fedhds.federation.client_store import ClientStore, RoundAdapter
from fedhds.federation.messages import BadMessage
from fedhds.federation.policy import Policy
from fedhds.preparation import Experiment, OwnData, prepare
from fedhds.sites import build_site
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
    proxy, scorer, knowledge : str or None
        Where the methods' other inputs are, for those that read with such.
    device : str
        Where the model is to be, as ``model.device``.
    threads : int or None
        As ``model.threads``.
    state : str or None
        Where it keeps what outlives its processes; `state_folder` by default.
    """

    data: str
    model: str
    policy: str
    proxy: str | None = None
    scorer: str | None = None
    knowledge: str | None = None
    device: str = "auto"
    threads: int | None = None
    state: str | None = None


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
        If the site does not take part. What is wrong with its own data or settings stands in
        its log and does not travel.
    """
    try:
        settings = configuration.build(NodeConfig, dict(context.node_config), "node-config")
        found = _prepare(settings, str(context.run_config["experiment"]))
    except UserError as error:
        log.error("this site cannot take part: %s", error)
        raise BadMessage("its own settings or data are at fault, as its log says") from error
    return found.site(run)


@dataclass(frozen=True)
class _Prepared:
    """What does not change between messages: model, data, and what they are checked by."""

    experiment: Experiment
    policy: Policy
    number: int
    folder: Path

    def site(self, run: int) -> Site:
        """Return the site with what it keeps of a run."""
        kept = self.folder / f"run-{run}"
        return build_site(
            self.experiment,
            self.number,
            ClientStore(kept / "memory"),
            RoundAdapter(kept / "adapter"),
            kept / "coreset.jsonl",
            Silent(),
        )


@lru_cache(maxsize=1)
def _prepare(settings: NodeConfig, text: str) -> _Prepared:
    """Load what an experiment needs of this site; a worker has one experiment at a time."""
    policy = load_policy(settings.policy)
    plain = configuration.from_text(text, "the server's experiment")
    config = site_config(plain, settings, policy)
    names = config.federation.sites
    if policy.site not in names:
        raise BadMessage(f"the site '{policy.site}' is not among the experiment's federation.sites")
    number = names.index(policy.site)
    folder = Path(settings.state) if settings.state else state_folder() / policy.site
    experiment = prepare(config, Silent(), own=OwnData(policy.site, number))
    return _Prepared(experiment, policy, number, folder)


def site_config(plain: Mapping[str, Any], settings: NodeConfig, policy: Policy) -> Config:
    """Put what a site says itself in place of what the server's experiment says of it.

    Parameters
    ----------
    plain : mapping
        The experiment, unchecked.

    Raises
    ------
    UserError
        If that is no experiment.
    """
    asked = configuration.parse(plain).model.trust_remote_code
    own: dict[str, dict[str, Any]] = {
        "model": {
            "name": settings.model,
            "revision": None,
            "proxy": settings.proxy,
            "scorer": settings.scorer,
            "device": settings.device,
            "threads": settings.threads,
            "trust_remote_code": asked and policy.trust_remote_code,
        },
        "data": {"train": settings.data, "eval": None},
        "selection": {"knowledge": settings.knowledge},
    }
    sections = {name: {**(plain.get(name) or {}), **values} for name, values in own.items()}
    return configuration.parse({**plain, **sections})
