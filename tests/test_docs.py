"""What the documents name is there: files, tests, settings, methods, pages, links."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

import fedhds
from fedhds import config as configuration
from fedhds import registry
from fedhds.cli.main import app

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
METHODS = (DOCS / "methods.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([^`]+)`", METHODS)))
FILES = [name for name in NAMED if re.fullmatch(r"[\w/]+\.py", name)]
SETTINGS = [name for name in NAMED if re.match(r"[a-z]+(\.\w+)?=", name)]
NEEDED = {
    "selection.method=fedhds-turbo": ["model.proxy=gpt2"],
    "model.proxy": ["selection.method=fedhds-turbo"],
    "data.preset": ["data.train=x"],
    "data.holdout": ["data.train=x"],
}
"""Settings that go with others only."""
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("benchmarks/**/*.md")])
LINKS = [
    (page, link)
    for page in PAGES
    for link in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", page.read_text(encoding="utf-8"))
]
FOREIGN = re.compile(
    r"<(?:script|link|img|iframe|source|object)\b[^>]*(?:src|href|data)=\"?(?:https?:)?//"
)
"""What a browser would load from another host, unlike a link."""


@pytest.mark.parametrize("name", FILES)
def test_named_file_is_there(name):
    folder = "tests" if Path(name).name.startswith("test_") else "src/fedhds"
    assert (ROOT / folder / name).is_file()


@pytest.mark.parametrize("setting", SETTINGS)
def test_named_setting_is_one(setting):
    beside = [
        also for start, others in NEEDED.items() if setting.startswith(start) for also in others
    ]
    loaded = configuration.load(None, [*beside, setting])
    notices = [notice for notice in configuration.notices(loaded) if "not used" in notice]
    unused = [notice for notice in notices if setting.split("=")[0] in notice]
    assert unused == []


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_method_is_in_the_table(kind):
    for name in registry.names(kind):
        assert f"`{name}`" in METHODS


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", title.lower()).strip() for title in titles)
    return {title.replace(" ", "-") for title in plain}


@pytest.mark.parametrize(
    ("page", "link"), LINKS, ids=[f"{page.name}-{link}" for page, link in LINKS]
)
def test_link_leads_somewhere(page, link):
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    assert target.exists()
    assert not anchor or anchor in headings(target)


def entries(part: Any) -> Iterator[str]:
    """Yield what a navigation names, at any depth."""
    if isinstance(part, str):
        yield part
    else:
        for inner in part.values() if isinstance(part, dict) else part:
            yield from entries(inner)


def test_the_navigation_names_every_page_and_nothing_else():
    named = list(entries(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    pages = [name for name in named if "#" not in name]
    assert sorted(pages) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))
    for path, _, anchor in (name.partition("#") for name in named if "#" in name):
        assert anchor in headings((DOCS / path).with_suffix(".md"))


def test_the_reference_names_what_there_is():
    python, configured, *methods = (
        (DOCS / "reference" / f"{name}.md").read_text()
        for name in ("python", "configuration", "selection", "others")
    )
    assert set(re.findall(r"::: fedhds\.(\w+)\n", python)) == set(fedhds.__all__)
    sections = set(
        re.findall(r"`(\w+)`", " ".join(re.findall(r"^## .*", configured, re.MULTILINE)))
    )
    assert sections == set(configuration.Config.model_fields)
    packages = set(re.findall(r"<!-- modules of (\S+) -->", "".join(methods)))
    assert packages == set(registry.KINDS.values())


def test_the_page_of_a_comparison_is_explained_figure_by_figure():
    explained = (DOCS / "comparing.md").read_text()
    figures = (ROOT / "src/fedhds/report/figures").glob("*.py")
    titles = re.findall(r'^TITLE = "([^":]*)', "".join(map(Path.read_text, figures)), re.MULTILINE)
    assert titles
    assert [title for title in titles if f"| {title} |" not in explained] == []


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site as `make docs` does."""
    missing = [name for name in ("material", "mkdocstrings_handlers.python") if not found(name)]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of its package
        return False


def test_the_site_loads_nothing_from_another_host(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(list(DOCS.rglob("*.md")))  # and the files they link to
    assert [page.name for page in pages if FOREIGN.search(page.read_text())] == []


def test_the_site_has_every_method_and_every_verb(site):
    pages = {
        name: (site / "reference" / f"{name}.html").read_text()
        for name in ("selection", "others", "commands")
    }
    for kind in registry.KINDS:
        text = pages["selection" if kind == "selection" else "others"]
        assert [name for name in registry.names(kind) if f">{name}</code>" not in text] == []
    verbs = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert [verb for verb in verbs if f"fedhds {verb}</code>" not in pages["commands"]] == []
