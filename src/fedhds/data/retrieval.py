"""Which texts of a public base are most like a client's own, by the words that they share.

Source: TF-IDF and the cosine, Salton and Buckley, "Term-weighting approaches in automatic text
retrieval" (1988); hashed columns, Weinberger et al., arXiv 0902.2206 (ICML 2009).
Deviations: RECOST (arXiv 2402.17355), which this serves, embeds questions and items; words need no
second model. Its paper's body was not available, so all numbers but `TOP` are ours, RECONSTRUCTED.
Words are counted as 1 + ln(count); the weights come from the public base alone, so
that no client shapes what another finds, and a word that the base has not counts as its rarest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

COLUMNS = 2**20
"""Columns that words are hashed into: few of them share one."""

TOP = 5
"""The most texts found for each (RECOST's)."""

FLOOR = 0.1
"""Cosines below it are of common words alone (ours)."""

COPY = 0.95
"""Cosines from it on are of a text that all but repeats the other, with its answer (ours)."""

ENTRIES = 2**23
"""Cosines in memory at a time."""


def retrieve(texts: Sequence[str], base: Sequence[str]) -> tuple[list[list[int]], int]:
    """Find the texts of a base that are most like each of ``texts`` without repeating it.

    Words are runs of letters and digits, in lower case. A script that puts nothing between
    its words has few that two texts share, so that little is found.

    Returns
    -------
    found : list of list of int
        For each text up to `TOP` positions in ``base``, the most similar first, ties by
        position; none of a cosine below `FLOOR`.
    copies : int
        How many pairs of a text and one of the base were passed over as copies (`COPY`).
    """
    if not texts or not base:
        return [[] for _ in texts], 0
    words = HashingVectorizer(
        n_features=COLUMNS, alternate_sign=False, norm=None, token_pattern=r"\w+", dtype=np.float32
    )
    weights = TfidfTransformer(sublinear_tf=True)
    columns = weights.fit_transform(words.transform(base)).T.tocsr()
    rows = weights.transform(words.transform(texts))
    found: list[list[int]] = []
    copies, step = 0, max(1, ENTRIES // len(base))
    for start in range(0, len(texts), step):
        cosines = (rows[start : start + step] @ columns).tocsr()
        for one in range(cosines.shape[0]):
            places, passed = _best(cosines[one])
            found.append(places)
            copies += passed
    return found, copies


def _best(cosines: Any) -> tuple[list[int], int]:
    """Return the best of one sparse row of cosines, and how many were copies."""
    places: NDArray[np.int64] = cosines.indices
    values: NDArray[np.float32] = cosines.data
    wanted = (values >= FLOOR) & (values < COPY)
    order = np.lexsort((places[wanted], -values[wanted]))[:TOP]
    return places[wanted][order].tolist(), int((values >= COPY).sum())
