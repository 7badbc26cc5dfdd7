"""Content codings of HTTP replies (RFC 9110, section 8.4): a gateway may compress what no request asked for.

A request without Accept-Encoding takes any coding (section 12.5.3).
"""

from __future__ import annotations

import zlib

from conformance.wire.failures import PeerFailure, TooLong

#: Window of zlib by coding: 16 more for gzip's header. Deflate may come without zlib's header.
_WINDOWS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}


def plain_body(body: bytes, codings: str, expected: str, limit: int) -> bytes:
    """Body without its `codings`, the value of Content-Encoding; as it is from an unknown coding on.

    `expected` describes the reply in failures. Raises PeerFailure for octets that are not so coded, TooLong beyond
    `limit` octets.
    """
    for coding in reversed([part.strip().lower() for part in codings.split(",")]):
        if not body or coding not in _WINDOWS:
            break
        body = _inflated(body, coding, expected, limit)
    return body


def _inflated(body: bytes, coding: str, expected: str, limit: int) -> bytes:
    for window in _WINDOWS[coding]:
        reader = zlib.decompressobj(window)
        try:
            plain = reader.decompress(body, limit + 1)
        except zlib.error:
            continue
        if len(plain) > limit:
            raise TooLong(
                f"{expected}, with a body of at most {limit} octets", f"more, compressed as {coding}"
            )
        if reader.eof:
            return plain
    raise PeerFailure(expected, f"a body that is not the {coding} that its head declares")
