"""A frame that is cut at every octet, and everything of it that comes back: headers, escapes, body."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.loopback import Loopback
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.encoding import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame
    from conformance.wire.link import Parts

#: Longest wait, in seconds, for the server to read a part before the next one is sent.
APART = 0.3
#: Header line with every pair of 1.1, written and decoded; the name has pairs too.
ESCAPED = (b"n\\co\\\\te:a\\cb\\nc\\\\d\\\\n", ("n:o\\te", "a:b\nc\\d\\n"))
#: Header line that needs no escape.
PLAIN = (b"plain:text", ("plain", "text"))
BODY = b"body\\cof\\n text"


@clauses("STOMP-FRAME-006", "STOMP-ENC-002", "STOMP-SEND-004", "STOMP-RECEIPT-002")
@pytest.mark.parametrize("counted", [True, False], ids=["counted", "uncounted"])
@pytest.mark.parametrize("cut_by", ["messages", "fragments", "segments"])
def test_a_frame_may_be_cut_at_every_octet(bench: Bench, cut_by: Parts, counted: bool) -> None:
    """Send a frame in two parts, cut at every octet; expect headers, escapes and body unchanged."""
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    later = bench.version != "1.0"
    lines = [PLAIN[0], *([ESCAPED[0]] if later else [])]
    headers = [PLAIN[1], *([ESCAPED[1]] if later else [])]
    receipt = bench.fresh("r") + (":\\n" if later else "")
    if counted:
        lines.append(b"content-length:%d" % len(BODY))
    octets = loopback.octets(
        b"SEND\nreceipt:<receipt>\n<lines>\n<destination>\n\n<body>\0",
        receipt=escape(receipt, bench.version),
        lines=b"\n".join(lines),
        body=BODY,
    )
    for cut in range(1, len(octets)):
        # The second part follows when the server has read the first, as far as it shows that.
        if not loopback.client.link.send_in_two(octets, cut, cut_by, APART):
            fixture.skip("STOMP-ENC-002", f"the transport has no {cut_by}")
            return
        message = loopback.message_or_none()
        if cut_by != "segments" and (message is None or message.body != BODY):
            # STOMP-WS-004 and STOMP-WS-005 judge whether the frame comes at all.
            fixture.skip("STOMP-ENC-002", f"the server takes no frame that is cut by {cut_by}")
            return
        fixture.judge(
            "STOMP-FRAME-006",
            message is not None and message.body == BODY,
            expected=f"the message, cut by {cut_by} at octet {cut}",
            observed=message.octets if message else "nothing",
        )
        if message is None:
            return
        where = f"cut by {cut_by} in front of octet {cut}, {octets[cut - 3 : cut + 3]!r}"
        _judge(fixture, message, headers, where)
        if fixture.has_receipts:
            came = fixture.expect_receipt(loopback.client, None, "a SEND that is cut")
            fixture.judge(
                "STOMP-ENC-002" if later else "STOMP-RECEIPT-002",
                came.get("receipt-id") == receipt,
                expected=f"receipt-id {receipt!r}, {where}",
                observed=came.octets,
            )


def _judge(fixture: StompFixture, message: Frame, headers: Sequence[tuple[str, str]], where: str) -> None:
    plain, *escaped = headers
    for clause, wanted in [("STOMP-SEND-004", [plain]), ("STOMP-ENC-002", escaped)]:
        missing = [header for header in wanted if header not in message.headers]
        fixture.judge(clause, not missing, expected=f"the headers {wanted}, {where}", observed=message.octets)
