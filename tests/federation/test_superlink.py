"""Who may ask a SuperLink what: sites from anywhere, its operator from the machine itself."""

import asyncio
import importlib
import os
import sys

import httpx
import pytest
from flwr.proto.fleet_pb2 import RegisterNodeFleetRequest
from flwr.superlink import extensions
from flwr.superlink.main import create_app

from fedhds.federation.superlink import (
    OTHER_DOORS,
    RELAYED,
    OperatorIsLocal,
    is_allowed,
    run_superlink,
)

LOCAL = ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"]
FOREIGN = [
    *("10.0.0.5", "8.8.8.8", "0.0.0.0", "2001:db8::1", "fe80::1%eth0", "::ffff:10.0.0.5"),
    *("", "localhost", "testclient", "127.0.0.1.example.org", "unix:", "None"),
]
OPERATORS = [
    *("/v1/control/start-run", "/v1/runtime/pull-task", "/docs", "/openapi.json", "/health", "/"),
    *("", "/v1/fleet", "/v1/fleetx/", "/V1/fleet/", "//v1/fleet/", "/v1/control/../fleet/"),
]


@pytest.mark.parametrize("client", LOCAL)
@pytest.mark.parametrize("path", [*OPERATORS, "/v1/fleet/pull-messages"])
def test_this_machine_may_ask_everything(path, client):
    assert is_allowed(path, client)


@pytest.mark.parametrize("client", FOREIGN)
def test_others_may_ask_what_is_the_sites_alone(client):
    assert is_allowed("/v1/fleet/pull-messages", client)
    assert not [path for path in OPERATORS if is_allowed(path, client)]


def answers(scope):
    """Put a scope to the middleware; return what is sent, and whether it was passed on."""
    sent, passed = [], []

    async def app(scope, receive, send):
        passed.append(scope)

    async def send(message):
        sent.append(message)

    asyncio.run(OperatorIsLocal(app)(scope, None, send))
    return sent, bool(passed)


@pytest.mark.parametrize("client", [None, (), ("10.0.0.5", 4000)])
def test_a_request_that_is_not_allowed_is_answered_403(client):
    sent, passed = answers({"type": "http", "path": "/v1/control/x", "client": client})
    assert (sent[0]["type"], sent[0]["status"], passed) == ("http.response.start", 403, False)
    assert sent[1] == {"type": "http.response.body", "body": b"only this machine may ask that"}


@pytest.mark.parametrize("header", [*RELAYED, b"X-Forwarded-For", b"Forwarded"])
def test_who_is_relayed_by_this_machine_is_not_of_it(header):
    scope = {"type": "http", "path": "/v1/control/x", "client": ("127.0.0.1", 4000)}
    sent, passed = answers(scope | {"headers": [(b"host", b"h"), (header, b"127.0.0.1")]})
    assert (sent[0]["status"], passed) == (403, False)
    assert answers(scope | {"headers": [(b"host", b"h")]}) == ([], True)
    # sites may come by whatever way: Flower asks them who they are
    fleet = scope | {"path": "/v1/fleet/x", "headers": [(header, b"10.0.0.5")]}
    assert answers(fleet) == ([], True)


def test_a_websocket_that_is_not_allowed_is_never_opened():
    scope = {"type": "websocket", "path": "/v1/control/x", "client": ("10.0.0.5", 4000)}
    assert answers(scope) == ([{"type": "websocket.close"}], False)
    assert answers(scope | {"client": ("127.0.0.1", 4000)}) == ([], True)


def test_starting_and_ending_is_nobodys_request():
    assert answers({"type": "lifespan"}) == ([], True)


@pytest.fixture(scope="module")
def superlink():
    """Flower's own app, as ``run_superlink`` has Flower build it; what is set for its programs."""
    built = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/others")
        patch.setenv("FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION", "as it was")
        patch.delenv("FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION")
        patch.setenv("FORWARDED_ALLOW_IPS", "*")
        for name in OTHER_DOORS:
            patch.setenv(name, "0.0.0.0:9")
        patch.setattr(sys, "argv", [])
        patch.setattr(extensions, "get_middleware", extensions.get_middleware)
        flower = importlib.import_module("flwr.superlink.cli.flower_superlink")
        patch.setattr(flower, "flower_superlink", lambda: built.append(create_app()))
        run_superlink(["--insecure", "--port", "9"])
        yield built[0], dict(os.environ), list(sys.argv)


def asked(superlink, address, path):
    """Ask to register a node, at a path that may not be for that."""
    content = RegisterNodeFleetRequest(public_key=b"a key").SerializeToString()
    headers = {"content-type": "application/protobuf"}
    transport = httpx.ASGITransport(superlink[0], client=(address, 4000))

    async def ask():
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.post(path, content=content, headers=headers)

    return asyncio.run(ask())


@pytest.mark.parametrize("path", ["/v1/control/list-runs", "/v1/runtime/acquire-task", "/docs"])
def test_flowers_operator_is_refused_from_elsewhere(superlink, path):
    refused = asked(superlink, "10.0.0.5", path)
    assert (refused.status_code, refused.text) == (403, "only this machine may ask that")
    assert asked(superlink, "127.0.0.1", path).status_code != 403


@pytest.mark.parametrize("address", ["10.0.0.5", "127.0.0.1"])
def test_who_is_a_site_is_flowers_to_say_from_everywhere(superlink, address):
    answered = asked(superlink, address, "/v1/fleet/register-node")
    assert (answered.status_code, answered.json()) == (
        401,
        {"detail": "Invalid SuperNode authentication"},
    )


def test_flower_finds_its_programs_installs_nothing_and_opens_no_other_door(superlink):
    _, environment, arguments = superlink
    assert environment["PATH"] == f"{os.path.dirname(sys.executable)}{os.pathsep}/others"
    assert environment["FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION"] == "1"
    assert environment["FORWARDED_ALLOW_IPS"] == ""  # nobody says himself from where he asks
    assert not set(OTHER_DOORS) & set(environment)
    assert arguments == ["flower-superlink", "--insecure", "--port", "9"]
