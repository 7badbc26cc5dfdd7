"""Subscriptions to replies and producer acknowledgements: several, and in the client modes.

QSTOMP-REPLY-2 to QSTOMP-REPLY-4, PUB-ACK-4.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.fixture import ADD_GROUP, QueueFixture
from conformance.suite.queue.listeners import SPELLINGS, ListenerSession
from conformance.wire.failures import PeerFailure
from conformance.wire.operations import REPLIES

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: Operations whose replies are compared.
OPERATIONS = 4
MODES = pytest.mark.parametrize("mode", ["client", "client-individual"])


def _add_group(bench: Bench, session: StompClient, **headers: str | None) -> None:
    session.send(ADD_GROUP, json.dumps({"consumer_group_name": bench.fresh("group")}), (), **headers)


def _is_served(bench: Bench, session: StompClient) -> bool:
    """True once the server has processed what the session sent; False if it has ended the session."""
    receipt = bench.fresh("fence")
    _add_group(bench, session, receipt=receipt)
    try:
        session.expect("RECEIPT", receipt_id=receipt)
    except PeerFailure:
        if session.closed is None and not session.errors:
            raise
        return False
    return True


def _mode(bench: Bench, mode: str) -> str:
    return "client" if bench.version == "1.0" else mode


@clauses("QSTOMP-REPLY-3")
def test_each_subscription_gets_each_reply(bench: Bench) -> None:
    """Subscribe to the replies three times, and send operations; expect each reply once under each of the ids."""
    session = bench.stomp()
    ids = [session.subscribe(REPLIES) for _ in range(3)]
    if not _is_served(bench, session):
        bench.skip("QSTOMP-REPLY-3", "the server takes one subscription to the replies of a session")
        return
    wanted = {(identifier, f"{number}") for identifier in ids for number in range(OPERATIONS)}
    for number in range(OPERATIONS):
        _add_group(bench, session, correlation_id=f"{number}")
    missing = set(wanted)
    while missing:
        try:
            reply = session.expect("MESSAGE", lambda frame: _place(frame) in missing)
        except PeerFailure:
            break
        missing.discard(_place(reply))
    _is_served(bench, session)
    more = [frame for frame in session.take("MESSAGE") if _place(frame) in wanted]
    bench.judge(
        "QSTOMP-REPLY-3",
        not missing and not more,
        expected=f"{OPERATIONS} replies under each of the ids {', '.join(ids)}",
        observed=f"none for {sorted(missing)}, and again {[frame.octets for frame in more]}",
    )


def _place(frame: Frame) -> tuple[str, str]:
    return frame.get("subscription") or "", frame.get("correlation-id") or ""


def _acknowledged(bench: Bench, session: StompClient, message: Frame, what: str) -> None:
    """ACK a message, and judge QSTOMP-REPLY-4 by the RECEIPT."""
    if session.version == "1.2":
        bench.judge(
            "QSTOMP-REPLY-4",
            message.get("ack") is not None,
            expected=f"a header ack in {what} to a subscription in a client mode",
            observed=message,
        )
    receipt = bench.fresh("ack")
    session.ack(message, receipt=receipt)
    try:
        frame = session.expect("RECEIPT", receipt_id=receipt)
    except PeerFailure as failure:
        bench.judge(
            "QSTOMP-REPLY-4", False, expected=f"RECEIPT for the ACK of {what}", observed=failure.observed
        )
        raise
    bench.judge("QSTOMP-REPLY-4", True, expected="RECEIPT", observed=frame)


@clauses("QSTOMP-REPLY-4")
@MODES
def test_replies_can_be_acknowledged(bench: Bench, mode: str) -> None:
    """Subscribe to the replies in a client mode, send operations and ACK each reply; expect a RECEIPT for each ACK."""
    session = bench.stomp()
    session.subscribe(REPLIES, ack=_mode(bench, mode))
    if not _is_served(bench, session):
        bench.skip("QSTOMP-REPLY-4", "the server takes subscriptions to replies in mode auto only")
        return
    _acknowledged(bench, session, session.expect("MESSAGE"), "a reply")
    for number in range(OPERATIONS):
        _add_group(bench, session, correlation_id=f"{number}")
        reply = session.expect("MESSAGE", correlation_id=f"{number}")
        _acknowledged(bench, session, reply, "a reply")


@clauses("QSTOMP-REPLY-4")
@MODES
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_producer_acknowledgements_can_be_acknowledged(bench: Bench, spelling: str, mode: str) -> None:
    """Subscribe to the acknowledgements of a topic in a client mode, publish and ACK each; expect RECEIPTs."""
    queue, session = QueueFixture(bench), bench.stomp()
    topic = queue.new_topic()
    identifier = session.subscribe(f"/topic/{spelling}/{topic}", ack=_mode(bench, mode))
    if not _is_served(bench, session):
        bench.skip("QSTOMP-REPLY-4", "the server takes subscriptions to acknowledgements in mode auto only")
        return
    for number in range(OPERATIONS):
        queue.publish(topic, f"m{number}")
        message = session.expect("MESSAGE", subscription=identifier)
        _acknowledged(bench, session, message, "a producer acknowledgement")


@clauses("QSTOMP-REPLY-2")
@pytest.mark.parametrize("end", ["disconnect", "cut"])
def test_replies_that_are_not_acknowledged_end_with_their_session(bench: Bench, end: str) -> None:
    """Leave replies unacknowledged in a session that ends, and subscribe in others; expect none of them there."""
    earlier, leaving = bench.stomp(), bench.stomp()
    earlier.subscribe(REPLIES, ack="client")
    leaving.subscribe(REPLIES, ack="client")
    if not _is_served(bench, leaving) or not _is_served(bench, earlier):
        bench.skip("QSTOMP-REPLY-2", "the server takes subscriptions to replies in mode auto only")
        return
    for number in range(OPERATIONS):
        _add_group(bench, leaving, correlation_id=f"theirs-{number}")
        leaving.expect("MESSAGE", correlation_id=f"theirs-{number}")
    _end(leaving, end)
    later = bench.stomp()
    later.subscribe(REPLIES)
    for session in (earlier, later):
        _is_served(bench, session)
        _is_served(bench, session)
        theirs = [
            frame
            for frame in session.take("MESSAGE")
            if (frame.get("correlation-id") or "").startswith("theirs")
        ]
        bench.judge("QSTOMP-REPLY-2", not theirs, expected="no reply to another session", observed=theirs)


@clauses("PUB-ACK-4")
@pytest.mark.parametrize("end", ["disconnect", "cut"])
def test_an_acknowledgement_that_was_not_acknowledged_comes_to_nobody_else(bench: Bench, end: str) -> None:
    """Leave a producer acknowledgement unacknowledged in a session that ends; expect one at another subscription."""
    if bench.binding != "queue-stomp":
        bench.skip("PUB-ACK-4", "the sessions of this test connect, and are judged in the class queue-stomp")
        return
    queue, staying, leaving = QueueFixture(bench), ListenerSession(bench), bench.stomp()
    topic = queue.new_topic()
    listener = staying.listen(topic)
    identifier = leaving.subscribe(listener.destination, ack="client")
    if not _is_served(bench, leaving):
        bench.skip("PUB-ACK-4", "the server takes subscriptions to acknowledgements in mode auto only")
        return
    for number in range(OPERATIONS):
        queue.publish(topic, f"m{number}")
        leaving.expect("MESSAGE", subscription=identifier)
        listener.next_acknowledgement("PUB-ACK-1", "an acknowledgement")
    _end(leaving, end)
    again = listener.remaining()
    bench.judge(
        "PUB-ACK-4",
        not again,
        expected="one acknowledgement of each record, of which all came",
        observed=again,
    )


def _end(session: StompClient, how: str) -> None:
    """End a session by DISCONNECT, with its RECEIPT, or by a cut of its connection."""
    if how == "cut":
        session.link.cut()
        return
    session.disconnect(receipt="bye")
    session.expect("RECEIPT", receipt_id="bye")
