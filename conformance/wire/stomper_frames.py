"""Frames of well-behaved clients, built by the `stomper` library where that writes what is meant.

`stomper` 0.4.3 escapes nothing, sorts the headers, keeps one value for each name, takes text only, and knows no STOMP
command. Its functions for single commands add headers that nobody asked for, and `disconnect()` leaves out the empty
line, so that only its `Frame` is of use here. The LF that it puts behind the NUL is dropped: a server that stumbles
over that (STOMP-ABNF-005) shall fail in the test of that clause, and not in all.
"""

from __future__ import annotations

import re

import stomper

from conformance.wire.frames import LITERAL_COMMANDS, escape

#: What may need escapes in some version or other; headers without any of it are quickly seen to be fine.
_SPECIAL = re.compile(r"[\\:\r\n]")


def packed(command: str, headers: list[tuple[str, str]], body: bytes, version: str) -> bytes | None:
    """The octets of a frame of a session of `version`; None where `stomper` can't write this frame."""
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
    """Whether a header needs escapes, or can't be written as it is even where there are none."""
    if ":" in name or "\n" in name or "\n" in value:
        return True
    rules = "1.0" if command in LITERAL_COMMANDS else version
    return escape(name, rules) != name or escape(value, rules) != value
