"""What the published FedHDS code does, plainly: the yardstick of ``speed.py``.

One sample at a time; the states of all tokens of all layers kept; logits and loss computed
where nobody reads them; features in float64, laid out as they are; answers one by one; and
everything read again in every round. Its faults that change what is chosen (see
``docs/methods.md``) are not repeated, for then the two would not do the same work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.cluster import HDBSCAN
from sklearn.manifold import TSNE

from fedhds.types import Sample


def read(model: Any, samples: Sequence[Sample], device: torch.device) -> list[np.ndarray]:
    """Read the samples' features: the last token after every layer, as one row each."""
    model.eval()
    rows = []
    with torch.inference_mode():
        for sample in samples:
            tokens = torch.tensor([[*sample.prompt, *sample.response]], device=device)
            mask, labels = torch.ones_like(tokens), _labels(sample, device)
            output = model(
                input_ids=tokens, attention_mask=mask, labels=labels, output_hidden_states=True
            )
            last = [np.asarray(s[0, -1].float().cpu(), np.float64) for s in output.hidden_states]
            rows.append(np.concatenate(last))
    return rows


def group(rows: Sequence[np.ndarray], smallest: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Lay the features out and group them: points and labels."""
    points = TSNE(n_components=2, perplexity=min(30, len(rows) - 1)).fit_transform(np.array(rows))
    return points, choose(points, smallest)


def choose(points: np.ndarray, smallest: int = 2) -> np.ndarray:
    """Group points by HDBSCAN, on a client or on the server.

    By scikit-learn's; the published code has another library's, which may scale better.
    """
    found = HDBSCAN(min_cluster_size=smallest, copy=True).fit(points.astype(np.float64))
    labels: np.ndarray = found.labels_
    return labels


def centroids(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the groups' mean points; all samples are one group where none formed."""
    if labels.max(initial=-1) < 0:
        return points.mean(0, keepdims=True)
    return np.stack([points[labels == number].mean(0) for number in range(labels.max() + 1)])


def pick(points: np.ndarray, means: np.ndarray) -> list[int]:
    """Take the sample nearest to each of some groups' means."""
    return sorted({int(np.linalg.norm(points - mean, axis=1).argmin()) for mean in means})


def train(model: Any, samples: Sequence[Sample], lr: float, device: torch.device) -> None:
    """Train the adapter, one sample a step, with the logits of all tokens."""
    model.train()
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=lr)
    for sample in samples:
        tokens = torch.tensor([[*sample.prompt, *sample.response]], device=device)
        mask, labels = torch.ones_like(tokens), _labels(sample, device)
        loss = model(input_ids=tokens, attention_mask=mask, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def answer(
    model: Any, prompts: Sequence[Sequence[int]], longest: int, device: torch.device
) -> None:
    """Answer the prompts one by one."""
    model.eval()
    with torch.inference_mode():
        for prompt in prompts:
            tokens = torch.tensor([list(prompt)], device=device)
            model.generate(
                input_ids=tokens,
                attention_mask=torch.ones_like(tokens),
                max_new_tokens=longest,
                num_beams=1,
                do_sample=False,
            )


def _labels(sample: Sample, device: torch.device) -> torch.Tensor:
    return torch.tensor([[-100] * len(sample.prompt) + list(sample.response)], device=device)
