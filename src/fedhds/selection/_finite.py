"""What every method refuses before it computes with it."""

from __future__ import annotations

import numpy as np

from fedhds.types import Array


def check_finite(what: str, values: Array) -> None:
    """Refuse values of which one is not finite (ValueError), naming ``what`` they are.

    Told by the least and the largest, so that nothing of their size is made.
    """
    if values.size and not np.isfinite([values.min(), values.max()]).all():
        raise ValueError(f"the {what} hold non-finite values")
