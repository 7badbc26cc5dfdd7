"""Rules for the headers and the body of every ERROR frame."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conformance.wire.cutting import cut_repr

if TYPE_CHECKING:
    from conformance.suite.stomp.stomp_fixture import StompFixture
    from conformance.wire.frames import Frame

_MIME_TYPE = re.compile(r"[^\s/;,]+/[^\s/;,]+ *(?:;.*)?")


def judge_error(fixture: StompFixture, error: Frame, receipt: str | None = None) -> None:
    """Judge the rules for every ERROR; `receipt` is that of the faulty frame if the server could read it."""
    shown = cut_repr(error.octets, 600)
    fixture.judge("STOMP-ERROR-003", bool(error.get("message")), expected="a message header", observed=shown)
    if receipt is not None:
        fixture.judge(
            "STOMP-ERROR-004",
            error.get("receipt-id") == receipt,
            expected=f"receipt-id:{receipt} in the ERROR",
            observed=shown,
        )
    fixture.observe("STOMP-ERROR-006", "with a body" if error.body else "without a body")
    content_type = error.get("content-type")
    if error.body:
        length = error.get("content-length")
        fixture.judge(
            "STOMP-CLEN-004",
            length is not None and length.strip() == str(len(error.body)),
            expected=f"content-length:{len(error.body)} in the ERROR",
            observed=shown,
        )
        fixture.judge(
            "STOMP-CTYPE-002",
            content_type is not None,
            expected="a content-type in the ERROR",
            observed=shown,
        )
    if content_type is not None:
        judge_content_type(fixture, content_type, shown)


def judge_content_type(fixture: StompFixture, content_type: str, observed: object) -> None:
    """Judge that a content-type which the server set is a MIME type."""
    for clause in ("STOMP-CTYPE-003", "STOMP-CTYPE-004"):
        fixture.judge(
            clause,
            _MIME_TYPE.fullmatch(content_type) is not None,
            expected="type/subtype as content-type",
            observed=observed,
        )
