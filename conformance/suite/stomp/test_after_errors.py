"""Messages after the ERROR that ends a session, and frames behind the faulty one: STOMP-ERROR-010, STOMP-ERROR-002."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.accept_or_refuse import channel_in_mode, redelivery_works
from conformance.suite.stomp.channel import NO_QUEUES, Channel, acknowledgement_mode, consume_elsewhere
from conformance.suite.stomp.frame_template import fill
from conformance.suite.stomp.pace import ONE_MESSAGE, ONE_WRITE, send_at_pace
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.encoding import encode
from conformance.wire.failures import PeerFailure
from conformance.wire.operations import StompOperations, encoded

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame

#: Messages that are sent after the ERROR; two consumers would alternate.
MESSAGES = 6
#: Seconds besides the usual delay that the server is given to end a session, in each attempt.
PAUSES = (0.0, 0.25, 0.6)
#: Longest extra pause on a machine with scheduling delays, in seconds: servers end silent connections soon.
MOST_EXTRA_PAUSE = 0.5
ADD_GROUP, REGISTER = "/consumer-group/add", "/consumer/register-consumer"
FAULTY = {
    "send": b"SEND\n\n\0",
    "malformed": b"SEND\n<destination>\ncolonless\n\nm\0",
    "commit": b"COMMIT\ntransaction:never-begun\n\n\0",
}


@clauses("STOMP-ERROR-010")
@pytest.mark.parametrize("mode", ["auto", "client"])
@pytest.mark.parametrize("fault", FAULTY)
def test_a_session_with_an_error_takes_no_message(bench: Bench, fault: str, mode: str) -> None:
    """Get an ERROR on a session with a subscription, and send to its queue; expect all messages at another consumer."""
    fixture = StompFixture(bench)
    if not bench.target.fact("queues"):
        bench.skip("STOMP-ERROR-010", NO_QUEUES)
        return
    seen = ""
    for pause in PAUSES:
        pause += fixture.usual_delay + min(bench.scheduling_delay(), MOST_EXTRA_PAUSE)
        missing = _missing_after_error(fixture, fault, mode, pause)
        if missing is None:
            bench.skip("STOMP-ERROR-010", f"there is no ERROR for a faulty frame ({fault})")
            return
        if not missing:
            bench.judge("STOMP-ERROR-010", True, expected="all messages", observed="all messages")
            return
        seen = f"{len(missing)} of {MESSAGES} did not come, {pause:g} s after the ERROR: {missing}"
    bench.judge(
        "STOMP-ERROR-010",
        False,
        expected="every message at the consumer of a session that lives",
        observed=seen,
    )


def _missing_after_error(fixture: StompFixture, fault: str, mode: str, pause: float) -> list[bytes] | None:
    """The bodies, sent after the ERROR, that the other consumer doesn't get; None if there is no ERROR.

    The client reads no further than the ERROR, so that its side of the connection stays open.
    """
    bench = fixture.bench
    destination, client, sender, other = fixture.queue(), fixture.client(), fixture.client(), fixture.client()
    fixture.active_subscription(client, destination, ack=acknowledgement_mode(bench, mode))
    client.send_octets(fill(FAULTY[fault], destination, client.version))
    try:
        client.expect("ERROR")
    except PeerFailure:
        return None
    sender.listen(pause)
    subscription = fixture.active_subscription(other, destination)
    bodies = [bench.fresh("m").encode() for _ in range(MESSAGES)]
    for body in bodies:
        fixture.send(sender, destination, body)
    missing = list(bodies)

    def is_missing(frame: Frame) -> bool:
        return subscription.owns(frame) and frame.body in missing

    try:
        while missing:
            # A message from before the ERROR, such as one that showed the subscription to be active, may come again.
            missing.remove(other.expect("MESSAGE", is_missing, pause).body)
    except PeerFailure:
        if other.closed or other.errors:
            raise
    return missing


@clauses("STOMP-SEND-002")
@pytest.mark.parametrize("fault", FAULTY)
def test_a_message_in_front_of_a_faulty_frame_is_delivered(bench: Bench, fault: str) -> None:
    """Send a message and a faulty frame right behind it, in one write; expect the message at its subscription."""
    channel = Channel(StompFixture(bench))
    body = bench.fresh("m").encode()
    with channel.sender.link.in_one_write():
        channel.send(body)
        channel.sender.send_octets(fill(FAULTY[fault], channel.destination, channel.sender.version))
    channel.expect_message("STOMP-SEND-002", lambda frame: frame.body == body)


@clauses("STOMP-ERROR-002")
@pytest.mark.parametrize("pace", [ONE_WRITE, ONE_MESSAGE])
def test_an_operation_behind_a_faulty_frame_is_not_performed(bench: Bench, pace: str) -> None:
    """Send operations of the queue right behind a faulty frame; expect none of them to be performed."""
    fixture = StompFixture(bench)
    if "queue-stomp" not in bench.target.classes:
        bench.skip("STOMP-ERROR-002", "the server doesn't serve the queue over STOMP")
        return
    group, other = bench.fresh("group"), bench.fresh("group")
    asking, session = StompOperations(fixture.client()), fixture.client()
    if asking.call(ADD_GROUP, {"consumer_group_name": other}).status != 200:
        bench.skip("STOMP-ERROR-002", "the server adds no group")
        return
    added = encoded({"consumer_group_name": group})
    headers = [("destination", ADD_GROUP), ("content-length", str(len(added)))]
    octets = [
        fill(FAULTY["commit"], version=session.version),
        encode("SEND", headers, added, session.version),
    ]
    send_at_pace(session, octets, pace)
    try:
        session.expect("ERROR")
    except PeerFailure:
        bench.skip("STOMP-ERROR-002", "there is no ERROR for COMMIT of no transaction")
        return
    fixture.fence(asking.client)
    reply = asking.call(REGISTER, {"consumer_group_name": group, "consumer_name": bench.fresh("consumer")})
    bench.judge(
        "STOMP-ERROR-002",
        400 <= reply.status < 500,
        expected=f"no group {group}: the operation came behind a faulty frame",
        observed=f"{reply} to a registration in it",
    )


@clauses("STOMP-ERROR-002")
def test_an_ack_behind_a_faulty_frame_settles_nothing(bench: Bench) -> None:
    """Send ACK right behind a faulty frame; expect the message again at another consumer."""
    fixture = StompFixture(bench)
    if not redelivery_works(fixture, "client", "STOMP-ERROR-002"):
        return
    channel = channel_in_mode(fixture, "client")
    message = channel.send_and_receive(bench.fresh("m"))
    with channel.reader.link.in_one_write():
        channel.reader.send_octets(fill(FAULTY["commit"], channel.destination, channel.reader.version))
        channel.reader.ack(message)
    try:
        channel.reader.expect("ERROR")
    except PeerFailure:
        bench.skip("STOMP-ERROR-002", "there is no ERROR for COMMIT of no transaction")
        return
    channel.reader.close()
    again = consume_elsewhere(fixture, channel.destination, [message.body])
    bench.judge(
        "STOMP-ERROR-002",
        message.body in again,
        expected=f"{message.body!r} again: its ACK came behind a faulty frame",
        observed=again,
    )
