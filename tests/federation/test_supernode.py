"""A SuperNode of a site that does not trust the server: what is started there, and what is not."""

import importlib
import io
import json
import os
import sys
import time
import zipfile
from types import SimpleNamespace

import pytest
from flwr.clientapp import ClientApp
from flwr.supercore import cli as superexec_cli
from flwr.supercore.constant import TaskType
from flwr.supercore.superexec import run_superexec as flowers_superexec
from flwr.supercore.superexec.executor import get_executor
from flwr.supercore.superexec.executor.types import ExecutionSpec, LaunchResultStatus
from flwr.supernode import start_client_internal
from flwr.supernode.runtime import run_clientapp

from fedhds.federation import supernode
from fedhds.federation.relay import SUPERNODE
from fedhds.federation.supernode import (
    EXPERIMENT_FILE,
    LARGEST_EXPERIMENT,
    answer_one_message,
    experiment_in,
    run_superexec,
    run_supernode,
)
from fedhds.types import UserError

PROGRAM = """
import json, os, sys
from pathlib import Path
told = json.dumps([sys.argv[1:], os.environ.get("FEDHDS_SUPERNODE")])
Path(__file__).with_suffix(".part").write_text(told)
Path(__file__).with_suffix(".part").rename(Path(__file__).with_suffix(".told"))
"""
"""Tells what it was given."""


@pytest.fixture
def told(tmp_path, monkeypatch):
    """A program ``ours`` for Python to find; return what tells its arguments and its SuperNode."""
    (tmp_path / "ours.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv(SUPERNODE, "")
    monkeypatch.setattr(sys, "argv", ["fedhds", "supernode"])

    def wait():
        given_up = time.monotonic() + 20
        while not (tmp_path / "ours.told").exists():
            assert time.monotonic() < given_up
            time.sleep(0.01)
        return json.loads((tmp_path / "ours.told").read_text())

    return wait


@pytest.fixture
def flower(monkeypatch):
    """Flower's SuperNode in whose place ``begins`` is called, which a test may set."""
    calls = SimpleNamespace(begins=lambda: None)
    module = importlib.import_module("flwr.supernode.cli.flower_supernode")
    monkeypatch.setattr(module, "flower_supernode", lambda: calls.begins())
    monkeypatch.setattr(start_client_internal, "subprocess", start_client_internal.subprocess)
    return calls


def test_what_flower_starts_is_our_superexec_with_flowers_arguments(told, flower):
    given = []

    def begins():
        given.extend(sys.argv)
        start_client_internal.subprocess.Popen(["flower-superexec", "--parent-pid", "two words"])

    flower.begins = begins
    run_supernode(["--superlink", "a:1", "--insecure"], "ours")
    assert given == ["flower-supernode", "--superlink", "a:1", "--insecure"]
    assert told() == [["--parent-pid", "two words"], str(os.getpid())]


@pytest.mark.parametrize("program", ["flwr-clientapp", "flwr-agentapp", "sh", "/flower-superexec"])
def test_flower_can_start_no_other_program(told, flower, program):
    flower.begins = lambda: start_client_internal.subprocess.Popen([program, "-c", "true"])
    with pytest.raises(RuntimeError, match=f"was about to start '{program}'"):
        run_supernode([], "ours")


def test_flower_has_no_other_way_to_start_a_program(told, flower):
    flower.begins = lambda: start_client_internal.subprocess.run(["true"])
    with pytest.raises(AttributeError):
        run_supernode([], "ours")


def test_where_flower_starts_programs_otherwise_it_does_not_run(told, flower, monkeypatch):
    monkeypatch.delattr(start_client_internal, "subprocess")
    flower.begins = lambda: pytest.fail("it must not begin")
    with pytest.raises(AttributeError, match="subprocess"):
        run_supernode([], "ours")


@pytest.mark.parametrize(
    "option",
    [
        *("--isolation", "--isolation=process", "--isolation=subprocess", "--iso", "--is=process"),
        *("--allow-runtime-dependency-installation", "--allow-runtime", "--al", "--al=1"),
    ],
)
def test_options_that_let_other_code_in_are_refused(told, flower, option):
    flower.begins = lambda: pytest.fail("it must not begin")
    with pytest.raises(UserError) as caught:
        run_supernode(["--superlink", "a:1", option, "process"], "ours")
    assert str(caught.value).startswith(f"'{option}' is not for 'fedhds supernode': ")


@pytest.mark.parametrize("option", ["--insecure", "--appio-ssl-keyfile", "--auth-supernode"])
def test_options_that_begin_alike_go_through(told, flower, option):
    given = []
    flower.begins = lambda: given.extend(sys.argv[1:])
    run_supernode([option], "ours")
    assert given == [option]


def executor(monkeypatch):
    """Return what our SuperExec has Flower's start programs with."""
    made = []

    def begins():
        made.append(flowers_superexec.get_executor("subprocess", insecure=True))

    monkeypatch.setattr(superexec_cli, "flower_superexec", begins)
    monkeypatch.setattr(flowers_superexec, "get_executor", get_executor)
    run_superexec("ours")
    return made[0]


def spec(task, **changes):
    plain = {
        **{"task_type": task, "runtime_api_address": "a:1", "token": "two words"},
        **{"insecure": True, "root_certificates_path": None, "parent_pid": 17},
        **{"runtime_dependency_install": True, "suppress_output": False, "task_id": 1},
    }
    return ExecutionSpec(**plain | changes)


def test_a_site_asks_for_no_task_but_clientapps(told, monkeypatch):
    ours = executor(monkeypatch)
    asked, hashes = ours.get_eligible_capacity(set(TaskType), insecure=True)
    assert (asked, hashes) == ({TaskType.CLIENT_APP}, set())
    assert ours.get_eligible_capacity({TaskType.SERVER_APP}) == (set(), set())


@pytest.mark.parametrize("task", sorted(set(TaskType) - {TaskType.CLIENT_APP}))
def test_a_task_of_another_kind_starts_nothing_even_if_it_comes(told, monkeypatch, task):
    ours = executor(monkeypatch)
    monkeypatch.setattr(supernode, "subprocess", None)  # whatever would be started by
    assert ours.launch(spec(task)).status == LaunchResultStatus.FAILED


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["--insecure", "--parent-pid", "17"]),
        (
            {"insecure": False, "root_certificates_path": "ca.crt", "parent_pid": None},
            ["--root-certificates", "ca.crt"],
        ),
    ],
)
def test_a_message_is_answered_by_our_program_and_nothing_is_installed(
    told, monkeypatch, changes, expected
):
    found = executor(monkeypatch).launch(spec(TaskType.CLIENT_APP, **changes))
    assert found.status == LaunchResultStatus.ACCEPTED
    arguments, _ = told()
    assert arguments == ["--runtime-api-address", "a:1", "--token", "two words", *expected]


def test_our_superexec_takes_flowers_arguments(told, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ours", "--insecure"])
    executor(monkeypatch)
    assert sys.argv == ["flower-superexec", "--insecure"]


def brought(**files):
    """Return what Flower brings: an app's files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def test_the_experiment_is_read_and_nothing_else_is_unpacked(tmp_path, monkeypatch):
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    monkeypatch.setenv("FLWR_HOME", str(here))
    monkeypatch.chdir(here)
    code = "raise SystemExit('the server has its way')"
    hostile = {EXPERIMENT_FILE: "seed: 3\n", "app/client.py": code, "../evil.py": code}
    built, answering = [], ClientApp()

    def build(experiment):
        built.append(experiment)
        return answering

    def begins():
        run_clientapp.install_from_fab(brought(**hostile), skip_prompt=True)
        load = run_clientapp.get_load_client_app_fn(
            default_app_ref="", app_path=None, multi_app=True
        )
        assert load("fedhds/app", "1.0.0", "hash") is answering

    module = importlib.import_module("flwr.supernode.cli.flwr_clientapp")
    monkeypatch.setattr(module, "flwr_clientapp", begins)
    for name in ("install_from_fab", "get_load_client_app_fn"):
        monkeypatch.setattr(run_clientapp, name, getattr(run_clientapp, name))
    answer_one_message(build)
    assert built == ["seed: 3\n"]
    assert [path for path in tmp_path.rglob("*") if path not in (here, here.parent)] == []


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", brought(), brought(**{f"app/{EXPERIMENT_FILE}": "seed: 3"})],
    ids=["nothing", "no archive", "empty", "elsewhere"],
)
def test_what_brings_no_experiment_is_refused(content):
    with pytest.raises(ValueError, match="the server's app brings no experiment"):
        experiment_in(content)


def test_an_experiment_that_unfolds_without_end_is_refused():
    most = brought(**{EXPERIMENT_FILE: " " * LARGEST_EXPERIMENT})
    assert len(experiment_in(most)) == LARGEST_EXPERIMENT
    bomb = brought(**{EXPERIMENT_FILE: " " * (LARGEST_EXPERIMENT + 1)})
    assert len(bomb) < LARGEST_EXPERIMENT / 100
    with pytest.raises(ValueError, match="the server's experiment is too long"):
        experiment_in(bomb)
