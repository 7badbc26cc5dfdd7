"""Raw colons in the values of headers, which the grammar of 1.1 and 1.2 forbids to clients: STOMP-ABNF-007."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.loopback import Loopback
from conformance.suite.stomp.stomp_fixture import StompFixture

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

VALUES = {
    "time": "12:30:59",
    "URL": "http://localhost:8080/a?b=c:d",
    "first": ":x",
    "last": "x:",
    "only": ":",
}


@clauses("STOMP-ABNF-007", "STOMP-SEND-004")
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_raw_colon_in_a_value(bench: Bench, value: str) -> None:
    """Send a SEND whose header `note` has a raw colon in its value. Recorded: the reaction. Where the message is
    delivered, expect the whole value.
    """
    loopback = Loopback(StompFixture(bench))
    loopback.send_octets(b"SEND\nnote:<value>\n<destination>\n\nbody\0", value=value.encode())
    message = loopback.message_or_none()
    if message is None:
        manner = "the connection ends" if loopback.client.closed else "nothing is delivered"
        bench.observe("STOMP-ABNF-007", f"a raw colon in a value: {manner}")
        bench.skip("STOMP-SEND-004", "the server takes no raw colon in a value")
        return
    bench.observe("STOMP-ABNF-007", "a raw colon in a value belongs to the value")
    bench.judge(
        "STOMP-SEND-004",
        message.get("note") == value,
        expected=f"note with the value {value!r}, raw or escaped",
        observed=message.octets,
    )
