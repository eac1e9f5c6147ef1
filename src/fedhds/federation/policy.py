"""What a site lets a server have, and what an experiment asks of it; one against the other.

Plain values: a policy is checked without Flower and without a model.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """What a site allows, whatever a server asks for; the defaults are a careful site's.

    Attributes
    ----------
    site : str
        The site's name, by which refusals speak of it.
    methods : tuple of str or None
        The selection methods that are allowed, those before or inside another one included;
        None is every one that is private. One that is not is refused in any case.
    smallest_group : int
        Nothing is described to the server that is of fewer samples: by the selection method, by
        an adapter with its loss, or by validation scores.
    least_noise : float
        The least ``noise`` (a variance) of a selection method that describes groups.
    epsilon, delta : float or None
        The most differential privacy that a run may spend; None asks for no bound. Nothing in
        this version gives one, so any bound refuses every run.
    remote_teacher : bool
        Whether another machine's model may read samples. Nothing in this version asks for one.
    samples_per_round : int or None
        The most samples to tune on in a round.
    seconds_per_round : float or None
        The most seconds to work for a round, over all its messages, models loaded included.
    largest_message : int or None
        Bytes of a message to the site or from it.
    trust_remote_code : bool
        Whether code that comes with a base model may be run.
    """

    site: str
    methods: tuple[str, ...] | None = None
    smallest_group: int = 3
    least_noise: float = 0.0
    epsilon: float | None = None
    delta: float | None = None
    remote_teacher: bool = False
    samples_per_round: int | None = None
    seconds_per_round: float | None = None
    largest_message: int | None = 256_000_000
    trust_remote_code: bool = False


@dataclass(frozen=True)
class Asked:
    """What an experiment asks of a site, as far as policies speak of it.

    Attributes
    ----------
    methods : tuple of str
        The selection method, and what goes before it and inside it.
    private : bool
        False if numbers of single samples are sent by design.
    described_group : int or None
        The smallest group of samples of which the method's numbers leave; None if none do.
    noise : float
        The variance of the noise on these numbers.
    remote_code : bool
        Whether the base model brings code that is to be run.
    """

    methods: tuple[str, ...]
    private: bool
    described_group: int | None
    noise: float = 0.0
    remote_code: bool = False


def refusal(policy: Policy, asked: Asked) -> str | None:
    """Say why a policy refuses an experiment, in one sentence; None if it does not."""
    method = asked.methods[0]
    named = policy.methods
    others = [] if named is None else [name for name in asked.methods if name not in named]
    if not asked.private:
        return f"no policy allows {method}, which sends numbers of single samples"
    if named is not None and others:
        allowed = listed(sorted(named))
        return f"its policy does not allow the method {others[0]}; allowed: {allowed}"
    if asked.described_group is not None and asked.described_group < policy.smallest_group:
        return (
            f"{method} may describe {counted(asked.described_group)} to the server, and its "
            f"policy nothing of fewer than {policy.smallest_group}"
        )
    if asked.described_group is not None and asked.noise < policy.least_noise:
        return (
            f"its policy asks for noise of at least {policy.least_noise:g} on what describes "
            f"groups, and {method} adds {asked.noise:g}"
        )
    if policy.epsilon is not None or policy.delta is not None:
        return (
            "its policy bounds the differential privacy that a run may spend (epsilon, delta), "
            "and this version guarantees none: no bound can be kept"
        )
    if asked.remote_code and not policy.trust_remote_code:
        return "its policy runs no code of a base model (model.trust_remote_code)"
    return None


def explain(policy: Policy) -> list[str]:
    """Say in sentences what a policy allows and what it does not."""
    methods = "every selection method that is private"
    if policy.methods is not None:
        methods = f"these selection methods, if private: {listed(list(policy.methods))}"
    groups = "single samples may be described to the server"
    if policy.smallest_group > 1:
        groups = (
            f"nothing is described to the server that is of fewer than {policy.smallest_group} "
            "samples: no group, no adapter with its loss, no validation scores"
        )
    noise = "no noise is asked for on what describes groups"
    if policy.least_noise:
        noise = (
            f"noise on what describes groups must have a variance of {policy.least_noise:g} or more"
        )
    spent = "no bound on epsilon or delta is asked for, and this version would guarantee none"
    if policy.epsilon is not None or policy.delta is not None:
        spent = (
            "differential privacy is bounded (epsilon, delta), and as this version guarantees "
            "none, every run is refused"
        )
    return [
        f"site '{policy.site}' allows {methods}; also for what goes before another or inside it",
        groups,
        noise,
        spent,
        f"a teacher on another machine may {_not(policy.remote_teacher)}read samples; nothing in "
        "this version asks for one",
        f"a round may tune on {_at_most(policy.samples_per_round)} samples",
        f"a round may take {_at_most(policy.seconds_per_round)} seconds of work",
        f"a message may have {_at_most(policy.largest_message)} bytes",
        f"code that comes with a base model is {_not(policy.trust_remote_code)}run",
    ]


def _not(allowed: bool) -> str:
    return "" if allowed else "not "


def _at_most(most: float | None) -> str:
    return "any number of" if most is None else f"at most {most:,.12g}"


def listed(words: list[str]) -> str:
    """Write words as in a sentence."""
    if not words:
        return "none"
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def counted(samples: int) -> str:
    """Write a number of samples."""
    return f"{samples:,} sample" + ("s" if samples != 1 else "")
