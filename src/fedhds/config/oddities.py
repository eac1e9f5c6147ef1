"""What a configuration says in vain, and what a person should know of it before it is run."""

from __future__ import annotations

from fedhds import registry
from fedhds.config.options import fields_of
from fedhds.config.sections import (
    METHOD_KINDS,
    Config,
    FederationConfig,
    MethodSection,
    method_name,
)

OF_ENGINE = {
    "simulation": ("client_cpus", "client_gpus"),
    "deployment": ("sites", "wait", "superlink", "certificate"),
}
"""The keys of ``federation`` that one engine alone reads."""


def notices(config: Config) -> list[str]:
    """Tell of keys that are set but not used, and of a method that is not private."""
    told = []
    for kind in METHOD_KINDS:
        part: MethodSection = getattr(config, kind)
        name = method_name(part)
        known = fields_of(registry.load(kind, name))
        told += [
            f"{kind}.{key} is not an option of '{name}' and is not used"
            for key in part.options
            if key not in known
        ]
    if config.selection_method.budget == "ignored" and config.budget_key:
        told.append(f"{config.budget_key} is not used: '{config.selection.method}' takes all")
    told += [
        f"selection.{name} is not used with the other options of '{config.selection.method}'"
        for name in config.selection_method.unused()
    ]
    if not config.selection_method.private:
        told.append(
            f"selection.method '{config.selection.method}' is not private: numbers of every "
            "sample leave the clients"
        )
    told += _unread(config)
    federation = config.federation
    told += [
        f"federation.{key} is not used: it is of federation.engine '{engine}'"
        for engine, keys in OF_ENGINE.items()
        for key in keys
        if engine != federation.engine
        and getattr(federation, key) != FederationConfig.model_fields[key].default
    ]
    evaluation = config.evaluation
    if evaluation.patience is not None and not (evaluation.every and evaluation.validation):
        told.append(
            "evaluation.patience is not used: it needs evaluation.every and "
            "evaluation.validation above 0"
        )
    return told


def _unread(config: Config) -> list[str]:
    """Tell of models and texts that are named but that the selection does not read with."""
    method, told = config.selection.method, []
    if config.proxy is None:
        told += [
            f"model.{key} is not used: '{method}' reads with no proxy"
            for key in ("proxy", "proxy_dtype")
            if getattr(config.model, key) is not None
        ]
    if config.model.scorer is not None and config.scorer is None:
        told.append(f"model.scorer is not used: '{method}' asks no scorer")
    if config.selection.knowledge is not None and "knowledge" not in config.reads:
        told.append(f"selection.knowledge is not used: '{method}' reads without")
    return told
