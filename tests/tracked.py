"""What trackers kept of a run, read back with their own libraries."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fedhds.files import read_json


def tensorboard(out: Path) -> EventAccumulator:
    """Read the event files of a run folder as TensorBoard does."""
    return EventAccumulator(str(out / "tracking" / "tensorboard")).Reload()


def mlflow(out: Path, uri: str | None = None) -> tuple[MlflowClient, str]:
    """Return a client for a run folder's MLflow store, and the run's identifier there."""
    folder = out.resolve() / "tracking" / "mlflow"
    client = MlflowClient(uri or f"sqlite:///{folder / 'mlflow.db'}")
    return client, read_json(folder / "run.json")["run_id"]


def rounds_logged(name: str, out: Path, uri: str | None = None) -> list[int]:
    """Return the steps that a tracker has of the samples a round, in its order."""
    if name == "tensorboard":
        return [event.step for event in tensorboard(out).Scalars("samples")]
    client, run = mlflow(out, uri)
    return [metric.step for metric in client.get_metric_history(run, "samples")]
