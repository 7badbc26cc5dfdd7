"""Frames built by the `stomper` library, as far as it can write them.

`stomper` 0.4.3 escapes nothing, sorts the headers, keeps one value per name, takes only text, and has no STOMP
command. Its functions for single commands add headers, and `disconnect()` leaves out the empty line, so that only its
`Frame` is used here. The LF that it puts behind the NUL is dropped: a server that doesn't accept it (STOMP-ABNF-005)
must fail in the test of that clause, not in all tests.
"""

from __future__ import annotations

import re

import stomper

from conformance.wire.encoding import LITERAL_COMMANDS, escape

#: Characters that may need escapes in some version; headers without them need no further check.
_SPECIAL = re.compile(r"[\\:\r\n]")


def packed(command: str, headers: list[tuple[str, str]], body: bytes, version: str) -> bytes | None:
    """Octets of a frame on a session of `version`; None if `stomper` can't write this frame."""
    values = dict(headers)
    if command not in stomper.VALID_COMMANDS or len(values) < len(headers):
        return None
    special = [(name, value) for name, value in headers if _SPECIAL.search(name) or _SPECIAL.search(value)]
    if any(_is_altered(name, value, command, version) for name, value in special):
        return None
    frame = stomper.Frame()
    frame.cmd = command
    frame.headers = values
    try:
        frame.body = body.decode()
    except UnicodeDecodeError:
        return None
    packed_frame: str = frame.pack()
    return packed_frame.removesuffix("\n").encode()


def _is_altered(name: str, value: str, command: str, version: str) -> bool:
    """True if a header needs escapes, or can't be written at all on a session without escapes."""
    if ":" in name or "\n" in name or "\n" in value:
        return True
    rules = "1.0" if command in LITERAL_COMMANDS else version
    return escape(name, rules) != name or escape(value, rules) != value
