"""Whether the extra is there."""

import subprocess
import sys

import pytest

from fedhds.report import requirements
from fedhds.types import UserError


def test_missing_extra_is_said_in_a_sentence(monkeypatch):
    monkeypatch.setattr(requirements, "PACKAGES", ("a_package_that_is_not_there",))
    with pytest.raises(UserError, match=r"pip install 'fedhds\[report\]'"):
        requirements.check()


def test_importing_the_page_does_not_load_the_extra():
    code = "import fedhds.report.page, fedhds.report.export, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"vl_convert", "jinja2"} & set(done.stdout.split())
