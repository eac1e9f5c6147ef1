"""Runs and groups from a few numbers."""

from fedhds.report.runs import Group, Run

SUMMARY = {
    "samples_used": 30,
    "samples_total": 1200,
    "validation": {"before": {"loss": 3.0}, "after": {"loss": 2.5}},
    "seconds": {
        "signals": 1.0,
        "selection": 2.0,
        "tuning": 3.0,
        "aggregation": 0.5,
        "evaluation": 4.0,
    },
    "bytes": {"summaries_up": 1500, "plans_down": 500, "adapters_up": 2e6, "adapters_down": 1e6},
    "peak_rss_mb": 1234.4,
}


def columns(rouge_l, tasks=None, loss_sums=None, token_counts=None):
    """Return scores of unseen samples; by default each is a task and has a token of loss 1."""
    return {
        "tasks": list(tasks or (f"task {place}" for place in range(len(rouge_l)))),
        "rouge_l": list(rouge_l),
        "loss_sums": list(loss_sums or [1.0] * len(rouge_l)),
        "token_counts": list(token_counts or [1] * len(rouge_l)),
    }


def finished(seed, after=None, data="same", **facts):
    """Return a finished run whose summary agrees with its unseen scores."""
    means = dict.fromkeys(("rouge_l_after", "loss_after"))
    if after:
        means = {
            "rouge_l_after": sum(after["rouge_l"]) / len(after["rouge_l"]),
            "loss_after": sum(after["loss_sums"]) / sum(after["token_counts"]),
        }
    unseen = None if after is None else {"before": after, "after": after}
    record = {"data": f"{data} {seed}"}
    summary = SUMMARY | means | facts
    return Run(f"run-{seed}", {"seed": seed}, "finished", None, record, (), summary, unseen, None)


def stopped(seed, status="failed", reason=None):
    """Return a run without a summary."""
    return Run(f"run-{seed}", {"seed": seed}, status, reason, {}, (), None, None, None)


def group(label, *runs, size=""):
    """Return a group whose method is the label's first word."""
    return Group(label, label.split()[0], size, runs)


def scored(label, rouge_l_by_seed, size=""):
    """Return a group with a finished run for each seed, from 0, of these scores."""
    runs = (finished(seed, columns(scores)) for seed, scores in enumerate(rouge_l_by_seed))
    return group(label, *runs, size=size)
