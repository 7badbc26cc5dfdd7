"""Bodies of HTTP replies that a gateway has compressed."""

from __future__ import annotations

import gzip
import zlib

import pytest

from conformance.wire.content_coding import plain_body
from conformance.wire.failures import PeerFailure, TooLong

BODY = b'{"name": "caf\xc3\xa9"}'
RAW = zlib.compressobj(wbits=-15)
DEFLATED = RAW.compress(BODY) + RAW.flush()


@pytest.mark.parametrize(
    ("codings", "octets"),
    [
        ("gzip", gzip.compress(BODY, mtime=0)),
        ("GZip", gzip.compress(BODY, mtime=0)),
        ("x-gzip", gzip.compress(BODY, mtime=0)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", DEFLATED),
        ("deflate, gzip", gzip.compress(zlib.compress(BODY), mtime=0)),
        ("identity", BODY),
        ("br", BODY),
        ("", BODY),
        ("gzip", b""),
    ],
)  # fmt: skip
def test_a_body_without_its_codings(codings: str, octets: bytes) -> None:
    """Known codings are undone, the last one first; an empty body and an unknown coding stay as they are."""
    assert plain_body(octets, codings, "a reply", 100) == (BODY if octets else b"")


@pytest.mark.parametrize("octets", [BODY, gzip.compress(BODY, mtime=0)[:-9], b"\x1f\x8b"])
def test_octets_that_are_not_so_coded(octets: bytes) -> None:
    with pytest.raises(PeerFailure, match="not the gzip that its head declares"):
        plain_body(octets, "gzip", "a reply", 100)


def test_a_bomb_is_too_long() -> None:
    with pytest.raises(TooLong, match="compressed as gzip"):
        plain_body(gzip.compress(bytes(10_000_000)), "gzip", "a reply", 1_000_000)
