"""How well a coreset stands for all samples, in a judging space.

Arrays in, numbers out: rows of unit length are the samples (rows of zeros are like nothing),
a coreset is positions among them. One thread, so that sums are always split alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from fedhds.rng import generator
from fedhds.selection._facility_location import facility_location
from fedhds.types import Array

DRAWS = 20
"""How many random coresets chance is told from."""

BLOCK = 1 << 22
"""Cosines that are held at a time."""

DIGITS = 6
"""Of the numbers; what is beyond is the rounding of float32."""


Measures = dict[str, float]


def coverage(points: Array, chosen: Array) -> float:
    """Return the mean over all samples of the highest cosine to a chosen one.

    Parameters
    ----------
    points : ndarray of float32, shape (n_samples, dimensions)
    chosen : ndarray of int64, shape (n_chosen,)
        At least one.
    """
    return float(_highest(points, points[np.sort(chosen)]).mean(dtype=np.float64))


def redundancy(points: Array, chosen: Array) -> float:
    """Return the mean over the chosen of the highest cosine to another; NaN for fewer than two."""
    if len(chosen) < 2:
        return math.nan
    members = points[np.sort(chosen)]
    return float(_highest(members, members, others=True).mean(dtype=np.float64))


def cut(chosen: Array, size: int, seed: int) -> Array:
    """Draw ``size`` of the chosen without replacement, ascending; all if there are no more."""
    drawn = generator(seed, "judge cut").permutation(chosen)[:size]
    return np.sort(drawn)


def compare(
    points: Array,
    coresets: Mapping[str, Array],
    labels: Mapping[str, Sequence[str]],
    seed: int,
) -> dict[str, dict[str, float | None]]:
    """Judge coresets of one size beside random ones and the ceiling of that size.

    Parameters
    ----------
    points : ndarray of float32, shape (n_samples, dimensions)
        The judging space.
    coresets : mapping of str to ndarray of int64, shape (size,)
    labels : mapping of str to sequence of str
        Per kind (tasks, say) each sample's label, "" for none; how many different ones a
        coreset covers is counted.

    Returns
    -------
    dict of str to dict of str to float or None
        Under the name of each coreset and under ``ceiling`` (`facility_location`,
        a ceiling for what selection can reach, though no proof of one):
        ``coverage``; ``gain`` over the random coresets' mean; ``share`` of the ceiling's
        gain (None where that has none); ``redundancy``; and a number per kind. Under
        ``random draws`` the means of `DRAWS` random coresets, and ``coverage_sd`` and
        ``redundancy_sd``, standard deviations over them.

    Raises
    ------
    ValueError
        If the coresets are empty or of different sizes.
    """
    sizes = {len(chosen) for chosen in coresets.values()}
    if len(sizes) != 1 or sizes == {0}:
        raise ValueError(f"coresets must be of one size above 0, not {sorted(sizes)}")
    (size,) = sizes
    judged = {**coresets, "ceiling": facility_location(points, size)[0]}
    rows = {name: _measures(points, chosen, labels) for name, chosen in judged.items()}
    chance = _chance(points, size, labels, seed)
    for row in rows.values():
        row["gain"] = round(row["coverage"] - chance["coverage"], DIGITS)
    highest = rows["ceiling"]["gain"]
    for row in rows.values():
        row["share"] = row["gain"] / highest if highest > 0 else math.nan
    return {name: _finished(row) for name, row in {**rows, "random draws": chance}.items()}


def _highest(points: Array, members: Array, others: bool = False) -> Array:
    """Return each point's highest cosine to a member, or (``others``) to one that is not itself."""
    highest = np.empty(len(points), np.float32)
    rows = max(1, BLOCK // len(members))
    with threadpool_limits(limits=1):
        for start in range(0, len(points), rows):
            cosines = points[start : start + rows] @ members.T
            if others:
                here = np.arange(len(cosines))
                cosines[here, start + here] = -np.inf
            highest[start : start + rows] = cosines.max(axis=1)
    return highest


def _measures(points: Array, chosen: Array, labels: Mapping[str, Sequence[str]]) -> Measures:
    covered = {kind: len({of[i] for i in chosen} - {""}) for kind, of in labels.items()}
    close = {"coverage": coverage(points, chosen), "redundancy": redundancy(points, chosen)}
    return close | covered


def _chance(points: Array, size: int, labels: Mapping[str, Sequence[str]], seed: int) -> Measures:
    """Return the means of random coresets' measures, and two standard deviations."""
    rng = generator(seed, "judge random")
    draws = [rng.choice(len(points), size, replace=False) for _ in range(DRAWS)]
    rows = [_measures(points, chosen, labels) for chosen in draws]
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    means = {name: float(values.mean()) for name, values in columns.items()}
    spread = {f"{n}_sd": float(columns[n].std(ddof=1)) for n in ("coverage", "redundancy")}
    return means | spread


def _finished(measures: Measures) -> dict[str, float | None]:
    """Round what JSON is to hold, which has no NaN."""
    return {
        name: None if math.isnan(value) else round(value, DIGITS)
        for name, value in measures.items()
    }
