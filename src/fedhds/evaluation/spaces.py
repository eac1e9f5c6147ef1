"""Spaces to judge coresets in, made from the samples' text alone.

No hidden states: judged by what it was chosen by, a choice would praise itself. Methods that
read words are near to the lexical space, but not to a sentence encoder's. Rows have unit length;
those of zeros are texts that say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from threadpoolctl import threadpool_limits
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from fedhds.batching import Batch, by_length, pad
from fedhds.models import inference, positions
from fedhds.pretrained import load_encoder
from fedhds.rng import derive
from fedhds.types import Array, Progress

COMPONENTS = 128
"""Dimensions of the lexical space at most."""

LONGEST = 256
"""Tokens of a text that a sentence encoder reads."""


def lexical(texts: Sequence[str], seed: int) -> Array:
    """Place texts by their words: TF-IDF and latent semantic analysis.

    Source: Deerwester et al. 1990, with scikit-learn's TF-IDF (sublinear term frequencies).

    Parameters
    ----------
    texts : sequence of str, length n_samples
    seed : int
        Of the decomposition's first direction; the result hangs on it by rounding only.

    Returns
    -------
    ndarray of float32, shape (n_samples, dimensions)
        At most `COMPONENTS` dimensions, unless there are no more texts or words than that:
        then each word is one. Words of a single text are left out where others are left;
        a text without any word is a row of zeros.
    """
    weights = _word_weights(texts)
    with threadpool_limits(limits=1):
        if min(weights.shape) <= COMPONENTS:
            return _of_unit_length(weights.toarray())
        state = derive(seed, "judge lexical") % 2**32
        svd = TruncatedSVD(COMPONENTS, algorithm="arpack", random_state=state)
        return _of_unit_length(svd.fit_transform(weights))


@dataclass(frozen=True)
class SentenceEncoder:
    """A model that places texts by their meaning, as sentence-transformers' MiniLM does."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def load(cls, folder: str | Path) -> SentenceEncoder:
        """Load a local folder in transformers' format (errors as in `load_encoder`)."""
        return cls(*load_encoder(folder))

    def encode(self, texts: Sequence[str], batch_size: int, progress: Progress) -> Array:
        """Return the means of the last states over real tokens, of unit length.

        Parameters
        ----------
        texts : sequence of str, length n_samples
            Of each, the first `LONGEST` tokens are read.
        batch_size : int
            Texts per forward pass at most; it changes the numbers by rounding only.

        Returns
        -------
        ndarray of float32, shape (n_samples, width)
        """
        most = min(LONGEST, positions(self.model.config) or LONGEST)
        filler = self.tokenizer.pad_token_id or 0
        found = self.tokenizer(list(texts), truncation=True, max_length=most)["input_ids"]
        sequences = [tokens or [filler] for tokens in found]
        batches = by_length([len(tokens) for tokens in sequences], batch_size, self.model.device)
        rows = np.empty((len(texts), self.model.config.hidden_size), np.float32)
        with inference(self.model):
            for chosen in progress.track(batches, "sentence encoder", len(batches)):
                batch = pad([sequences[i] for i in chosen], filler, self.model.device)
                rows[chosen] = self._means(batch).float().cpu().numpy()
        return _of_unit_length(rows)

    def _means(self, batch: Batch) -> torch.Tensor:
        """Return the mean state of each sequence's real tokens, shape (batch, width)."""
        states = self.model(input_ids=batch.tokens, attention_mask=batch.mask).last_hidden_state
        real = batch.mask[:, :, None].to(states.dtype)
        means: torch.Tensor = (states * real).sum(1) / real.sum(1)
        return means


def _word_weights(texts: Sequence[str]) -> Any:
    """Return TF-IDF as a sparse matrix, shape (n_samples, n_words); one empty column for none."""
    for fewest in (2, 1):
        try:
            return TfidfVectorizer(sublinear_tf=True, min_df=fewest).fit_transform(texts)
        except ValueError:  # no word is in so many texts
            continue
    return csr_array((len(texts), 1))


def _of_unit_length(rows: Array) -> Array:
    """Scale rows to length 1; rows of zeros stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Array = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return scaled.astype(np.float32)
