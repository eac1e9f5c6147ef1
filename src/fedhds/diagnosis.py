"""What this machine offers, and what would go wrong with an experiment on it."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import torch
from huggingface_hub import try_to_load_from_cache

from fedhds import requirements
from fedhds.config import Config
from fedhds.files import read_json
from fedhds.models import usable_cores
from fedhds.planning import Plan, plan
from fedhds.pretrained import Pretrained, locate
from fedhds.readings import base_source, frozen_sources
from fedhds.signals import cache_folder
from fedhds.types import Progress, UserError

PACKAGES = ("fedhds", "torch", "transformers", "peft", "flwr", "datasets", "scikit-learn", "numpy")
EXTRAS = {
    "ray": "simulation",
    "tensorboard": "trackers",
    "mlflow-skinny": "trackers",
    "bitsandbytes": "quantized",
}
"""Packages that are not always there, and the extra that brings each."""

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
"""What whole or split weights are called."""

CONTAINER = Path("/sys/fs/cgroup")
"""Where Linux says what a container may take."""


@dataclass(frozen=True)
class Diagnosis:
    """What would become of an experiment here.

    Attributes
    ----------
    plan : Plan or None
        None if it could not be made.
    problems : list of str
        What would end the run, one sentence each.
    warnings : list of str
        What a person should know and may want.
    """

    plan: Plan | None
    problems: list[str]
    warnings: list[str]


def machine() -> dict[str, str]:
    """Describe this machine and what is installed on it, by name."""
    free, total = shutil.disk_usage(Path.cwd()).free, psutil.virtual_memory().total
    facts = {"python": platform.python_version(), "platform": platform.platform()}
    facts |= {name: version(name) for name in PACKAGES}
    facts |= {name: _version(name) for name in EXTRAS}
    facts |= {
        "cores": f"{usable_cores()} of {os.cpu_count()}",
        "memory": f"{gigabytes(available('cpu'))} free of {gigabytes(total)}",
        "disk": f"{gigabytes(free)} free here",
    }
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        kinds = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
        name = torch.cuda.get_device_name(number)
        facts[f"cuda:{number}"] = f"{name}, {gigabytes(free)} free of {gigabytes(total)}, {kinds}"
    if not torch.cuda.is_available():
        facts["cuda"] = "none that torch can use"
    kept = [path.stat().st_size for path in cache_folder().rglob("*.safetensors")]
    facts["signals kept"] = f"{len(kept)} in {cache_folder()}, {gigabytes(sum(kept))}"
    facts["hub"] = "offline" if os.environ.get("HF_HUB_OFFLINE") == "1" else "online"
    return facts


def diagnose(config: Config, progress: Progress) -> Diagnosis:
    """Find what would go wrong with an experiment, as far as it shows without its weights."""
    problems, made = [], None
    try:
        requirements.check(config)
        made = plan(config, progress)
    except UserError as error:
        problems.append(str(error))
    warnings = [] if made is None else _oddities(config, made)
    for source in (base_source(config), *frozen_sources(config).values()):
        if not problems:
            absent, awaited = _weights_problems(source)
            problems += absent
            warnings += awaited
    if made is not None and made.needed > available(made.device):
        problems.append(
            f"it takes about {gigabytes(made.needed)} on {made.device}, where "
            f"{gigabytes(available(made.device))} are free: lower tuning.batch_size, "
            "evaluation.batch_size or data.max_length, or set tuning.gradient_checkpointing"
        )
    return Diagnosis(made, problems, warnings)


def available(device: str) -> int:
    """Return the bytes that are free on a device; a container's limit counts on the CPU."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    return min([int(psutil.virtual_memory().available), *_container()])


def gigabytes(size: float) -> str:
    """Write bytes as gigabytes (1e9)."""
    return f"{size / 1e9:.2f} GB"


def _container() -> list[int]:
    """Return what a Linux container may still take, where it has a limit."""
    try:
        limit, used = ((CONTAINER / f"memory.{name}").read_text() for name in ("max", "current"))
        return [int(limit) - int(used)]
    except (OSError, ValueError):  # no such system, or no limit ("max")
        return []


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return f"not there; pip install 'fedhds[{EXTRAS[package]}]'"


def _weights_problems(source: Pretrained) -> tuple[list[str], list[str]]:
    """Tell of weights that are not there, and of those that are yet to come from the hub."""
    key, name, place = source.key, source.name, Path(locate(source.name, source.key))
    if place.is_dir():
        missing = [] if _is_whole(place) else [f"{key}: '{name}' has no whole safetensors weights"]
        return missing, []
    found = (try_to_load_from_cache(str(place), file, revision=source.revision) for file in WEIGHTS)
    if any(isinstance(path, str) for path in found):
        return [], []
    absent = f"{key}: the weights of '{name}' are not on this machine"
    offline = os.environ.get("HF_HUB_OFFLINE") == "1"
    return ([f"{absent}, and the hub is off"], []) if offline else ([], [f"{absent} yet"])


def _is_whole(folder: Path) -> bool:
    """Tell whether a model folder has its weights, all parts of them."""
    whole, index = (folder / name for name in WEIGHTS)
    if whole.is_file() or not index.is_file():
        return whole.is_file()
    return all((folder / part).is_file() for part in read_json(index)["weight_map"].values())


def _oddities(config: Config, made: Plan) -> list[str]:
    """Tell what will work but may not be what was meant."""
    told = []
    if not made.unseen:
        told.append("there are no unseen tasks (data.eval), so nothing judges what was learnt")
    if not made.validation and config.federation.engine != "deployment":
        told.append("no client holds samples out, so the last round is taken and not the best")
    if made.clients_per_round == 1 and made.clients > 1:
        told.append("one client a round: raise federation.fraction to choose between clients")
    if config.model.dtype == "float16":
        told.append("model.dtype float16 is trained without loss scaling: bfloat16 is safer")
    return told
