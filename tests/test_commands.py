"""Every command in the README and on the documentation's pages is carried out, page by page.

What counts is what stands in fenced blocks. They are carried out in their order and word for word,
in a folder that holds what the texts name: `mine.yaml` from the README, `data/`, a tiny model in
`models/my-llama`, and a site's ledger in `site/run-1`. Only the files are made small: a block of
YAML that names its file is checked as it stands, and written with `SMALL` in place of its own
values; `policy.yaml` is a site's policy, and written as it stands.

Not carried out, but looked up: `make` (has such a target), `pip install` (there are such extras)
and `python FILE` (has a test of its own, which runs it). `fedhds demo`, which has no file to make
small, is played as its two runs with `SMALL`; `e2e/test_demo.py` has it whole. A block of Python
says once more what the commands before it do, so the run folder that it makes is removed first.
Blocks without a language are output.
"""

import json
import re
import shlex
import shutil
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from small import write_rows
from tiny import tiny_model, tiny_tokenizer
from typer.testing import CliRunner

from fedhds import config as configuration
from fedhds.cli.main import app
from fedhds.federation.ledger import Ledger, error_entry

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE_NAME = re.compile(r"# (\S+\.yaml)\n")
SMALL = {
    "data": {"toy_samples": 6},
    "federation": {"rounds": 2},
    "tuning": {"epochs": 1},
    "evaluation": {"per_task": 1, "clients": 2, "max_new_tokens": 8},
}


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the language and the text of each fenced block, in their order."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


ELSEWHERE = {"deploy": "e2e/test_deployment.py"}
"""Pages that are followed by a test of their own, as they need several machines."""

PAGES = [
    page
    for page in (README, *sorted(ROOT.glob("docs/**/*.md")))
    if blocks(page) and page.stem not in ELSEWHERE
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Be in a folder with the model, the data and the configuration that the texts name."""
    monkeypatch.chdir(tmp_path)
    for saved in (tiny_model(max_position_embeddings=512), tiny_tokenizer()):
        saved.save_pretrained("models/my-llama")
    (row,) = (json.loads(text) for language, text in blocks(README) if language == "json")
    Path("data").mkdir()
    for name, hospitals in {"train": ("north", "south", "east"), "unseen": ("west",)}.items():
        rows = [row | {"hospital": h, "input": f"{h} {n}"} for h in hospitals for n in range(12)]
        write_rows(Path(f"data/{name}.jsonl"), rows)
    configure(next(text for language, text in blocks(README) if language == "yaml"))
    Ledger(Path("site/run-1")).keep(error_entry("RuntimeError", False, "train", 1, 0.5))
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_all_that_a_page_tells_to_do_works(page, folder):
    for language, text in blocks(page):
        match language:
            case "sh":
                for command in text.replace("\\\n", " ").splitlines():
                    carry_out(command)
            case "yaml":
                adopt(text) if text.startswith("# policy.yaml\n") else configure(text)
            case "python":
                for out in re.findall(r'out="(\S+)"', text):
                    shutil.rmtree(out, ignore_errors=True)
                exec(compile(text, page.name, "exec"), {})
            case "json":
                json.loads(text)
            case "":
                pass
            case _:
                pytest.fail(f"no rule for a block of {language}")


def carry_out(command: str) -> None:
    """Do what a line of a shell says, or look it up."""
    match shlex.split(command, comments=True):
        case []:
            pass
        case ["fedhds", "demo", "--out", out]:
            demo(out)
        case ["fedhds", *arguments]:
            fedhds(*arguments)
        case ["make", target]:
            assert f"\n{target}:" in (ROOT / "Makefile").read_text(), command
        case ["pip", "install", what]:
            assert set(re.findall(r"\w+", what)) <= extras(), command
        case ["python", script, *_]:
            assert (ROOT / script).is_file(), command
            assert (ROOT / "tests" / script).with_name(f"test_{Path(script).name}").is_file()
        case _:
            pytest.fail(f"no rule for: {command}")


def fedhds(*arguments: str) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, f"fedhds {shlex.join(arguments)}\n{done.output}"


def demo(out: str) -> None:
    """Play the demo's two runs, made small."""
    configure("# demo.yaml\n" + (files("fedhds") / "assets" / "demo.yaml").read_text())
    for folder, method in ((out, "fedhds"), (f"{out}-full", "full")):
        fedhds("run", "demo.yaml", "--out", folder, "--set", f"selection.method={method}")


def adopt(text: str) -> None:
    """Write a site's policy and check it."""
    Path("policy.yaml").write_text(text)
    configuration.load_policy("policy.yaml")


def configure(text: str) -> None:
    """Check a configuration as it stands; write it, made small, if it names its file."""
    Path("whole.yaml").write_text(text)
    assert configuration.notices(configuration.load("whole.yaml")) == []
    if name := FILE_NAME.match(text):
        plain = yaml.safe_load(text)
        small = {part: {**plain.get(part, {}), **values} for part, values in SMALL.items()}
        Path(name[1]).write_text(yaml.safe_dump(plain | small))


def extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return set(project["optional-dependencies"])
