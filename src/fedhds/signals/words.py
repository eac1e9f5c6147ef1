"""How often a sample's words occur in it, in columns that every client finds alike.

Source: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning",
arXiv 0902.2206 (ICML 2009): no vocabulary has to be agreed on.
Deviations: counts are not signed, so that no number is below 0 and words that share a column
add up; they are damped to 1 + ln(count), as scikit-learn's sublinear term frequencies are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize

from fedhds.data.texts import text_of
from fedhds.models import LanguageModel
from fedhds.types import Progress, Sample

COLUMNS = 4096
"""Columns that words are hashed into."""


def compute(
    model: LanguageModel, samples: Sequence[Sample], batch_size: int, progress: Progress
) -> NDArray[np.float32]:
    """Count the words of each sample's whole text; the model is not run.

    Words are two letters or digits at least, in lower case.

    Returns
    -------
    ndarray of float32, shape (n_samples, 4096)
        Of unit length and never below 0; a text without a word is a row of zeros.
    """
    if not samples:  # scikit-learn hashes no empty list
        return np.zeros((0, COLUMNS), np.float32)
    hashing = HashingVectorizer(n_features=COLUMNS, alternate_sign=False, norm=None)
    counts = hashing.transform([text_of(sample.example) for sample in samples])
    counts.data = 1 + np.log(counts.data)
    rows: NDArray[np.float32] = normalize(counts).toarray().astype(np.float32)
    return rows
