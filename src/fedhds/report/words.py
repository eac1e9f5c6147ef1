"""What the comparison says, in sentences that need no statistics to be understood."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fedhds.report.formatting import score
from fedhds.report.paired import LEVEL, MEASURES, Comparison, Measure
from fedhds.report.reference import references
from fedhds.report.runs import Group
from fedhds.report.table import mean, unseen

NAMES: dict[Measure, str] = {"rouge_l": "unseen Rouge-L", "loss": "unseen loss"}
MOST_DECIMALS = 6


@dataclass(frozen=True)
class Verdict:
    """Plain text, not escaped: what all sentences say together, then one a group, then limits.

    ``best`` says of each measure which group has the best mean, and whether that can be told
    from its reference.
    """

    summary: tuple[str, ...]
    best: tuple[str, ...]
    groups: tuple[str, ...]
    notes: tuple[str, ...]


def verdict(
    groups: Sequence[Group], comparisons: Sequence[Comparison], reference: str | None = None
) -> Verdict:
    """Put comparisons into words.

    Parameters
    ----------
    groups : sequence of Group
        As `fedhds.report.paired.differences` took them.
    comparisons : sequence of Comparison
        What it returned.
    reference : str or None
        As it took it.

    Raises
    ------
    UserError
        If there is no such reference.
    """
    asked = references(groups, reference)
    methods = {group.label: group.method for group in groups}
    by_measure = {
        measure: [one for one in comparisons if one.measure == measure] for measure in MEASURES
    }
    compared = dict.fromkeys(one.label for one in comparisons)
    summary = tuple(_summary(found, methods) for found in by_measure.values() if found)
    best = (_best(groups, m, found) for m, found in by_measure.items() if len(groups) > 1)
    return Verdict(
        summary or (_uncompared(groups, asked),),
        tuple(filter(None, best)),
        tuple(_group([one for one in comparisons if one.label == label]) for label in compared),
        (
            *_unfinished(groups),
            *_limits(comparisons),
            *_left_out(groups, comparisons, asked),
        ),
    )


def _uncompared(groups: Sequence[Group], asked: Mapping[str, str]) -> str:
    """Say why nothing is compared, or of a single group what its tuning came to."""
    if not any(group.finished for group in groups):
        return "No run has finished, so there is nothing to tell yet."
    if len(groups) == 1:
        gains = list(filter(None, (_gain(groups[0], measure) for measure in MEASURES)))
        over = _count(len(groups[0].finished), "seed")
        said = f"{_listed(gains)}, with {over}" if gains else "not scored on unseen tasks"
        return f"{groups[0].label}: {said}."
    unfinished = {group.label for group in groups if not group.finished}
    if waited := [label for label in dict.fromkeys(asked.values()) if label in unfinished]:
        return (
            f"Nothing can be compared: no run of {_listed(waited)}, which the others are compared "
            "with, has finished."
        )
    return (
        "Nothing can be compared: it needs two or more groups with scores of unseen samples for "
        "the same seeds and data."
    )


def _gain(group: Group, measure: Measure) -> str | None:
    """Say where a measure stood before and after tuning."""
    before = mean(group, lambda summary: summary.get(f"{measure}_before"))
    after = mean(group, unseen(measure))
    if before is None or after is None:
        return None
    return f"{NAMES[measure]} went from {score(before)} to {score(after)}"


def _summary(found: Sequence[Comparison], methods: dict[str, str]) -> str:
    """Say of one measure who can be told from the reference."""
    labels = {one.reference for one in found}
    name = labels.pop() if len(labels) == 1 else methods[labels.pop()]
    measure, extent = NAMES[found[0].measure], _extent(found)
    mixed = len({one.seeds for one in found}) > 1
    better = [_named(one, mixed) for one in found if one.real and one.better]
    worse = [_named(one, mixed) for one in found if one.real and not one.better]
    rest = len(found) - len(better) - len(worse)
    if rest == len(found):
        who = f"{found[0].label} cannot" if rest == 1 else "No method can"
        return f"{who} be told apart from {name} on {measure} with {extent}."
    parts = [f"better than {name}: {_listed(better)}"] if better else []
    parts += [f"worse than {name}: {_listed(worse)}"] if worse else []
    parts += [f"{rest} of {len(found)} cannot be told apart from it"] if rest else []
    return f"On {measure} with {extent}: {'; '.join(parts)}."


def _named(one: Comparison, mixed: bool) -> str:
    """Name a group; beside others over more seeds, one seed's narrow interval looks stronger."""
    return f"{one.label} (one seed only)" if mixed and one.seeds == 1 else one.label


def _best(groups: Sequence[Group], measure: Measure, found: Sequence[Comparison]) -> str | None:
    """Name the group of the best mean, and say whether that means anything."""
    means = {group.label: mean(group, unseen(measure)) for group in groups}
    known = {label: value for label, value in means.items() if value is not None}
    if not known:
        return None
    value = max(known.values()) if measure == "rouge_l" else min(known.values())
    labels = [label for label in known if known[label] == value]
    word = "highest" if measure == "rouge_l" else "lowest"
    what = f"the {word} mean {NAMES[measure]}, {score(value)}"
    if len(labels) == len(known) > 1:
        return f"All have the same mean {NAMES[measure]}, {score(value)}."
    if len(labels) > 1:
        return f"{_listed(labels)} have {what}."
    said = f"{labels[0]} has {what}"
    if not found:
        return f"{said}."
    own = [one for one in found if one.label == labels[0]]
    if own and own[0].real and own[0].better:
        return f"{said}; it is better than {own[0].reference}."
    if own:
        return f"{said}, but it is not shown to be better than {own[0].reference}."
    if labels[0] in {one.reference for one in found}:
        return f"{said}; others are compared with it."
    return f"{said}; it is compared with nothing."


def _group(found: Sequence[Comparison]) -> str:
    return f"{found[0].label}: {'; '.join(map(_comparison, found))}."


def _comparison(one: Comparison) -> str:
    measure = NAMES[one.measure]
    if math.isnan(one.difference):
        return f"{measure} is not a number in every run, so nothing can be told of it"
    decimals = _decimals(one)
    size = f"{abs(one.difference):.{decimals}f}"
    way = "higher" if one.difference > 0 else "lower"
    said = f"{measure} {size} {way} than {one.reference}"
    if one.difference == 0:
        said = f"{measure} the same as that of {one.reference}"
        if one.low == one.high:
            return f"{said} throughout"
    if math.isinf(one.low):
        return f"{said}, from one sample and one seed: nothing can be told"
    said += f" ({100 * LEVEL:.0f} % interval {_interval(one, decimals)})"
    if one.real:
        on = " on this seed" if one.seeds == 1 else ""
        return f"{said}: a real difference{on}, for the {'better' if one.better else 'worse'}"
    return f"{said}: no difference that can be told from chance"


def _interval(one: Comparison, decimals: int) -> str:
    low, high = (f"{abs(end):.{decimals}f}" for end in (one.low, one.high))
    if one.low >= 0:
        return f"{low} to {high} higher"
    if one.high <= 0:
        return f"{high} to {low} lower"
    return f"{low} lower to {high} higher"


def _decimals(one: Comparison) -> int:
    """Write a real difference finely enough that neither end of its interval reads as zero."""
    nearest = min(abs(one.low), abs(one.high))
    if not one.real or nearest == 0:
        return 3
    return min(max(3, math.ceil(-math.log10(nearest))), MOST_DECIMALS)


def _unfinished(groups: Sequence[Group]) -> list[str]:
    runs = [run for group in groups for run in group.runs]
    missing = sum(run.status != "finished" for run in runs)
    if missing in (0, len(runs)):  # of none that finished there is nothing to limit
        return []
    return [
        f"{missing:,} of {_count(len(runs), 'run')} are not finished: means are over different "
        "seeds, and all of this may still change."
    ]


def _limits(comparisons: Sequence[Comparison]) -> list[str]:
    """Say what the intervals hold for, and what they cannot know."""
    if not comparisons:
        return []
    family, seeds = comparisons[0].family, {one.seeds for one in comparisons}
    together = f"all {family} comparisons together" if family > 1 else "the comparison"
    notes = [
        f"A difference is called real if its interval does not hold zero; the intervals are at "
        f"{100 * LEVEL:.0f} % for {together} (Bonferroni)."
    ]
    if 1 in seeds:
        notes.append(
            "Comparisons over one seed hold for that seed only: nothing is known of other seeds "
            "and partitions."
        )
    if seeds - {1}:
        notes.append(
            "Comparisons over several seeds hold for other seeds and partitions too. With few "
            "seeds their intervals are wide, and more seeds narrow them most."
        )
    if max(seeds) == 2:
        notes.append("Two seeds tell little of how much seeds differ: take three or more.")
    if any(one.unit == "sample" for one in comparisons):
        notes.append(
            "Where all unseen samples are of one task, nothing is known of other unseen tasks."
        )
    return notes


def _left_out(
    groups: Sequence[Group], comparisons: Sequence[Comparison], asked: Mapping[str, str]
) -> list[str]:
    """Count seeds and name groups that were not compared."""
    lost = {one.label: one.left_out for one in comparisons if one.left_out}
    notes = [
        f"{_count(number, 'seed')} left out of the comparison, as not both the group and its "
        f"reference finished on the same data: {_listed([g for g in lost if lost[g] == number])}."
        for number in sorted({*lost.values()})
    ]
    reasons: dict[str, list[str]] = {}
    for label, reason in _reasons(groups, {one.label for one in comparisons}, asked):
        reasons.setdefault(reason, []).append(label)
    return notes + [f"Not compared, {why}: {_listed(found)}." for why, found in reasons.items()]


def _reasons(
    groups: Sequence[Group], compared: Collection[str], asked: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield each group that should have been compared and was not, with the reason."""
    finished = {group.label for group in groups if group.finished}
    methods = {group.method for group in groups if group.label in asked.values()}
    for group in groups if finished else ():
        reference = asked.get(group.label)
        if reference is None:
            if asked and group.method not in methods:
                yield group.label, "as the reference has no group of that size"
        elif group.label not in finished:
            yield group.label, "as no run of it has finished"
        elif reference not in finished:
            yield group.label, f"as no run of {reference} has finished"
        elif group.label not in compared:
            yield (
                group.label,
                "for lack of a seed with scores of unseen samples and the same data as a run of "
                f"{reference}",
            )


def _extent(found: Sequence[Comparison]) -> str:
    """Count seeds and units, as a range where comparisons have different ones."""
    unit = found[0].unit if len({one.unit for one in found}) == 1 else "task or sample"
    seeds = sorted({one.seeds for one in found})
    units = sorted({one.units for one in found})
    return f"{_range(seeds, 'seed')} and {_range(units, unit)}"


def _range(numbers: Sequence[int], noun: str) -> str:
    if numbers[0] == numbers[-1]:
        return _count(numbers[0], noun)
    return f"{numbers[0]:,} to {_count(numbers[-1], noun)}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels[:-1]) + (" and " if labels[1:] else "") + labels[-1]
