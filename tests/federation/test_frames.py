"""Frames over a socket: what is sent arrives, and what is no frame is an error."""

import contextlib
import json
import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedhds.federation.frames import (
    LENGTHS,
    LONGEST_HEADER,
    LONGEST_PAYLOAD,
    receive_frame,
    send_frame,
)

VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


def received(raw):
    """Return the frame that these bytes are, which end with the connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(raw)
        theirs.shutdown(socket.SHUT_WR)
        return receive_frame(ours)


def frame(header, payload=b""):
    """Write a frame with a header of these bytes."""
    return LENGTHS.pack(len(header), len(payload)) + header + payload


@settings(max_examples=50)
@given(st.dictionaries(st.text(), VALUES | st.lists(VALUES)), st.binary())
def test_header_and_payload_arrive_as_they_were_sent(header, payload):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send_frame(theirs, header, payload)
        assert receive_frame(ours) == (header, payload)


def test_frames_follow_each_other_and_are_longer_than_a_sockets_buffer():
    ours, theirs = socket.socketpair()
    large = bytes(range(256)) * 2**13  # 2 MiB
    with ours, theirs:
        both = [({"n": 0}, large), ({"n": 1}, b"")]
        sending = threading.Thread(target=lambda: [send_frame(theirs, *each) for each in both])
        sending.start()
        assert [receive_frame(ours), receive_frame(ours)] == both
        sending.join()


def test_whoever_has_the_whole_frame_may_hang_up():
    class Hasty(socket.socket):
        def sendall(self, data):
            super().sendall(data)
            theirs.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                taken.extend(theirs.recv(100))
            if len(taken) == len(frame(b"{}")):
                theirs.close()

    ours, theirs = socket.socketpair()
    taken = bytearray()
    with Hasty(fileno=ours.detach()) as sending:
        send_frame(sending, {}, b"")
    assert theirs.fileno() == -1


WHOLE = frame(b'{"kind": "train"}', b"payload")


@pytest.mark.parametrize("length", [0, 1, LENGTHS.size, LENGTHS.size + 5, len(WHOLE) - 1])
def test_a_frame_that_breaks_off_is_an_error(length):
    with pytest.raises(ConnectionError, match="the other end is gone"):
        received(WHOLE[:length])


@pytest.mark.parametrize(
    "header",
    [b"", b"{", b"[]", b"7", b"null", b'{"a": 1} 2', b"\xff\xfe", b"[" * 100_000],
    ids=lambda header: repr(header[:8]),
)
def test_a_header_that_is_no_mapping_is_an_error(header):
    with pytest.raises(ConnectionError, match="a frame has a broken header"):
        received(frame(header))


@pytest.mark.parametrize(
    "lengths", [(LONGEST_HEADER + 1, 0), (2, LONGEST_PAYLOAD + 1), (2**32 - 1, 2**64 - 1)]
)
def test_a_frame_that_says_that_it_is_too_long_is_not_waited_for(lengths):
    with pytest.raises(ConnectionError, match="a frame is too long"):
        received(LENGTHS.pack(*lengths) + json.dumps({}).encode())
