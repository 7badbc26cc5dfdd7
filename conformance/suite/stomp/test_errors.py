"""ERROR frames, and the end of the connection after them: STOMP-ERROR-*, STOMP-CMD-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.accept_or_refuse import judge_how_refused
from conformance.suite.stomp.channel import Channel, reaction_summary
from conformance.suite.stomp.error_frames import judge_error
from conformance.suite.stomp.frame_template import fill
from conformance.suite.stomp.loopback import session_sending
from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.suite.stomp.reactions import ATTEMPTS, judge_refusal_rules, reaction
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.cutting import cut_repr
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.reactions import Provoke
    from conformance.wire.stomp import StompClient

#: Well-formed frames that can't be carried out. Their names have a line feed, a colon and a character of two octets
#: from 1.1 on: a server may quote them in its ERROR.
FAULTS = {
    "SEND without destination": b"SEND\nreceipt:<receipt>\n\n\0",
    "SUBSCRIBE without destination": b"SUBSCRIBE\nid:nowhere\nreceipt:<receipt>\n\n\0",
    "UNSUBSCRIBE of nothing": b"UNSUBSCRIBE\ndestination:/nothing\nid:no\\nth\\cing\nreceipt:<receipt>\n\n\0",
    "ACK of nothing": (
        b"ACK\nid:no\\nth\\cing\nmessage-id:no\\nth\\cing\nreceipt:<receipt>\nsubscription:nothing\n\n\0"
    ),
    "NACK of nothing": (
        b"NACK\nid:no\\nth\\cing\nmessage-id:no\\nth\\cing\nreceipt:<receipt>\nsubscription:nothing\n\n\0"
    ),
    "BEGIN of nothing": b"BEGIN\nreceipt:<receipt>\n\n\0",
    "COMMIT of nothing": b"COMMIT\nreceipt:<receipt>\ntransaction:no\\nth\\cing\n\n\0",
    "ABORT of nothing": b"ABORT\nreceipt:<receipt>\ntransaction:no\\nth\\cing\n\n\0",
    "second CONNECT": b"CONNECT\naccept-version:1.0,1.1,1.2\nhost:localhost\nreceipt:<receipt>\n\n\0",
}
#: Faults whose refusal has a clause of its own.
HAS_ITS_OWN_CLAUSE = frozenset({"SEND without destination", "SUBSCRIBE without destination"})
#: A frame that every known server refuses with an ERROR.
REFUSED_SEND = b"SEND\n\n\0"
#: SENDs that are malformed from 1.1 on.
MALFORMED = {
    "no colon": b"SEND\ndestination:<name>\ncolonless\n\nm\0",
    "no name": b"SEND\ndestination:<name>\n:nameless\n\nm\0",
    "undefined escape": b"SEND\ndestination:<name>\nescape:a\\tb\n\nm\0",
    "content-length too small": b"SEND\ndestination:<name>\ncontent-length:1\n\nmore\0",
    "content-length unreadable": b"SEND\ndestination:<name>\ncontent-length:many\n\nm\0",
}


def applies(bench: Bench, fault: str) -> bool:
    """True if a fault is one in the version of the test: 1.0 has no NACK, and leaves an UNSUBSCRIBE of nothing open."""
    return bench.version != "1.0" or fault not in ("NACK of nothing", "UNSUBSCRIBE of nothing")


def faulty(fixture: StompFixture, fault: str, receipt: str) -> Provoke:
    """A new session that sends a faulty frame."""
    octets = (
        FAULTS[fault]
        if fixture.bench.version == "1.0"
        else FAULTS[fault].replace(b"\\cing", b"\\c\xc3\xafng")
    )
    return session_sending(fixture, fill(octets, receipt=receipt))


@clauses("STOMP-ERROR-001", "STOMP-ERROR-003", "STOMP-ERROR-004", "STOMP-ERROR-006")
@pytest.mark.parametrize("fault", FAULTS)
def test_an_error_ends_the_connection(bench: Bench, fault: str) -> None:
    """Send a faulty frame with `receipt`; expect `message` and `receipt-id` in the ERROR, and the end after it."""
    fixture = StompFixture(bench)
    receipt, sent = fixture.new_receipt(), fixture.new_receipt()
    if bench.version != "1.0" and fault != "second CONNECT":  # CONNECT has no escapes
        receipt, sent = f"{receipt}:\\n:", f"{receipt}\\c\\\\n\\c"
    found = reaction(fixture, faulty(fixture, fault, sent), receipt) if applies(bench, fault) else None
    if found is None or found.error is None:
        for clause in ("STOMP-ERROR-001", "STOMP-ERROR-003", "STOMP-ERROR-004", "STOMP-ERROR-006"):
            fixture.skip(clause, f"there is no ERROR for {fault}")
        return
    # CONNECT has no receipt (STOMP-CONNECT-013).
    judge_error(fixture, found.error, None if fault == "second CONNECT" else receipt)
    judge_refusal_rules(fixture, found)


@clauses("STOMP-ERROR-009")
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in HAS_ITS_OWN_CLAUSE])
def test_a_well_formed_frame_that_is_refused(bench: Bench, fault: str) -> None:
    """Send a well-formed frame that may be refused; expect a refusal to be an ERROR and the end of the connection."""
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()
    if not applies(bench, fault):
        bench.skip("STOMP-ERROR-009", f"{fault} is no fault in 1.0")
        return
    found = reaction(fixture, faulty(fixture, fault, receipt), receipt)
    if any(frame.command == "CONNECTED" for frame in found.other_frames) and not found.is_refusal:
        bench.skip(
            "STOMP-ERROR-009", f"the server accepts a {fault}, which no RECEIPT tells (STOMP-CONNECT-013)"
        )
        return
    judge_how_refused(fixture, found, receipt, fault)


@clauses("STOMP-ERROR-002", "STOMP-RECEIPT-003", "STOMP-ERROR-004")
@pytest.mark.parametrize("pace", ["one message", "one write", "one by one"])
@pytest.mark.parametrize("fault", [*FAULTS, *MALFORMED])
def test_nothing_behind_a_faulty_frame_is_carried_out(bench: Bench, fault: str, pace: str) -> None:
    """Send a SEND behind a faulty frame; expect no RECEIPT or MESSAGE for it, and no frame behind the ERROR."""
    fixture = StompFixture(bench)
    channel = Channel(fixture)
    receipt, later = fixture.new_receipt(), fixture.new_receipt()
    body = bench.fresh("behind").encode()
    if fault in FAULTS:
        first = fill(FAULTS[fault], receipt=receipt)
    else:
        first = fill(MALFORMED[fault], name=fixture.topic().name)
    good = b"SEND\nreceipt:<receipt>\n<destination>\n\n<body>\0"

    def provoke() -> StompClient:
        client = fixture.client()
        second = fill(good, channel.destination, client.version, receipt=later, body=body)
        if pace == "one message":
            client.send_octets(first + second)
        elif pace == "one write":
            with client.link.in_one_write():
                client.send_octets(first)
                client.send_octets(second)
        else:
            client.send_octets(first)
            client.send_octets(second)
        return client

    found = reaction(fixture, provoke, receipt)
    if found.error is None:
        for clause in ("STOMP-ERROR-002", "STOMP-RECEIPT-003", "STOMP-ERROR-004"):
            fixture.skip(clause, f"there is no ERROR for {fault}")
        return
    fixture.judge(
        "STOMP-ERROR-004",
        found.error.get("receipt-id") != later,
        expected="the receipt of the faulty frame, not of one behind it",
        observed=found,
    )
    came = [
        frame.body for frame in fixture.messages_before_marker(channel.subscription) if frame.body == body
    ]
    fixture.judge(
        "STOMP-ERROR-002",
        not came and not found.after_error and not found.served_later_frames,
        expected="no frame behind the ERROR, and no effect of the SEND behind the faulty frame",
        observed=f"{found}; {'the SEND behind it was carried out' if came else 'no effect'}",
    )
    fixture.judge(
        "STOMP-RECEIPT-003",
        not found.receipts,
        expected="no RECEIPT for a frame that was refused",
        observed=found,
    )


@clauses("STOMP-ERROR-002")
def test_messages_on_their_way_do_not_follow_an_error(bench: Bench) -> None:
    """Send a faulty frame while many messages arrive; expect no MESSAGE behind the ERROR."""
    fixture = StompFixture(bench)

    def provoke() -> StompClient:
        channel = Channel(fixture)
        for number in range(20):
            channel.send(f"m{number}")
        channel.reader.send_octets(REFUSED_SEND)
        for number in range(20):
            channel.send(f"late{number}")
        return channel.reader

    found = reaction(fixture, provoke)
    if found.error is None:
        bench.skip("STOMP-ERROR-002", "there is no ERROR for SEND without destination")
        return
    behind = [cut_repr(frame.octets, 200) for frame in found.after_error]
    bench.judge(
        "STOMP-ERROR-002", not behind, expected="no MESSAGE behind the ERROR", observed=behind or found
    )


@clauses("STOMP-ERROR-008")
@pytest.mark.parametrize("fault", MALFORMED)
def test_an_error_before_the_close_for_a_malformed_frame(bench: Bench, fault: str) -> None:
    """Send a malformed SEND; expect an ERROR before the end of the connection, if it ends."""
    fixture = StompFixture(bench)
    if bench.version == "1.0" and fault == "undefined escape":
        bench.skip("STOMP-ERROR-008", "1.0 has no escapes")
        return
    octets = fill(MALFORMED[fault], name=fixture.topic().name)
    found = reaction(fixture, session_sending(fixture, octets))
    if found.closed is None and found.error is None:
        bench.skip("STOMP-ERROR-008", f"the server doesn't close because of a frame with {fault}")
        return
    bench.judge(
        "STOMP-ERROR-008",
        found.error is not None,
        expected=f"an ERROR before the close for a frame with {fault}",
        observed=found,
    )
    judge_refusal_rules(fixture, found)


@clauses("STOMP-CMD-001")
@pytest.mark.parametrize("command", ["UNHEARDOF", "send"])
def test_an_unknown_command(bench: Bench, command: str) -> None:
    r"""Send `UNHEARDOF\nreceipt:…\n\n\0`. Recorded: ERROR and end, or silence. An ERROR must end the connection."""
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()
    octets = fill(b"<command>\nreceipt:<receipt>\n\n\0", command=command, receipt=receipt)
    found = reaction(fixture, session_sending(fixture, octets), receipt)
    fixture.observe("STOMP-CMD-001", f"{command}: {reaction_summary(found)}")
    judge_refusal_rules(fixture, found, receipt)


@clauses("STOMP-LINGER-002")
def test_the_last_frame_before_a_close(bench: Bench) -> None:
    """Send a faulty SEND, or DISCONNECT with `receipt`. Recorded: how often ERROR or RECEIPT precedes the close."""
    fixture = StompFixture(bench)

    def refused(client: StompClient, within: float | None) -> None:
        client.send_octets(REFUSED_SEND)
        client.expect("ERROR", within=within)

    def left(client: StompClient, within: float | None) -> None:
        client.disconnect(receipt="bye")
        client.expect("RECEIPT", within=within, receipt_id="bye")

    for name, step in (("the ERROR for a refused SEND", refused), ("the RECEIPT of a DISCONNECT", left)):
        count = _arrivals(fixture, step)
        fixture.observe("STOMP-LINGER-002", f"{name} came in {count} of {ATTEMPTS} attempts")


def _arrivals(fixture: StompFixture, step: Callable[[StompClient, float | None], None]) -> int:
    """The number of attempts, each on a fresh connection, in which a step succeeds."""
    count = 0
    within: float | None = None
    for _ in range(ATTEMPTS):
        client = fixture.client()
        try:
            step(client, within)
            count += 1
        except PeerFailure:
            if not client.closed:
                within = SHORT_WAIT  # the frame was not lost by a quick close: the server is silent
        finally:
            client.close()
    return count
