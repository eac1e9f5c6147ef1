"""A site's policy: a YAML file on the site, and what an experiment asks of one."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from fedhds import registry
from fedhds.config.options import build_method, sentence_of
from fedhds.config.sections import SITE_NAME, Config, Section
from fedhds.config.text import read_yaml
from fedhds.federation.policy import Asked, Policy, refusal
from fedhds.types import SelectionMethod, UserError

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
"""Of sizes, in bytes."""


def _bytes(given: Any) -> Any:
    """Turn a size such as ``64 MB`` into bytes; leave what is no text as it is."""
    if not isinstance(given, str):
        return given
    size = re.fullmatch(r"(\d+(?:\.\d+)?) ?(\w+)", given.strip())
    if size is None or size[2] not in UNITS:
        wish = f"should be a number of bytes, or one with a unit ({', '.join(UNITS)})"
        raise PydanticCustomError("size", wish)
    return round(float(size[1]) * UNITS[size[2]])


def _name(given: str) -> str:
    if not re.fullmatch(SITE_NAME, given):
        wish = "should be of at most 64 letters, digits, dots, hyphens and underscores"
        raise PydanticCustomError("name", wish)
    return given


class PolicySection(Section):
    """The keys of a policy file, which are those of `Policy`."""

    site: Annotated[str, AfterValidator(_name)]
    methods: list[str] | None = None
    smallest_group: int = Field(Policy.smallest_group, ge=1)
    least_noise: float = Field(Policy.least_noise, ge=0, allow_inf_nan=False)
    epsilon: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Policy.epsilon
    delta: Annotated[float, Field(ge=0, lt=1)] | None = Policy.delta
    remote_teacher: bool = Policy.remote_teacher
    samples_per_round: Annotated[int, Field(ge=1)] | None = Policy.samples_per_round
    seconds_per_round: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = (
        Policy.seconds_per_round
    )
    largest_message: Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_bytes)] = (
        Policy.largest_message
    )
    trust_remote_code: bool = Policy.trust_remote_code


def load_policy(path: str | Path) -> Policy:
    """Read a site's policy and check it whole.

    Parameters
    ----------
    path : path
        A YAML file of the keys of `Policy`.

    Raises
    ------
    UserError
        For the first mistake, naming the file and the key.
    """
    plain = read_yaml(path, "policy")
    try:
        section = PolicySection.model_validate(plain)
    except ValidationError as error:
        raise UserError(f"{path}: {sentence_of(error, PolicySection, '')}") from error
    for name in section.methods or []:
        try:
            registry.load("selection", name)
        except UserError as error:
            raise UserError(f"{path}: methods: {error}") from error
    keys = section.model_dump()
    methods = keys.pop("methods")
    return Policy(methods=None if methods is None else tuple(methods), **keys)


def asked(config: Config) -> Asked:
    """Say what an experiment asks of a site."""
    section = config.selection
    inner = (part.method for part in (section.filter, section.within) if part is not None)
    names, method = (section.method, *inner), config.selection_method
    return replace(_of_method(names, method), remote_code=config.model.trust_remote_code)


def allowed_by_default(policy: Policy) -> list[str]:
    """Return the names of the selection methods that a policy allows with their default options."""
    return [
        name
        for name in registry.names("selection")
        if refusal(policy, _of_method((name,), build_method("selection", name, {}))) is None
    ]


def _of_method(names: tuple[str, ...], method: SelectionMethod) -> Asked:
    return Asked(names, method.private, method.described_group, method.noise)
