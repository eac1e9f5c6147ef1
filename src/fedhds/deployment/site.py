"""A site: its node config, its policy and the server's experiment, joined to what answers messages.

Of the experiment a site takes the methods and their numbers. Where data and models are, and whether
a model may bring code, it says itself.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedhds import config as configuration
from fedhds.config import Config
from fedhds.federation.client_app import Site
from fedhds.federation.client_store import ClientStore, RoundAdapter
from fedhds.federation.ledger import Ledger
from fedhds.federation.messages import BadMessage
from fedhds.federation.policy import Asked, Policy
from fedhds.federation.relay import EXPERIMENT
from fedhds.federation.site_guard import Guard, PolicyGuard
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
        A folder for what outlives its processes; ``state`` beside the policy file by default.
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
        If the site cannot take part. What is wrong with its own data or settings stands in
        its log and does not travel.
    """
    with _own_mistakes_stay_here():
        terms = _terms(context)
        kept = terms.folder(run)
        return build_site(
            _prepare(terms),
            terms.number,
            ClientStore(kept / "memory"),
            RoundAdapter(kept / "adapter"),
            kept / "coreset.jsonl",
            Silent(),
        )


def open_guard(context: Any, run: int) -> Guard:
    """Read what keeps the site's policy (parameters and errors as in `open_site`)."""
    with _own_mistakes_stay_here():
        terms = _terms(context)
        return PolicyGuard(terms.policy, terms.asked, Ledger(terms.folder(run)))


@contextlib.contextmanager
def _own_mistakes_stay_here() -> Iterator[None]:
    try:
        yield
    except UserError as error:
        log.error("this site cannot take part: %s", error)
        raise BadMessage("its own settings or data are at fault, as its log says") from error


@dataclass(frozen=True)
class _Terms:
    """What a site and a server's experiment are to each other, before anything is loaded."""

    policy: Policy
    asked: Asked
    config: Config
    state: Path

    @property
    def number(self) -> int:
        """The site's client number: its place in ``federation.sites``."""
        names = self.config.federation.sites
        if self.policy.site not in names:
            raise BadMessage(f"the site '{self.policy.site}' is not among federation.sites")
        return names.index(self.policy.site)

    def folder(self, run: int) -> Path:
        """Where the site keeps what outlives its processes of a run."""
        return self.state / f"run-{run}"


def _terms(context: Any) -> _Terms:
    """Read policy and experiment; the policy anew for each message, as it may have changed."""
    settings = configuration.build(NodeConfig, dict(context.node_config), "node-config")
    policy = configuration.load_policy(settings.policy)
    text = str(context.run_config[EXPERIMENT])
    plain = configuration.from_text(text, "the server's experiment")
    asked = configuration.asked(configuration.parse(plain))
    state = Path(settings.state or Path(settings.policy).parent / "state")
    return _Terms(policy, asked, site_config(plain, settings, policy), state)


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
    wanted = configuration.parse(plain).model.trust_remote_code
    own: dict[str, dict[str, Any]] = {
        "model": {
            "name": settings.model,
            "revision": None,
            "proxy": settings.proxy,
            "scorer": settings.scorer,
            "device": settings.device,
            "threads": settings.threads,
            "trust_remote_code": wanted and policy.trust_remote_code,
        },
        "data": {"train": settings.data, "eval": None},
        "selection": {"knowledge": settings.knowledge},
    }
    sections = {name: {**(plain.get(name) or {}), **values} for name, values in own.items()}
    return configuration.parse({**plain, **sections})
