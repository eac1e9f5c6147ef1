"""Event files for TensorBoard: ``tensorboard --logdir runs`` shows all runs under ``runs``.

Source: https://www.tensorflow.org/tensorboard, written by torch.utils.tensorboard
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedhds.trackers._numbers import FINAL
from fedhds.types import Setting, TrackedRun, Tracker


@dataclass(frozen=True)
class TensorBoard(Tracker):
    """Scalars by round, the settings as hyperparameters; needs the package ``tensorboard``."""

    def check(self) -> None:
        """Import it."""
        import torch.utils.tensorboard  # noqa: F401

    def open(
        self, name: str, folder: Path, settings: Mapping[str, Setting], finished: int
    ) -> TrackedRun:
        """Begin an event file; a resumed run's newest round counts from this file on.

        Only the newest can be missing in the earlier files, or stand there in half.
        """
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        writer: Any = SummaryWriter(str(folder), purge_step=finished or None)
        figures = dict.fromkeys((f"final/{name}" for name in FINAL), 0.0)
        experiment, started, ended = hparams(dict(settings), figures)  # type: ignore[no-untyped-call]
        if not finished:
            for summary in (experiment, started):
                writer.file_writer.add_summary(summary)
        return _Run(writer, ended, max(finished - 1, 0))


class _Run:
    def __init__(self, writer: Any, ended: Any, logged: int) -> None:
        self._writer, self._ended, self.logged = writer, ended, logged

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, number in numbers.items():
            self._writer.add_scalar(name, number, step)
        self._writer.flush()

    def close(self, finished: bool) -> None:
        if finished:
            self._writer.file_writer.add_summary(self._ended)
        self._writer.close()
