"""The usual preset: rows of a file, a folder or the hub, whose columns are the fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedhds.data.examples import to_examples
from fedhds.data.sources import read_source
from fedhds.types import Examples, Preset, Rows


class ColumnsPreset(Preset):
    """Rows with a column for each field; a subclass says which, and overrides what differs."""

    def read(self, train: str | None, unseen: str | None, seed: int) -> tuple[Rows, Rows]:
        """Read the rows of both sources; none where a source is not given."""
        return (
            Rows(read_source(train, "data.train") if train else []),
            Rows(read_source(unseen, "data.eval") if unseen else []),
        )

    def to_examples(
        self, rows: list[dict[str, Any]], columns: Mapping[str, str], source: str
    ) -> Examples:
        """Map columns to fields (see `fedhds.data.examples`); the user's go before its own."""
        return Examples(*to_examples(rows, {**self.columns, **columns}, source))
