"""A run of an MLflow experiment: on a server, or in a database in the run folder.

Source: https://mlflow.org, through its client (mlflow-skinny is enough)
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedhds.files import read_json, write_json
from fedhds.types import Setting, TrackedRun, Tracker

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # by default a server that is gone holds up every round for minutes
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
"""How MLflow is used here where the user's environment does not say otherwise."""

LONGEST_VALUE, LARGEST_BATCH = 6000, 100
"""MLflow's limits: characters of a parameter, parameters of a request."""

MARK = "samples"
"""A metric that every round has: its steps tell which rounds are logged."""


@dataclass(frozen=True)
class MLflow(Tracker):
    """Metrics by round, the settings as parameters; needs the package ``mlflow-skinny``.

    The client is used rather than ``mlflow.start_run``, which would also record the user,
    the command and the commit of the folder it runs in.

    Attributes
    ----------
    uri : str or None
        MLflow's tracking URI; None is an SQLite database in the run folder, which
        ``mlflow ui --backend-store-uri sqlite:///RUN/tracking/mlflow/mlflow.db`` shows.
    experiment : str
        The experiment to add the run to; it is made if there is none of that name.
    """

    uri: str | None = None
    experiment: str = "fedhds"

    def check(self) -> None:
        """Import it, and ask the store, if one is named."""
        client = _client_class()
        if self.uri is not None:
            client(self.uri).get_experiment_by_name(self.experiment)

    def open(
        self, name: str, folder: Path, settings: Mapping[str, Setting], finished: int
    ) -> TrackedRun:
        """Make a run, or go on with the one whose identifier ``folder`` keeps."""
        folder.mkdir(parents=True, exist_ok=True)
        client = _client_class()(self.uri or f"sqlite:///{folder.resolve() / 'mlflow.db'}")
        kept = folder / "run.json"
        if kept.is_file():
            run = read_json(kept)["run_id"]
            client.update_run(run, status="RUNNING")
        else:
            run = client.create_run(self._experiment_id(client), run_name=name).info.run_id
            _log_settings(client, run, settings)
            write_json(kept, {"run_id": run})
        steps = [metric.step for metric in client.get_metric_history(run, MARK)]
        return _Run(client, run, max(steps, default=0))

    def _experiment_id(self, client: Any) -> str:
        found = client.get_experiment_by_name(self.experiment)
        if found is not None:
            return str(found.experiment_id)
        return str(client.create_experiment(self.experiment))


class _Run:
    def __init__(self, client: Any, run: str, logged: int) -> None:
        self._client, self._run, self.logged = client, run, logged

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [Metric(name, float(number), now, step) for name, number in numbers.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def close(self, finished: bool) -> None:
        self._client.set_terminated(self._run, "FINISHED" if finished else "FAILED")


def _client_class() -> Any:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)  # some are read when it is imported
    from mlflow import MlflowClient

    return MlflowClient


def _log_settings(client: Any, run: str, settings: Mapping[str, Setting]) -> None:
    from mlflow.entities import Param

    params = [Param(name, str(value)[:LONGEST_VALUE]) for name, value in settings.items()]
    for start in range(0, len(params), LARGEST_BATCH):
        client.log_batch(run, params=params[start : start + LARGEST_BATCH])
