"""One message over a local socket: a header as JSON, then bytes, each after its length.

Both ends are processes of one user on one machine; what is read is bounded all the same.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

LENGTHS = struct.Struct("!IQ")
"""The lengths of header and payload, as they go ahead of both."""

LONGEST_HEADER = 2**24
LONGEST_PAYLOAD = 2**36
"""No header or payload is longer, whatever its length says."""


def send_frame(connection: socket.socket, header: dict[str, Any], payload: bytes) -> None:
    """Send a header (plain values) and a payload."""
    text = json.dumps(header).encode()
    connection.sendall(LENGTHS.pack(len(text), len(payload)))
    connection.sendall(text)
    if payload:  # whoever has the whole frame may hang up, and sending nothing would then fail
        connection.sendall(payload)


def receive_frame(connection: socket.socket) -> tuple[dict[str, Any], bytes]:
    """Receive what `send_frame` sent.

    Raises
    ------
    ConnectionError
        If the other end is gone, or what it sends is no frame.
    """
    lengths = LENGTHS.unpack(_receive(connection, LENGTHS.size))
    if lengths[0] > LONGEST_HEADER or lengths[1] > LONGEST_PAYLOAD:
        raise ConnectionError("a frame is too long")
    text, payload = (_receive(connection, length) for length in lengths)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConnectionError("a frame has a broken header") from error
    if not isinstance(header, dict):
        raise ConnectionError("a frame has a broken header")
    return header, payload


def _receive(connection: socket.socket, length: int) -> bytes:
    received = bytearray()
    while len(received) < length:
        part = connection.recv(min(length - len(received), 2**20))
        if not part:
            raise ConnectionError("the other end is gone")
        received += part
    return bytes(received)
