"""What ``summary.json`` says of a finished run."""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import torch

from fedhds.evaluation.bootstrap import interval
from fedhds.evaluation.scores import Scores
from fedhds.federation.checkpoint import Evaluation, RunState
from fedhds.federation.clients import DIRECTIONS
from fedhds.federation.rounds import summarise as summarise_evaluation
from fedhds.files import public_name
from fedhds.preparation import Experiment

NOTHING: Evaluation = {"round": None, "unseen": None, "validation": None}
PHASES = ("signals", "selection", "tuning", "aggregation", "evaluation")
PACKAGES = ("fedhds", "torch", "transformers", "peft", "flwr", "scikit-learn", "numpy")


def summarise(
    experiment: Experiment,
    clients: Sequence[Mapping[str, Any]],
    state: RunState,
    resumed_from: int | None,
) -> dict[str, Any]:
    """Put a finished run into the plain values of ``summary.json``.

    ``clients`` are those of ``run.json``, each with its ``samples`` and ``validation``.
    ``peak_rss_mb`` is this process's alone: but in process it is the server's, with the
    model it evaluates with, and not that of the clients' processes.
    """
    config, data = experiment.config, experiment.data
    summary: dict[str, Any] = {
        "method": config.selection_name,
        "private": config.selection_method.private,
        "base_model": public_name(config.model.name),
        "seed": config.seed,
        "rounds": state.round,
        "resumed_from": resumed_from,
        "clients": len(clients),
        "samples_total": sum(client["samples"] for client in clients),
        "samples_validation": sum(client["validation"] for client in clients),
        "samples_used": sum(state.distinct.values()),
    }
    summary |= _scores(state, config.seed)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return summary | {
        "seconds": {phase: round(state.seconds[phase], 3) for phase in PHASES},
        "bytes": {name: state.sent[name] for name in DIRECTIONS.values()},
        "peak_rss_mb": round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1),
        "dropped": data.dropped,
        "noted": data.noted,
        "warnings": data.warnings,
        "failures": state.counts["failures"],
        "repeated_rounds": state.counts["repeated_rounds"],
        "skew": data.skew,
        "versions": _versions(),
        "machine": {
            "device": str(experiment.model.device),
            "threads": torch.get_num_threads(),
            "cpus": os.cpu_count(),
        },
        "config": config.resolved(),
    }


def _scores(state: RunState, seed: int) -> dict[str, Any]:
    """Compare the best adapter with the untouched one: unseen tasks, then validation."""
    first, best = state.before or NOTHING, state.best or NOTHING  # a selection evaluates nothing
    scores: dict[str, Any] = {
        "sample_passes": state.counts["sample_passes"],
        "skipped_steps": state.counts["skipped_steps"],
        "best_round": best["round"],
        "validation": {"before": _means(first), "after": _means(best)},
    }
    if first["unseen"] is None or best["unseen"] is None:
        names = ("rouge_l_before", "rouge_l_after", "rouge_l_ci", "loss_before", "loss_after")
        return scores | dict.fromkeys(names) | {"per_task": {}}
    before, after = (Scores.from_dict(found["unseen"]) for found in (first, best))
    tasks = {
        task: {
            "n": was["n"],
            "rouge_l_before": was["rouge_l"],
            "rouge_l_after": now["rouge_l"],
            "loss_before": was["loss"],
            "loss_after": now["loss"],
        }
        for (task, was), now in zip(
            before.per_task().items(), after.per_task().values(), strict=True
        )
    }
    return scores | {
        "rouge_l_before": before.rouge_l_mean,
        "rouge_l_after": after.rouge_l_mean,
        "rouge_l_ci": list(interval(after.rouge_l - before.rouge_l, seed)),
        "loss_before": before.loss_mean,
        "loss_after": after.loss_mean,
        "per_task": tasks,
    }


def _means(found: Evaluation) -> dict[str, Any] | None:
    means: dict[str, Any] | None = summarise_evaluation(found)["validation"]
    return means


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
