"""An experiment from its configuration to its run folder: what the command line and Python call.

Everything that can be wrong with the input is found before the run folder is touched.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from fedhds import config as configuration
from fedhds import requirements, run_folder
from fedhds.config import Config
from fedhds.deployment.submission import submit
from fedhds.evaluation.bootstrap import interval
from fedhds.evaluation.scores import evaluate
from fedhds.federation import checkpoint, simulation
from fedhds.federation.checkpoint import RunState
from fedhds.federation.client_app import build_client_app
from fedhds.federation.clients import Clients
from fedhds.federation.in_process import run_in_process
from fedhds.federation.rounds import Rounds, Unseen, play
from fedhds.federation.server_app import Host, ServerApp, build_server_app
from fedhds.files import append_lines, json_line, read_json, write_json, write_text
from fedhds.models import adapter_arrays, load_adapter, set_adapter_arrays
from fedhds.preparation import Experiment, prepare
from fedhds.report.model_card import model_card
from fedhds.run_folder import Verb
from fedhds.sample_map import sample_map
from fedhds.sites import SiteOpener, build_sites, check_kept, digests
from fedhds.summary import summarise
from fedhds.trackers import Tracking, tracking
from fedhds.types import Arrays, Progress, RunFailed, Silent, UserError

UNSEEN = ("tasks", "rouge_l", "loss_sums", "token_counts")
"""Columns of ``unseen.json``."""


@dataclass(frozen=True)
class Result:
    """A finished run: its folder and what ``summary.json`` says."""

    out: Path
    summary: dict[str, Any]


def run(
    config: Config | Mapping[str, Any] | str | Path | None = None,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Run the main job: choose coresets, tune an adapter on them, evaluate, keep it all.

    Parameters
    ----------
    config : Config, mapping, path or None
        The experiment; None is the embedded default.
    out : path, optional
        The run folder; ``runs/<name of the config file>`` by default.
    resume : bool
        Go on from the last checkpoint in ``out`` if there is one.
    overwrite : bool
        Remove an earlier run in ``out`` first.
    progress : Progress, optional
        Where to report; nowhere by default.

    Returns
    -------
    Result

    Raises
    ------
    UserError
        If the configuration or the data is at fault; nothing has been written then.
    RunFailed
        If too few clients got through a round twice; the last good adapter is in ``out``.
    """
    return _conduct(config, out, resume, overwrite, progress or Silent(), "run")


def select(
    config: Config | Mapping[str, Any] | str | Path | None = None,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Choose coresets only, with the adapter untouched, and write them to ``out/coresets``.

    Parameters, errors and result as in `run`; ``coresets/<client>.jsonl`` holds the union
    of all rounds' choices, each sample once, with all its columns, ``client`` and ``group``.
    """
    return _conduct(config, out, resume, overwrite, progress or Silent(), "select")


def evaluate_run(
    folder: str | Path, overrides: Iterable[str] = (), progress: Progress | None = None
) -> dict[str, Any]:
    """Score a finished run's adapter on its unseen tasks (or on those ``overrides`` name).

    Writes ``evaluation.json`` into the run folder and returns it: ``n``, ``rouge_l``,
    ``rouge_l_ci``, ``loss`` and ``per_task``.

    Raises
    ------
    UserError
        If ``folder`` is no finished run, or there are no unseen tasks.
    """
    out = Path(folder)
    adapter = out / "adapter" / "adapter_model.safetensors"
    if not (out / "config.yaml").is_file() or not adapter.is_file():
        raise UserError(f"'{folder}' is not the folder of a finished run: it has no adapter")
    kept = configuration.load(out / "config.yaml")
    config = configuration.load(out / "config.yaml", overrides)
    if (kept.adapter, kept.model.name) != (config.adapter, config.model.name):
        raise UserError(f"the adapter in '{folder}' is of another adapter or model.name")
    experiment = prepare(config, progress or Silent(), selects=False)
    samples = experiment.unseen
    if not samples:
        raise UserError("there are no unseen tasks to evaluate on: set data.eval")
    model, options = experiment.model, experiment.config.evaluation
    load_adapter(model.model, out / "adapter")
    scores = evaluate(
        model, samples, options.max_new_tokens, options.batch_size, progress or Silent()
    )
    found = {
        "n": len(samples),
        "rouge_l": scores.rouge_l_mean,
        "rouge_l_ci": list(interval(scores.rouge_l, experiment.config.seed)),
        "loss": scores.loss_mean,
        "per_task": scores.per_task(),
        "overrides": list(overrides),
    }
    write_json(out / "evaluation.json", found)
    return found


def _conduct(
    config: Config | Mapping[str, Any] | str | Path | None,
    out: str | Path | None,
    resume: bool,
    overwrite: bool,
    progress: Progress,
    verb: Verb,
) -> Result:
    """Run or select, here or on a deployment's SuperLink."""
    checked = config if isinstance(config, Config) else configuration.load(config)
    name = Path(config).stem if isinstance(config, str | Path) else "default"
    folder = Path(out) if out is not None else run_folder.default(name, verb)
    if checked.federation.engine != "deployment":
        return conduct(checked, folder, verb, resume, overwrite, progress)
    run_folder.check(folder, checked, verb, resume, overwrite)
    if resume and run_folder.is_finished(folder):
        return _finished(folder, progress)
    submit(checked, folder, verb, resume, overwrite, progress)
    return Result(folder, read_json(folder / "summary.json"))


def conduct(
    checked: Config,
    folder: Path,
    verb: Verb,
    resume: bool,
    overwrite: bool,
    progress: Progress,
    host: Host | None = None,
) -> Result:
    """Prepare, play the rounds, write what came of them (parameters and errors as in `run`).

    ``host`` runs a ServerApp over the sites of a deployment; without one all are here.
    """
    run_folder.check(folder, checked, verb, resume, overwrite)
    if resume and run_folder.is_finished(folder):
        return _finished(folder, progress)
    requirements.check(checked)
    experiment = prepare(checked, progress)
    with run_folder.alone(folder):
        run_folder.check(folder, checked, verb, resume, overwrite)  # as another may have begun
        if resume and run_folder.is_finished(folder):  # or finished it
            return _finished(folder, progress)
        state, resumed_from = _begin_or_go_on(folder, experiment, verb, resume, progress)
        settings = checked.resolved()
        with tracking(checked.tracking, folder, settings, state.lines, progress) as tracked:
            server_app = _server_app(folder, experiment, state, verb, tracked, progress)
            run_server = host or partial(_host_here, folder, experiment, verb, progress)
            try:
                run_server(server_app)
                _write_lines(folder, state)  # so far they were added without waiting for the disk
            except RunFailed as error:
                _fail(folder, experiment, state, verb, resumed_from, error)
            summary = _finish(folder, experiment, state, verb, resumed_from, progress)
            tracked.finish(summary)
            _close(folder, summary)
    return Result(folder, summary)


def _finished(folder: Path, progress: Progress) -> Result:
    progress.say("finished", f"{folder} is finished already; nothing was changed")
    return Result(folder, read_json(folder / "summary.json"))


def _begin_or_go_on(
    folder: Path, experiment: Experiment, verb: Verb, resume: bool, progress: Progress
) -> tuple[RunState, int | None]:
    """Return the state to start from, and the round that it is of if the run goes on."""
    resumable = resume and run_folder.is_begun(folder)
    state = checkpoint.load(folder / "checkpoint") if resumable else None
    if state is None:
        if resumable and run_folder.has_rounds(folder):
            raise UserError(f"'{folder}' has lost its checkpoint: say --overwrite to start again")
        run_folder.begin(folder, experiment, verb)
        return RunState(adapter_arrays(experiment.model.model)), None
    run_folder.check_data(folder, experiment.data.fingerprint)
    run_folder.check_knowledge(folder, experiment.knowledge)
    run_folder.clear_temporaries(folder)
    federation = experiment.config.federation
    if state.round < federation.rounds and federation.engine != "deployment":
        check_kept(folder, state.lines)
    _write_lines(folder, state)  # a kill may have come between the checkpoint and them
    progress.say("resumed", f"going on after round {state.round}", round=state.round)
    return state, state.round


def _fail(
    folder: Path,
    experiment: Experiment,
    state: RunState,
    verb: Verb,
    resumed_from: int | None,
    error: RunFailed,
) -> NoReturn:
    """Keep why a run failed, and the last good adapter."""
    failure = {"round": state.round + 1, "reason": str(error)}
    write_json(folder / "failure.json", failure | {"dropped_replies": error.dropped_replies})
    if verb == "select" or not state.best_adapter:
        raise error
    good = state.adapter if state.best is None else state.best_adapter
    card = model_card(_summary(folder, experiment, state, resumed_from), failed=True)
    run_folder.write_adapter(folder, experiment, good, card)
    raise RunFailed(f"{error}; the last good adapter is in {folder / 'adapter'}") from error


def _finish(
    folder: Path,
    experiment: Experiment,
    state: RunState,
    verb: Verb,
    resumed_from: int | None,
    progress: Progress,
) -> dict[str, Any]:
    """Write what came of the rounds, but for the summary, which is returned."""
    summary = _summary(folder, experiment, state, resumed_from)
    if verb == "run":
        run_folder.write_adapter(folder, experiment, state.best_adapter, model_card(summary))
        _write_unseen(folder, state)
    samples = sample_map(experiment, folder, progress)
    # clients whose replies were dropped may have chosen more than was counted
    if samples is not None and sum(samples["chosen"]) < summary["samples_used"]:
        progress.say("map", "no map is made, as what clients kept of their choices is gone")
    elif samples is not None:
        write_text(folder / "samples.json", f"{json_line(samples)}\n")
    return summary


def _summary(
    folder: Path, experiment: Experiment, state: RunState, resumed_from: int | None
) -> dict[str, Any]:
    return summarise(experiment, run_folder.clients(folder), state, resumed_from)


def _close(folder: Path, summary: dict[str, Any]) -> None:
    """Write the summary, which tells that the run is finished, and clear up after it."""
    write_json(folder / "summary.json", summary)
    (folder / "failure.json").unlink(missing_ok=True)  # of an attempt that this one went on from
    shutil.rmtree(folder / "clients", ignore_errors=True)  # a run without a summary needs them


def _server_app(
    folder: Path,
    experiment: Experiment,
    state: RunState,
    verb: Verb,
    tracked: Tracking,
    progress: Progress,
) -> ServerApp:
    """Build what plays the rounds that are left, keeping the state after each."""
    config = experiment.config
    rounds = Rounds(
        method=config.selection_method,
        aggregation=config.aggregation_method,
        codec=config.codec_method,
        rounds=config.federation.rounds,
        fraction=config.federation.fraction,
        quorum=config.federation.quorum,
        over_sampling=config.federation.over_sampling,
        seed=config.seed,
        samples=config.selection.samples,
        share=config.selection.share,
        tune=verb == "run",
        every=config.evaluation.every,
        patience=config.evaluation.patience,
        validation_clients=config.evaluation.clients,
        folder=folder,
    )

    def save(state: RunState) -> None:
        checkpoint.save(folder / "checkpoint", state)
        append_lines(folder / "rounds.jsonl", state.lines[-1:])
        tracked.follow(state.lines)

    def gather(clients: Clients) -> None:
        clients.handshake = digests(experiment)
        clients.gather(config.federation.sites, config.federation.wait)
        run_folder.enrol(folder, config.federation.sites, clients.samples, clients.validation)

    def lead(clients: Clients) -> None:
        play(clients, state, rounds, _unseen_scorer(experiment, progress), save, progress)

    meet = gather if config.federation.engine == "deployment" else Clients.greet
    deadline = config.federation.deadline
    return build_server_app(lead, progress, run_folder.number(folder), deadline, meet)


def _host_here(
    folder: Path, experiment: Experiment, verb: Verb, progress: Progress, server_app: ServerApp
) -> None:
    """Run a ServerApp with all clients on this machine."""
    config, clients = experiment.config, len(experiment.data.clients)
    if config.federation.engine == "simulation":
        client_app = build_client_app(SiteOpener.of(experiment, folder, verb))
        place = config.federation.client_cpus, config.federation.client_gpus
        simulation.run_simulation(server_app, client_app, clients, *place)
        return
    sites = build_sites(experiment, folder, verb, progress)
    client_app = build_client_app(
        lambda context, _: sites[int(context.node_config["partition-id"])]
    )
    run_in_process(server_app, client_app, clients)


def _write_unseen(folder: Path, state: RunState) -> None:
    """Keep each unseen sample's scores, before and after: what pairs this run with another."""
    scores = {
        when: {name: found["unseen"][name] for name in UNSEEN}
        for when, found in (("before", state.before), ("after", state.best))
        if found is not None and found["unseen"] is not None
    }
    if scores:
        write_text(folder / "unseen.json", f"{json_line(scores)}\n")


def _write_lines(folder: Path, state: RunState) -> None:
    write_text(folder / "rounds.jsonl", "".join(f"{line}\n" for line in state.lines))


def _unseen_scorer(experiment: Experiment, progress: Progress) -> Unseen | None:
    """Return the evaluation on unseen tasks, if there are any."""
    samples, options = experiment.unseen, experiment.config.evaluation
    if not samples:
        return None

    def score(adapter: Arrays) -> dict[str, Any]:
        set_adapter_arrays(experiment.model.model, adapter)
        scores = evaluate(
            experiment.model, samples, options.max_new_tokens, options.batch_size, progress
        )
        means = {"rouge_l_mean": scores.rouge_l_mean, "loss_mean": scores.loss_mean}
        return {**scores.as_dict(), **means}

    return score
