"""Each sample's text as bytes: for methods that judge texts by what a compressor makes of them.

Source: our own; the bytes that Yin et al., "Entropy Law: The Story Behind Data Compression and
LLM Performance", arXiv 2407.06645, compress.
Deviations: the text alone and not the printed form of a record, whose keys, identifiers, quotes
and escapes would count as well; one Unicode form and one kind of line end, so that what reads
alike is alike.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

from fedhds.data.texts import text_of
from fedhds.models import LanguageModel
from fedhds.types import Array, Progress, Sample


def compute(
    model: LanguageModel, samples: Sequence[Sample], batch_size: int, progress: Progress
) -> Array:
    """Encode each sample's whole text; the model is not run.

    Returns
    -------
    ndarray of object, shape (n_samples,)
        Of ``bytes``: UTF-8 of instruction, input and output, a line each, in Unicode's form
        NFC and with line ends of one byte. Private as nothing else is, and never kept on disk.
    """
    texts = np.empty(len(samples), object)
    texts[:] = [_canonical(text_of(sample.example)) for sample in samples]
    return texts


def _canonical(text: str) -> bytes:
    """Encode a text so that equal ones are equal, wherever they were written."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", lines).encode()
