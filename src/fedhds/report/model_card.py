"""The model card that goes with an adapter: how it came about, and nothing of the data.

Made for handing on: counts and settings only, no text, no names of clients or tasks, and
no paths. The front matter is JSON values, which YAML takes as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from fedhds.files import public_name

Summary = Mapping[str, Any]

EMBEDDED = "embedded"
"""What the configuration calls the tiny Llama in the package."""


def model_card(summary: Summary, failed: bool = False) -> str:
    """Write the card of a run's adapter.

    Parameters
    ----------
    summary : mapping
        What ``summary.json`` says of the run.
    failed : bool
        The run ended early, so that this is only its last good adapter.

    Returns
    -------
    str
        Markdown with YAML front matter, as the Hugging Face hub reads it.
    """
    title = f"# {_text(summary['config']['adapter']['kind'])} adapter, tuned with fedhds"
    parts = [
        _front_matter(summary),
        title,
        f"An adapter for {_text(summary['base_model'])} from federated instruction tuning with "
        f"fedhds: the clients kept their data, and the samples to train on were chosen by "
        f"{_text(summary['method'])}.",
        *([_failure(summary)] if failed else []),
        f"## Scores\n\n{_scores(summary)}",
        f"## Data\n\n{_data(summary)}",
        f"## Settings\n\n{_settings(summary)}",
        f"## Privacy\n\n{_privacy(summary)}",
        f"## How to load it\n\n```python\n{_loading(summary)}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(summary: Summary) -> str:
    fields = {
        "base_model": _plain(summary["base_model"]),
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["fedhds", "federated-learning", summary["config"]["adapter"]["kind"]],
    }
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
    return "\n".join(["---", *lines, "---"])


def _failure(summary: Summary) -> str:
    return (
        f"**The run failed after round {summary['rounds']}** of "
        f"{summary['config']['federation']['rounds']}; this is its last good adapter."
    )


def _scores(summary: Summary) -> str:
    """Lay out before and after, on unseen tasks and on what the clients held out."""
    validation = summary["validation"]
    rows = []
    if summary["rouge_l_before"] is not None:
        low, high = summary["rouge_l_ci"]
        gain = summary["rouge_l_after"] - summary["rouge_l_before"]
        interval = f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]"
        unseen = {part: summary[f"rouge_l_{part}"] for part in ("before", "after")}
        rows.append(_change("Rouge-L on unseen tasks", unseen, interval))
        losses = {part: summary[f"loss_{part}"] for part in ("before", "after")}
        rows.append(_change("loss on unseen tasks", losses))
    if validation["before"] and validation["after"]:
        for name, key in (("Rouge-L", "rouge_l"), ("loss", "loss")):
            means = {part: validation[part][key] for part in ("before", "after")}
            rows.append(_change(f"{name} on the clients' validation samples", means))
    if not rows:
        return "It was not evaluated."
    header = ("| | before | after | gain [95 % interval] |", "|---|---|---|---|")
    return "\n".join([*header, *rows])


def _change(name: str, means: Mapping[str, float], gain: str = "") -> str:
    return f"| {name} | {means['before']:.3f} | {means['after']:.3f} | {gain} |"


def _data(summary: Summary) -> str:
    lines = [
        f"- clients: {summary['clients']}",
        f"- training samples: {summary['samples_total']}, of which {summary['samples_used']} were "
        f"trained on in {summary['sample_passes']} passes",
        f"- held out for validation: {summary['samples_validation']}",
    ]
    dropped = ", ".join(f"{count} {_text(why)}" for why, count in summary["dropped"].items())
    return "\n".join([*lines, f"- left out: {dropped or 'none'}"])


def _settings(summary: Summary) -> str:
    """List how it was trained: whole sections of the configuration that say nothing of the data."""
    config = summary["config"]
    model, federation = config["model"], config["federation"]
    rounds = f"{summary['rounds']} of {federation['rounds']}"
    best = summary["best_round"]
    rows = {
        "base model": _text(summary["base_model"]),
        "revision": _text(model["revision"] or "not pinned"),
        **{
            kind: _text(public_name(model[kind])) for kind in ("proxy", "scorer") if model.get(kind)
        },
        "adapter": _options(config["adapter"]),
        "prompt": _options({key: config["data"][key] for key in ("prompt", "max_length")}),
        "selection": _options(_public(config["selection"])),
        "aggregation": _options(config["aggregation"]),
        "tuning": _options(config["tuning"]),
        "rounds": rounds if best is None else f"{rounds}; the adapter of round {best} is the best",
        "clients a round": _text(f"{federation['fraction']:g} of all, {federation['engine']}"),
        "adapters travel as": _text(federation["codec"]),
        "seed": _text(summary["seed"]),
        "versions": _options(summary["versions"]),
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def _public(selection: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out where on this machine public knowledge lies."""
    knowledge = selection.get("knowledge")
    return {**selection, "knowledge": knowledge and public_name(knowledge)}


def _options(section: Mapping[str, Any]) -> str:
    """Write a section's keys that are set in one line, those of a section within in brackets."""
    return ", ".join(
        f"{_text(key)}: ({_options(value)})"
        if isinstance(value, Mapping)
        else f"{_text(key)}: {_text(value)}"
        for key, value in section.items()
        if value is not None
    )


def _privacy(summary: Summary) -> str:
    sent = summary["bytes"]["summaries_up"]
    kinds = "adapters, counts and mean losses"
    if sent:
        detail = "" if summary["private"] else ", numbers of single samples among them"
        kinds += f", and for the selection {sent} bytes of summaries{detail}"
    return (
        f"Clients shared {kinds}. Their messages held no text and no tokens. That is no "
        f"guarantee: an adapter can leak samples that it was trained on, the more so the fewer "
        f"they are (here {summary['samples_used']}), and no noise was added to it."
    )


def _loading(summary: Summary) -> str:
    """Write the lines that load it; names of folders are relative to where they are run."""
    model = summary["config"]["model"]
    imports, name = "", json.dumps(_plain(summary["base_model"]), ensure_ascii=False)
    if model["name"] == EMBEDDED:
        imports = "from importlib.resources import files\n\n"
        name = 'str(files("fedhds") / "assets" / "tiny-llama")'
    arguments = [name]
    if model["revision"]:
        arguments.append(f"revision={json.dumps(model['revision'])}")
    if model["trust_remote_code"]:
        arguments.append("trust_remote_code=True")
    base = ", ".join(arguments)
    lines = [
        f"{imports}from peft import PeftModel",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        f"tokenizer = AutoTokenizer.from_pretrained({base})",
        f"base = AutoModelForCausalLM.from_pretrained({base})",
        'model = PeftModel.from_pretrained(base, "adapter")  # the folder of this card',
    ]
    return "\n".join(lines)


def _plain(value: Any) -> str:
    """Return a value as text of one line without control characters."""
    return "".join(c if c.isprintable() else " " for c in str(value))


def _text(value: Any) -> str:
    """Return a value as text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", _plain(value))
