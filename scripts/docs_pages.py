"""What mkdocs does beside rendering ``docs/``; it runs this file as hooks (``mkdocs.yml``).

- A link that leads out of ``docs/`` leads to that file, shown as a page of the site.
- ``<!-- modules of PACKAGE -->`` becomes the docstrings of all modules of a package.
- ``<!-- commands -->`` becomes the help of all verbs.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SHOWN = "source/"
"""Where the site shows the files that its pages link to."""

LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)")
FENCED = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
NOT_SEARCHED = "---\nsearch: {exclude: true}\n---\n\n"


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add a page for each file outside ``docs/`` that a page links to, and for those it links."""
    waiting = [(path, path.read_text("utf-8")) for path in sorted(DOCS.rglob("*.md"))]
    known = {path for path, _ in waiting}
    for path, text in waiting:  # grows meanwhile
        for target in targets(path, text):
            if target not in known and not target.is_relative_to(DOCS):
                known.add(target)
                shown = show(target)
                waiting.append((target, shown))
                files.append(File.generated(config, page_of(target), content=NOT_SEARCHED + shown))


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Lead links to the site's pages, and fill in what is generated."""
    here = page.file.src_uri
    path = file_of(here)

    def leading(link: re.Match[str]) -> str:
        target = (path.parent / link[1]).resolve()
        if not target.exists():
            return link[1]  # mkdocs says so
        return posixpath.relpath(page_of(target), posixpath.dirname(here))

    markdown = LINK.sub(leading, markdown)
    markdown = re.sub(r"<!-- modules of (\S+) -->", lambda found: modules(found[1]), markdown)
    markdown = re.sub(r"<!-- commands -->", lambda _: commands(), markdown)
    return with_lists(markdown)


def targets(path: Path, text: str) -> Iterator[Path]:
    """Yield the files of this repository that a text links to."""
    for link in LINK.findall(text):
        target = (path.parent / link).resolve()
        if target.exists() and target.is_relative_to(ROOT):
            yield target


def page_of(path: Path) -> str:
    """Return which page of the site shows a file."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    return SHOWN + path.relative_to(ROOT).as_posix().removesuffix(".md") + ".md"


def file_of(page: str) -> Path:
    """Return which file a page of the site shows."""
    if not page.startswith(SHOWN):
        return DOCS / page
    path = ROOT / page.removeprefix(SHOWN)
    return path if path.exists() else path.with_suffix("")


def show(path: Path) -> str:
    """Write a file as Markdown: a folder as a list of links, other than Markdown as a block."""
    if path.suffix == ".md":
        return path.read_text("utf-8")
    title = f"# {path.relative_to(ROOT).as_posix()}\n\n"
    if path.is_dir():
        inside = (
            f"- [{one.name}]({path.name}/{one.name})\n" for one in sorted(path.glob("[!_.]*"))
        )
        return title + "".join(inside)
    return f"{title}````{path.suffix[1:] or 'text'}\n{path.read_text('utf-8')}\n````\n"


def with_lists(markdown: str) -> str:
    """Put an empty line before each list, which GitHub does not ask for and mkdocs does."""
    parts = FENCED.split(markdown)
    parts[::2] = [re.sub(r"(?m)^([\w`*\[(].*)\n(?=- )", r"\1\n\n", part) for part in parts[::2]]
    return "".join(parts)


def modules(package: str) -> str:
    """Write the docstrings of a package's methods: those of each module and of its options."""
    folder = ROOT.joinpath("src", *package.split("."))
    found = [path for path in sorted(folder.glob("*.py")) if not path.name.startswith("_")]
    return "\n".join(module(f"{package}.{path.stem}", path) for path in found)


def module(name: str, path: Path) -> str:
    """Write the docstrings of a module and of its one public class."""
    (options,) = (
        node.name
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    return (
        f"## `{path.stem.replace('_', '-')}`\n\n"
        f"::: {name}\n    options: {{members: false}}\n\n"
        f"::: {name}.{options}\n    options: {{members: false, show_root_heading: true}}\n"
    )


def commands() -> str:
    """Write the help of all verbs."""
    from click import Context
    from typer.cli import get_docs_for_click
    from typer.main import get_command

    from fedhds.cli.main import app

    command = get_command(app)
    return get_docs_for_click(
        obj=command, ctx=Context(command, info_name="fedhds"), name="fedhds", indent=1
    )
