"""What a report's page and figures need beside the package itself."""

from __future__ import annotations

from importlib.util import find_spec

from fedhds.types import UserError

PACKAGES = ("jinja2", "vl_convert")


def check() -> None:
    """Refuse to draw where the extra is missing, before anything is read.

    Raises
    ------
    UserError
        Saying how to get it.
    """
    if any(find_spec(package) is None for package in PACKAGES):
        raise UserError("the page needs the extra 'report': pip install 'fedhds[report]'")
