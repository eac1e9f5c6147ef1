"""The experiment's configuration: YAML in, dotted overrides, one clear sentence per mistake.

Every stage takes plain parameters; this package checks them and hands them on. Paths are
relative to the current folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fedhds import registry
from fedhds.config.oddities import notices
from fedhds.config.options import build, check_option, fields_of, sentence_of, unknown_key
from fedhds.config.policy import allowed_by_default, asked, load_policy
from fedhds.config.sections import (
    METHOD_KINDS,
    SITE_NAME,
    Config,
    MethodSection,
    method_name,
    name_key,
)
from fedhds.config.text import from_text, override_key, read_yaml
from fedhds.types import Preset, SignalModel, UserError

__all__ = [
    "METHOD_KINDS",
    "Config",
    "allowed_by_default",
    "asked",
    "build",
    "check_sites",
    "from_text",
    "load",
    "load_policy",
    "notices",
    "parse",
    "read",
    "read_yaml",
]


def load(source: str | Path | Mapping[str, Any] | None, overrides: Iterable[str] = ()) -> Config:
    """Read a configuration and check it whole.

    Parameters
    ----------
    source : path, mapping or None
        A YAML file, the same as a mapping, or None for the defaults.
    overrides : iterable of str
        ``key.key=value``, the value in YAML.

    Raises
    ------
    UserError
        For the first mistake, naming its key.
    """
    return parse(read(source, overrides))


def read(
    source: str | Path | Mapping[str, Any] | None, overrides: Iterable[str] = ()
) -> dict[str, Any]:
    """Read a configuration as it was given, unchecked (parameters as in `load`)."""
    plain = dict(source) if isinstance(source, Mapping) else read_yaml(source)
    for override in overrides:
        override_key(plain, override)
    return plain


def parse(plain: Mapping[str, Any]) -> Config:
    """Check a configuration given as nested mappings (errors as in `load`)."""
    try:
        config = Config.model_validate(plain)
    except ValidationError as error:
        raise UserError(sentence_of(error, Config, "")) from error
    _check(config)
    # with the methods' defaults filled in, it is equal to what it is written as
    return Config.model_validate(config.resolved())


def _check(config: Config) -> None:
    """Check what concerns several keys at once, the options of methods included."""
    for kind in METHOD_KINDS:
        part: MethodSection = getattr(config, kind)
        try:
            cls = registry.load(kind, method_name(part))
        except UserError as error:
            raise UserError(f"{kind}.{name_key(part)}: {error}") from error
        others = registry.names(kind) if part.options else ()
        classes = (*(registry.load(kind, name) for name in others), cls)
        owners = {field: owner for owner in classes for field in fields_of(owner)}
        for option, value in part.options.items():
            if option not in owners:
                known = [*type(part).model_fields, *fields_of(cls)]
                raise UserError(unknown_key(option, known, kind))
            check_option(owners[option], option, value, kind)
    try:
        config.codec_method  # noqa: B018
    except UserError as error:
        raise UserError(f"federation.codec: {error}") from error
    method, selection = config.selection_method, config.selection
    adapter, aggregation, _ = (
        config.adapter_method,
        config.aggregation_method,
        config.partition_method,
    )
    if aggregation.injected and not adapter.injected:
        raise UserError(
            f"aggregation.method '{config.aggregation.method}' does not work with adapter.kind "
            f"'{config.adapter.kind}'"
        )
    if config.tuning.gradient_checkpointing and not adapter.checkpointing:
        raise UserError(
            f"tuning.gradient_checkpointing does not work with adapter.kind '{config.adapter.kind}'"
        )
    if selection.samples is not None and selection.share is not None:
        raise UserError("selection.samples and selection.share are two budgets: give one of them")
    if method.budget == "required" and config.budget_key is None:
        raise UserError(
            f"selection.method '{selection.method}' needs a budget: "
            "set selection.samples or selection.share"
        )
    wishes: dict[SignalModel, tuple[str | None, str]] = {
        "proxy": (config.model.proxy, "with a small frozen model: set model.proxy"),
        "scorer": (config.model.scorer, "with a model that judges them: set model.scorer"),
        "knowledge": (selection.knowledge, "with public knowledge: set selection.knowledge"),
    }
    for model, (given, wish) in wishes.items():
        if model in config.reads and given is None:
            raise UserError(f"the selection reads the samples {wish}")
    _check_data(config)


def _check_data(config: Config) -> None:
    """Check that the preset goes with where the data come from."""
    data = config.data
    try:
        preset = config.data_preset
    except UserError as error:
        raise UserError(f"data.preset: {error}") from error
    if preset.generated and data.train is not None:
        raise UserError(f"data.preset '{data.preset}' is generated, so it goes without data.train")
    if config.federation.engine == "deployment":
        _check_deployment(config, preset)
    elif not preset.generated and data.train is None:
        raise UserError(
            f"data.preset '{data.preset}' needs data.train, a file, a folder or a hub data set"
        )
    for key, given in (("eval", data.eval), ("holdout", data.holdout)):
        if preset.brings_unseen and given:
            problem = "needs data.train" if preset.generated else "must not be given"
            raise UserError(
                f"data.{key} {problem}: the preset '{data.preset or 'toy'}' brings its own "
                "unseen tasks"
            )
    if data.eval and data.holdout:
        raise UserError("data.eval and data.holdout both name unseen tasks: give one of them")


def check_sites(names: Sequence[str], key: str) -> None:
    """Check the names of a deployment's sites, which ``key`` gives (errors as in `load`)."""
    if not names:
        raise UserError(f"{key} names no site")
    for name in names:
        if not re.fullmatch(SITE_NAME, name):
            wish = "at most 64 letters, digits, dots, hyphens and underscores"
            raise UserError(f"{key}: '{name}' is not of {wish}")
        if names.count(name) > 1:
            raise UserError(f"{key} names '{name}' twice")


def _check_deployment(config: Config, preset: Preset) -> None:
    """Check what only makes sense, or makes none, where each site has data of its own."""
    check_sites(config.federation.sites, "federation.sites")
    if config.federation.deadline is None:  # a site that is gone would be waited for without end
        raise UserError("federation.engine 'deployment' needs federation.deadline, in seconds")
    if not config.selection_method.private:
        raise UserError(
            f"selection.method '{config.selection.method}' sends per-sample numbers, so it is "
            "not for federation.engine 'deployment'"
        )
    if preset.generated or preset.brings_unseen:
        raise UserError(f"data.preset '{config.data.preset}' is not of sites' own data")
    for key in ("holdout", "duplicates", "corrupted", "per_client"):
        if getattr(config.data, key):
            raise UserError(f"data.{key} is not for federation.engine 'deployment'")
