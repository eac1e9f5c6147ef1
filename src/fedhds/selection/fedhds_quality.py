"""`fedhds-aligned` whose representatives are good as well as central.

Source: our own; IRA of FedDQC (Du et al., Findings of ACL 2025, arXiv 2410.11540), section 3

A sample's quality is the mean of two measures, each against the client's other samples:

- IRA: how much the prompt lowers the loss of the response, which is -ln IFD. A wrong answer is
  no likelier with its prompt than without.
- agreement: how much nearer its response is to the responses of the samples with the nearest
  prompts than to the client's other responses. A wrong answer is of another kind.

Only the better half of each group may stand for it, and groups whose quality is an outlier
below are not told of at all.

Deviations from FedDQC: no global threshold, as quality is compared within a client alone, where
tasks are alike, so that hard tasks are not lost; agreement is ours; read with the frozen base.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedhds.selection._agreement import agreement
from fedhds.selection._alignment import ira
from fedhds.selection._grouping import NOISE, in_order_of_appearance
from fedhds.selection.fedhds_aligned import FedHDSAligned
from fedhds.types import Array, Signals

CLIP = 3.0
"""Standard deviations beyond which it does not matter how far out a measure is."""

NORMAL = 1.4826
"""The standard deviation of a normal distribution in median absolute deviations."""


@dataclass(frozen=True)
class FedHDSQuality(FedHDSAligned):
    """`FedHDSAligned` with representatives from the better half of each group.

    Attributes
    ----------
    outlier : float
        How many (robust) standard deviations of quality a group's median may lie below the
        client's; groups further down are left out.
    """

    outlier: float = 1.0

    def __post_init__(self) -> None:
        """Check the options' ranges."""
        super().__post_init__()
        if not self.outlier > 0:
            raise ValueError("outlier must be above 0")

    def needs(self) -> tuple[str, ...]:
        """Need the features, means over tokens and both losses."""
        quality = ("mean_states", "loss_with_prompt", "loss_alone")
        return tuple(dict.fromkeys((*super().needs(), *quality)))

    def sift(self, signals: Signals, labels: Array) -> tuple[Array, Array | None]:
        """Leave out groups of poor quality; return the samples' quality."""
        agreed = agreement(signals.arrays["mean_states"], self.projection_seed)
        aligned = ira(signals.arrays["loss_with_prompt"], signals.arrays["loss_alone"])
        quality = (_standardised(aligned) + _standardised(agreed)) / 2
        groups = range(int(labels.max(initial=NOISE)) + 1)
        medians = [float(np.median(quality[labels == group])) for group in groups]
        poor = np.flatnonzero(np.array(medians) < -self.outlier)
        if len(poor) < len(medians):
            labels = np.where(np.isin(labels, poor), NOISE, labels)
        return in_order_of_appearance(labels), quality


def _standardised(values: Array) -> Array:
    """Count values in robust standard deviations from their median, clipped."""
    if not len(values):
        return np.zeros(0)
    gaps = values - np.median(values)
    spread = NORMAL * np.median(np.abs(gaps))
    return np.clip(gaps / spread, -CLIP, CLIP) if spread else np.zeros(len(gaps))
