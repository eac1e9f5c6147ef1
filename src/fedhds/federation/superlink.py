"""Flower's SuperLink, as a federation of organisations should run it.

Flower serves three interfaces on one port: the sites' (Fleet), the operator's (Control: start a
run, register a site) and the ServerApp's (Runtime). Only the sites' asks who is there; whoever
reaches the operator's can run code on this machine. So here the others answer this machine alone.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

FROM_ANYWHERE = ("/v1/fleet/",)
"""How the paths begin that are answered to whoever asks: Flower authenticates sites there."""

SWITCHES = {
    # the ServerApp runs with what is installed here, instead of fetching it anew for each run
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "FORWARDED_ALLOW_IPS": "",  # whoever asks does not say himself from where
}

OTHER_DOORS = ("FLWR_INTERNAL_GRPC_CONTROL_API", "FLWR_INTERNAL_GRPC_FLEET_API")
"""Environment variables that would open ports which nobody stands in front of."""

RELAYED = (b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via")
"""Headers of requests that come from elsewhere, whoever brings them here."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


class OperatorIsLocal:
    """ASGI middleware that refuses all but the sites' interface to other machines."""

    def __init__(self, app: Asgi) -> None:
        """Stand in front of ``app``."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 403."""
        relayed = any(name.lower() in RELAYED for name, _ in scope.get("headers", ()))
        client = "" if relayed else (scope.get("client") or ("",))[0]
        path = str(scope.get("path", ""))
        allowed = scope["type"] == "lifespan" or is_allowed(path, client)
        if allowed:
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # before it is opened: this is a 403, too
            return
        text = b"only this machine may ask that"
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": text})


def is_allowed(path: str, client: str) -> bool:
    """Tell whether a request for ``path`` from the address ``client`` is answered."""
    if path.startswith(FROM_ANYWHERE):
        return True
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def run_superlink(arguments: Sequence[str]) -> None:
    """Run ``flower-superlink`` with its own arguments, in this process, until it ends."""
    from flwr.superlink import extensions
    from flwr.superlink.cli.flower_superlink import flower_superlink
    from starlette.middleware import Middleware

    os.environ |= SWITCHES
    for name in OTHER_DOORS:
        os.environ.pop(name, None)
    # Flower starts its other programs by their names
    others = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = f"{os.path.dirname(sys.executable)}{os.pathsep}{others}"
    extensions.get_middleware = lambda: (Middleware(OperatorIsLocal),)
    sys.argv = ["flower-superlink", *arguments]
    flower_superlink()
