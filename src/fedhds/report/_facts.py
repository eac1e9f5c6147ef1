"""Says in words what was compared: on what data, with what model, how, and on what machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fedhds.report._settings import public
from fedhds.report.figures._figure import listed, mean, several
from fedhds.report.formatting import score
from fedhds.report.runs import Group, Run

PACKAGES = ("fedhds", "torch", "transformers")
SHOWN = 20
"""Most names in a sentence."""


def lead(groups: Sequence[Group]) -> str:
    """Say in one sentence what the page is about."""
    methods = list(dict.fromkeys(group.method for group in groups))
    models = _distinct(_model(run) for run in _runs(groups))
    if len(groups) == 1:
        what = f"This page shows what federated instruction tuning of {models} came to"
        return f"{what} with the method {methods[0]}."
    names = listed([group.label for group in groups]) if len(groups) <= SHOWN else listed(methods)
    said = (
        f"This page compares {several(len(groups), 'way')} of choosing the samples on which "
        f"clients tune {models} together, each with its data at home: {names}."
    )
    if any(group.label == f"{group.method} {group.size}" for group in groups):
        said += " The number behind a method is how many samples are chosen in a round."
    return said


def facts(groups: Sequence[Group]) -> list[tuple[str, str]]:
    """Return what was compared as terms with their texts, those that something is known of."""
    runs = _runs(groups)
    found = {
        "Base model": _distinct(_model(run) for run in runs),
        "Data": _distinct(_data(run) for run in runs),
        "Clients": _clients(runs),
        "Unseen tasks": _distinct(_unseen(run) for run in runs),
        "Before tuning": _before(runs),
        "Methods": listed(list(dict.fromkeys(group.method for group in groups))),
        "Samples chosen in a round": listed(list(dict.fromkeys(g.size for g in groups if g.size))),
        "Seeds": listed(sorted({str(run.seed) for run in runs}, key=int)),
        "Rounds": _distinct(_rounds(run) for run in runs),
        "Runs": _runs_said(runs),
        "Machine": _distinct(_machine(run) for run in runs),
    }
    return [(term, text) for term, text in found.items() if text]


GLOSSARY = (
    (
        "Rouge-L",
        "how much of the wording of a reference answer the model's answer has, from 0 to 1; "
        "higher is better",
    ),
    (
        "Loss",
        "how surprised the model is by each token of the reference answer (mean negative "
        "log-likelihood); lower is better",
    ),
    ("Unseen tasks", "tasks that no client trains on: they test whether the model generalises"),
    ("Validation", "samples of the clients' own tasks that are kept out of training"),
    ("Samples used", "distinct samples trained on in all rounds together"),
    (
        "Difference that is real",
        "one whose 95 % interval, corrected for the number of comparisons, leaves out zero",
    ),
)
"""The words of the page that a reader may not know."""


def _runs(groups: Sequence[Group]) -> list[Run]:
    return [run for group in groups for run in group.runs]


def _distinct(texts: Iterable[str]) -> str:
    """Join the different texts, in order; empty ones are left out."""
    return "; ".join(dict.fromkeys(text for text in texts if text))


def _section(run: Run, name: str) -> Any:
    return run.config.get(name) or {}


def _model(run: Run) -> str:
    name = (run.summary or {}).get("base_model") or public(_section(run, "model").get("name"))
    return "the embedded tiny Llama" if name == "embedded" else str(name)


def _data(run: Run) -> str:
    data = _section(run, "data")
    name = public(data.get("train"), "train") if data.get("train") else data.get("preset")
    kind = _section(run, "partition").get("kind")
    return f"{name}, partitioned by {kind}" if kind else str(name)


def _clients(runs: Sequence[Run]) -> str:
    """Count clients and samples; where they differ by seed, from the fewest to the most."""
    counts = [found for run in runs if (found := _counts(run))]
    if not counts:
        return ""
    clients, train, validation = (_between(column) for column in zip(*counts, strict=True))
    kept = f", {validation} for validation" if validation != "0" else ""
    return f"{clients} clients with {train} samples to train on in all{kept}"


def _counts(run: Run) -> tuple[int, int, int] | None:
    """Count clients, training and validation samples; a run that is not finished has a record."""
    if summary := run.summary:
        names = ("clients", "samples_total", "samples_validation")
        clients, train, validation = (int(summary.get(name) or 0) for name in names)
        return clients, train, validation
    if held := run.record.get("clients"):
        kept = sum(client.get("validation") or 0 for client in held)
        return len(held), sum(client["samples"] for client in held), kept
    return None


def _between(values: Sequence[int]) -> str:
    low, *_, high = [*sorted(values), max(values)]
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _unseen(run: Run) -> str:
    tasks = (run.summary or {}).get("per_task") or {}
    if not tasks:
        return ""
    samples = sum(scores["n"] for scores in tasks.values())
    return f"{several(len(tasks), 'task')} with {several(samples, 'sample')}"


def _before(runs: Sequence[Run]) -> str:
    """Say how the base model scored on the unseen tasks, on average over runs."""
    found = {
        name: mean((run.summary or {}).get(key) for run in runs)
        for name, key in (("Rouge-L", "rouge_l_before"), ("loss", "loss_before"))
    }
    said = [f"unseen {name} {score(value)}" for name, value in found.items() if value is not None]
    return listed(said)


def _rounds(run: Run) -> str:
    federation = _section(run, "federation")
    if not federation.get("rounds"):
        return ""
    share = federation.get("fraction")
    part = f", {100 * share:.3g} % of the clients in each" if share else ""
    return f"{federation['rounds']}{part}"


def _runs_said(runs: Sequence[Run]) -> str:
    counts = [
        f"{sum(run.status == status for run in runs)} {status}"
        for status in ("finished", "failed", "unfinished")
        if any(run.status == status for run in runs)
    ]
    return listed(counts)


def _machine(run: Run) -> str:
    summary = run.summary or {}
    machine, versions = summary.get("machine"), summary.get("versions") or {}
    if not machine:
        return ""
    made = ", ".join(f"{name} {versions[name]}" for name in PACKAGES if name in versions)
    computed = f"{machine['device']}, {several(machine['threads'], 'thread')}"
    return f"{computed} of {several(machine['cpus'], 'CPU')}" + (f"; {made}" if made else "")
