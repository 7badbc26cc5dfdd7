"""Checks of one frame that the server sent: its body, or one of its headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.stomp_fixture import StompFixture
    from conformance.wire.frames import Frame

#: Octets of an expected body that a report shows.
SHOWN = 300


def expect_body(judge: Bench | StompFixture, clause: str, frame: Frame, body: bytes) -> bool:
    """Judge that a frame has this body, octet for octet."""
    expected = f"the body {body[:SHOWN]!r}"
    return judge.judge(clause, frame.body == body, expected=expected, observed=frame.octets)


def expect_header(judge: Bench | StompFixture, clause: str, frame: Frame, name: str, value: str) -> bool:
    """Judge that a frame has a header, decoded, and that its first value is this one."""
    expected = f"the header {name} with the value {value!r}"
    return judge.judge(clause, frame.get(name) == value, expected=expected, observed=frame.octets)


def expect_headers(
    judge: Bench | StompFixture, clause: str, frame: Frame, headers: Collection[tuple[str, str]]
) -> bool:
    """Judge that a frame has all of these headers, decoded; a name may have further values."""
    missing = [(name, value) for name, value in headers if value not in frame.all(name)]
    expected = f"the headers {missing or headers} unchanged"
    return judge.judge(clause, not missing, expected=expected, observed=frame.octets)
