"""What a client sends of its tuning, and what the server makes of it.

Where a codec loses digits, the *change* travels and not the adapter: the loss is then a part
of the change. The server adds it to its own adapter, which keeps all digits, so that changes
below a codec's steps add up over the rounds.
"""

from __future__ import annotations

from fedhds.types import Array, Arrays, Codec


def encode_update(codec: Codec, trained: Arrays, received: Arrays) -> dict[str, Array]:
    """Write what a client made of the adapter it ``received`` (as it was decoded)."""
    if codec.exact:
        return codec.encode(trained)
    return codec.encode({name: trained[name] - received[name] for name in trained})


def decode_update(codec: Codec, encoded: Arrays, own: Arrays) -> dict[str, Array]:
    """Return the client's adapter as the server takes it, whose ``own`` was sent."""
    decoded = codec.decode(encoded)
    return decoded if codec.exact else {name: own[name] + decoded[name] for name in own}
