"""A sample's text as people read it, without any prompt around it."""

from __future__ import annotations

from fedhds.types import Example


def text_of(example: Example) -> str:
    """Return instruction, input and output, a line each, leaving out what is empty."""
    return "\n".join(filter(None, (example.instruction, example.input, example.output)))
