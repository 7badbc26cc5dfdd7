"""How a server says that something is wrong, and how it ends the connection: STOMP-ERROR-*, STOMP-CMD-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.accept_or_refuse import judge_how_refused
from conformance.suite.stomp.channel import Channel, reaction_summary
from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.suite.stomp.reactions import ATTEMPTS, judge_error, judge_refusal_rules, reaction
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.reactions import Provoke
    from conformance.wire.stomp import StompClient

    Headers = list[tuple[str, str]]

#: Frames that are well formed and can't be carried out: the command, and its headers.
FAULTS: dict[str, tuple[str, Headers]] = {
    "SEND without destination": ("SEND", []),
    "SUBSCRIBE without destination": ("SUBSCRIBE", [("id", "nowhere")]),
    "UNSUBSCRIBE of nothing": ("UNSUBSCRIBE", [("id", "nothing"), ("destination", "/nothing")]),
    "ACK of nothing": (
        "ACK",
        [("id", "nothing"), ("message-id", "nothing"), ("subscription", "nothing")],
    ),
    "NACK of nothing": (
        "NACK",
        [("id", "nothing"), ("message-id", "nothing"), ("subscription", "nothing")],
    ),
    "BEGIN of nothing": ("BEGIN", []),
    "COMMIT of nothing": ("COMMIT", [("transaction", "nothing")]),
    "ABORT of nothing": ("ABORT", [("transaction", "nothing")]),
    "second CONNECT": ("CONNECT", [("accept-version", "1.0,1.1,1.2"), ("host", "localhost")]),
}
#: Those of them whose refusal has a clause of its own.
SEPARATE = frozenset({"SEND without destination", "SUBSCRIBE without destination"})
#: The frame that every server is known to refuse with an ERROR, and is asked to here more than once.
SURE = "SEND without destination"
#: Octets behind the destination of a SEND that make it malformed, from 1.1 on.
MALFORMED = {
    "no colon": b"colonless\n\nm\0",
    "no name": b":nameless\n\nm\0",
    "undefined escape": b"escape:a\\tb\n\nm\0",
    "content-length too small": b"content-length:1\n\nmore\0",
    "content-length unreadable": b"content-length:many\n\nm\0",
}


def applies(bench: Bench, fault: str) -> bool:
    """Whether a fault is one in the version of the test: 1.0 has no NACK, and says little about the others."""
    return bench.version != "1.0" or fault not in ("NACK of nothing", "UNSUBSCRIBE of nothing")


def faulty(fixture: StompFixture, fault: str, receipt: str) -> Provoke:
    """A new session that sends a faulty frame."""
    command, headers = FAULTS[fault]

    def provoke() -> StompClient:
        client = fixture.client()
        client.frame(command, [*headers, ("receipt", receipt)])
        return client

    return provoke


@clauses("STOMP-ERROR-001", "STOMP-ERROR-003", "STOMP-ERROR-004", "STOMP-ERROR-006")
@pytest.mark.parametrize("fault", FAULTS)
def test_an_error_and_what_comes_after_it(bench: Bench, fault: str) -> None:
    """It has a message and names the frame by its receipt, and the connection ends."""
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()
    found = reaction(fixture, faulty(fixture, fault, receipt), receipt) if applies(bench, fault) else None
    if found is None or found.error is None:
        for clause in ("STOMP-ERROR-001", "STOMP-ERROR-003", "STOMP-ERROR-004", "STOMP-ERROR-006"):
            fixture.skip(clause, f"there is no ERROR for {fault}")
        return
    # CONNECT has no receipt (STOMP-CONNECT-013).
    judge_error(fixture, found.error, None if fault == "second CONNECT" else receipt)
    judge_refusal_rules(fixture, found)


@clauses("STOMP-ERROR-009")
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in SEPARATE])
def test_a_well_formed_frame_that_is_refused(bench: Bench, fault: str) -> None:
    """Wherever the server refuses, it says so by an ERROR, and closes."""
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


@clauses("STOMP-ERROR-002")
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_behind_a_faulty_frame_is_carried_out(bench: Bench, fault: str) -> None:
    """Frames that follow it at once are neither answered nor obeyed, and no frame follows the ERROR."""
    fixture = StompFixture(bench)
    channel = Channel(fixture)
    receipt, later = fixture.new_receipt(), fixture.new_receipt()
    body = bench.fresh("behind").encode()
    provoke = faulty(fixture, fault, receipt)

    def provoke_and_go_on() -> StompClient:
        client = provoke()
        fixture.send(client, channel.destination, body, receipt=later)
        return client

    found = reaction(fixture, provoke_and_go_on, receipt)
    if found.error is None:
        bench.skip("STOMP-ERROR-002", f"there is no ERROR for {fault}")
        return
    came = [
        frame.body for frame in fixture.messages_before_marker(channel.subscription) if frame.body == body
    ]
    bench.judge(
        "STOMP-ERROR-002",
        not came and not found.after_error and not found.served_later_frames,
        expected="no frame behind the ERROR, and no effect of what was sent behind the faulty frame",
        observed=f"{found}; {'the SEND behind it was carried out' if came else 'no effect'}",
    )


@clauses("STOMP-ERROR-002")
def test_messages_on_their_way_do_not_follow_an_error(bench: Bench) -> None:
    """A session that gets many messages and makes a mistake gets no more of them after its ERROR."""
    fixture = StompFixture(bench)

    def provoke() -> StompClient:
        channel = Channel(fixture)
        for number in range(20):
            channel.send(f"m{number}")
        channel.reader.frame(*FAULTS[SURE])
        for number in range(20):
            channel.send(f"late{number}")
        return channel.reader

    found = reaction(fixture, provoke)
    if found.error is None:
        bench.skip("STOMP-ERROR-002", f"there is no ERROR for {SURE}")
        return
    behind = [frame.octets[:200] for frame in found.after_error]
    bench.judge(
        "STOMP-ERROR-002", not behind, expected="no MESSAGE behind the ERROR", observed=behind or found
    )


@clauses("STOMP-ERROR-008")
@pytest.mark.parametrize("fault", MALFORMED)
def test_an_error_before_the_close_for_a_malformed_frame(bench: Bench, fault: str) -> None:
    """A server that closes because it can't read a frame says so before."""
    fixture = StompFixture(bench)
    if bench.version == "1.0" and fault == "undefined escape":
        bench.skip("STOMP-ERROR-008", "1.0 has no escapes")
        return
    destination = fixture.topic()

    def provoke() -> StompClient:
        client = fixture.client()
        head = f"SEND\ndestination:{destination.name}\n".encode()
        client.send_octets(head + MALFORMED[fault])
        return client

    found = reaction(fixture, provoke)
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
    """Recorded: an ERROR and the end, or silence; but not an ERROR after which the connection stays open."""
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        client = fixture.client()
        client.frame(command, [("receipt", receipt)])
        return client

    found = reaction(fixture, provoke, receipt)
    fixture.observe("STOMP-CMD-001", f"{command}: {reaction_summary(found)}")
    judge_refusal_rules(fixture, found, receipt)


@clauses("STOMP-LINGER-002")
def test_how_often_the_last_frame_arrives(bench: Bench) -> None:
    """Recorded: in how many of some attempts the ERROR came before the close, and the RECEIPT of a DISCONNECT."""
    fixture = StompFixture(bench)

    def refused(client: StompClient, within: float | None) -> None:
        client.frame(*FAULTS[SURE])
        client.expect("ERROR", within=within)

    def left(client: StompClient, within: float | None) -> None:
        client.disconnect(receipt="bye")
        client.expect("RECEIPT", within=within, receipt_id="bye")

    for name, step in (("the ERROR for a refused SEND", refused), ("the RECEIPT of a DISCONNECT", left)):
        count = _arrivals(fixture, step)
        fixture.observe("STOMP-LINGER-002", f"{name} came in {count} of {ATTEMPTS} attempts")


def _arrivals(fixture: StompFixture, step: Callable[[StompClient, float | None], None]) -> int:
    """In how many of some attempts a step succeeds, each on a fresh connection."""
    count = 0
    within: float | None = None
    for _ in range(ATTEMPTS):
        client = fixture.client()
        try:
            step(client, within)
            count += 1
        except PeerFailure:
            if not client.closed:
                within = SHORT_WAIT  # it was not too quick with its close: it is silent
        finally:
            client.close()
    return count
