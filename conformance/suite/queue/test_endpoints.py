"""The endpoints of the queue over STOMP, and the deviations that they accept: QSTOMP-ENDPOINT-1 to QSTOMP-STOMPER-2."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_status
from conformance.suite.queue.fixture import ADD_GROUP, ADD_TOPIC, QueueFixture
from conformance.suite.queue.listeners import ListenerSession
from conformance.suite.queue.queue_client import HEARTBEAT
from conformance.suite.queue.stored_records import expect_stored
from conformance.wire.encoding import encode
from conformance.wire.failures import PeerFailure, UpgradeRefused, Violation
from conformance.wire.operations import REPLIES, StompOperations
from conformance.wire.seed_clients import SPELLINGS, SeedProducer
from conformance.wire.stomp import StompClient

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.operations import Operations
    from conformance.wire.websocket import WebSocketLink

STRICT, LENIENT = "/stomp", ("/producer", "/consumer")
ENDPOINTS = (STRICT, *LENIENT)
VERSIONS = {"v10.stomp": "1.0", "v11.stomp": "1.1", "v12.stomp": "1.2"}
OFFERS: dict[str, tuple[str, ...]] = {
    "none": (),
    "v12": ("v12.stomp",),
    "v11": ("v11.stomp",),
    "v10": ("v10.stomp",),
    "all": ("v10.stomp", "v11.stomp", "v12.stomp"),
    "two": ("v11.stomp", "v12.stomp"),
}


def _link(bench: Bench, clause: str, path: str, offer: tuple[str, ...] = ()) -> WebSocketLink:
    try:
        return bench.websocket_link(path, offer)
    except UpgradeRefused as refusal:
        bench.judge(clause, False, expected=refusal.expected, observed=refusal.observed)
        raise


def _judge_success(bench: Bench, clause: str, session: Operations, path: str, body: dict[str, str]) -> None:
    """Perform an operation that must succeed, and judge `clause` by its reply."""
    try:
        reply = session.call(path, body)
    except PeerFailure as failure:
        bench.judge(clause, False, expected=failure.expected, observed=failure.observed)
        raise
    expect_status(bench, reply, 200, clause, "the operation is valid")


@clauses("QSTOMP-ENDPOINT-1", "QSTOMP-BARE-1")
@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("query", ["", "?x=1&y"], ids=["plain", "with a query"])
def test_every_operation_is_there_on_each_endpoint(bench: Bench, path: str, query: str) -> None:
    """Open a session at /stomp, /producer or /consumer, also with a query, and send operations of producers and
    consumers; expect 200 from each, and the version that was asked for.
    """
    if _has_no_endpoints(bench, "QSTOMP-ENDPOINT-1", "QSTOMP-BARE-1"):
        return
    client = StompClient(_link(bench, "QSTOMP-ENDPOINT-1", path + query), bench.version)
    connected = client.connect(bench.credentials())
    bench.judge(
        "QSTOMP-BARE-1",
        (connected.get("version") or "1.0") == bench.version,
        expected=f"a session of {bench.version}, the version that CONNECT asks for",
        observed=connected,
    )
    session = StompOperations(client)
    topic = bench.fresh("topic")
    for operation, body in (
        (ADD_TOPIC, {"topicName": topic}),
        (f"/producer/publish/{topic}", {"messageID": "1", "message": "m"}),
        (ADD_GROUP, {"consumer_group_name": bench.fresh("group")}),
    ):
        _judge_success(bench, "QSTOMP-ENDPOINT-1", session, operation, body)


@clauses("QSTOMP-SUBPROTOCOL-1")
@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
def test_any_offer_of_subprotocols_opens_a_connection(
    bench: Bench, path: str, offer: tuple[str, ...]
) -> None:
    """Offer no, one or several subprotocols in the upgrade; expect 101, and a session that performs an operation."""
    if _has_no_endpoints(bench, "QSTOMP-SUBPROTOCOL-1"):
        return
    link = _link(bench, "QSTOMP-SUBPROTOCOL-1", path, offer)
    # In the version of the selected subprotocol, because a server may hold a session to it.
    version = VERSIONS.get(link.subprotocol or "", bench.version)
    if version not in bench.target.stomp_versions:
        bench.judge("QSTOMP-SUBPROTOCOL-1", True, expected="101", observed="101")
        return
    client = StompClient(link, version)
    client.connect(bench.credentials())
    group = {"consumer_group_name": bench.fresh("group")}
    _judge_success(bench, "QSTOMP-SUBPROTOCOL-1", StompOperations(client), ADD_GROUP, group)


def _wants_login(bench: Bench, *ids: str) -> bool:
    """True if the server asks for a login, which comes with CONNECT; the clauses are skipped then."""
    for clause in ids if bench.target.login else ():
        bench.skip(clause, "the server asks for a login, and a session without CONNECT has none")
    return bool(bench.target.login)


def _has_no_endpoints(bench: Bench, *ids: str) -> bool:
    """True over TCP, where connections have no path; the clauses are skipped then."""
    for clause in ids if bench.target.is_tcp else ():
        bench.skip(clause, "a port of STOMP over TCP has no endpoints")
    return bench.target.is_tcp


@clauses("QSTOMP-BARE-1", "QSTOMP-STOMPER-1")
@pytest.mark.parametrize("path", LENIENT)
def test_the_first_producer_is_served(bench: Bench, path: str) -> None:
    """Send SUBSCRIBE and SEND without CONNECT, each with a line end behind the NUL; expect an ACK under both spellings,
    and the records at a consumer.

    Labels are whole seconds, as that producer's are, so that several records share one.
    """
    if _has_no_endpoints(bench, "QSTOMP-BARE-1", "QSTOMP-STOMPER-1") or _wants_login(
        bench, "QSTOMP-BARE-1", "QSTOMP-STOMPER-1"
    ):
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    producer = SeedProducer(_link(bench, "QSTOMP-ENDPOINT-1", path), topic, clock=lambda: 1_700_000_000.5)
    for spelling in SPELLINGS:
        producer.subscribe(spelling)
    seen: list[str] = []
    for number in range(3):
        label = producer.publish(f"m{number}", key="one-key")
        for spelling in SPELLINGS:
            told = _acknowledgement(bench, producer, spelling)
            bench.judge(
                "QSTOMP-BARE-1",
                told == {**told, "messageId": label, "acknowledgementMessage": "ACK"},
                expected=f"ACK for {label} at the spelling {spelling}",
                observed=told,
            )
        read = ["warm-up", *(f"m{earlier}" for earlier in range(number))]
        record = expect_stored(queue, consumer, "PUB-ACK-5", f"m{number}", read)
        queue.acknowledge(consumer, record.message_id)
        seen.append(record.message)
    bench.judge("QSTOMP-STOMPER-1", seen == ["m0", "m1", "m2"], expected="m0, m1, m2", observed=seen)


def _acknowledgement(bench: Bench, producer: SeedProducer, spelling: str) -> dict[str, object]:
    try:
        told = producer.acknowledgement(spelling)
    except PeerFailure as failure:
        _expect_connected_producer(bench)
        bench.judge("QSTOMP-BARE-1", False, expected=failure.expected, observed=failure.observed)
        raise
    if not isinstance(told, dict):
        raise Violation("PUB-ACK-1", "a JSON object", told)
    return told


def _expect_connected_producer(bench: Bench) -> None:
    """Judge PUB-ACK-1 and PUB-ACK-2 by what the first producer gets, in a session that began with CONNECT."""
    queue, session = QueueFixture(bench), ListenerSession(bench)
    topic = queue.new_topic()
    promises = dict(zip(SPELLINGS, ("PUB-ACK-1", "PUB-ACK-2"), strict=True))
    listeners = {session.listen(topic, spelling): promises[spelling] for spelling in SPELLINGS}
    for number in range(3):
        queue.publish(topic, f"m{number}", label=1_700_000_000)
        for listener, clause in listeners.items():
            listener.next_acknowledgement(clause, "ACK for each record")


@clauses("QSTOMP-BARE-1")
@pytest.mark.parametrize("path", LENIENT)
@pytest.mark.parametrize("first", ["SUBSCRIBE", "SEND"])
def test_a_session_may_begin_without_connect(bench: Bench, path: str, first: str) -> None:
    """Send SUBSCRIBE or SEND as the first frame of a connection; expect it and the frames behind it to be processed."""
    if _has_no_endpoints(bench, "QSTOMP-BARE-1") or _wants_login(bench, "QSTOMP-BARE-1"):
        return
    group = bench.fresh("group")
    client = StompClient(_link(bench, "QSTOMP-ENDPOINT-1", path), "1.0")
    if first == "SEND":
        client.send(ADD_GROUP, json.dumps({"consumer_group_name": group}), content_type="application/json")
    again = {"consumer_group_name": group}
    _judge_success(bench, "QSTOMP-BARE-1", StompOperations(client), ADD_GROUP, again)
    if first == "SEND":
        reply = QueueFixture(bench).client.register(group, bench.fresh("consumer"))
        expect_status(bench, reply, 200, "QSTOMP-BARE-1", "the group was added")


@clauses("QSTOMP-BARE-1")
@pytest.mark.parametrize("path", LENIENT)
def test_nothing_is_escaped_in_a_session_without_connect(bench: Bench, path: str) -> None:
    """Send a header with a backslash and a colon without CONNECT; expect it back unchanged, as in STOMP 1.0."""
    if _has_no_endpoints(bench, "QSTOMP-BARE-1") or _wants_login(bench, "QSTOMP-BARE-1"):
        return
    client = StompClient(_link(bench, "QSTOMP-ENDPOINT-1", path), "1.0")
    client.subscribe(REPLIES)
    body = json.dumps({"consumer_group_name": bench.fresh("group")}).encode()
    octets = encode("SEND", [("destination", ADD_GROUP), ("correlation-id", "a\\c:b")], body, "1.0")
    client.send_octets(octets)
    reply = client.expect("MESSAGE", destination=REPLIES)
    bench.judge(
        "QSTOMP-BARE-1",
        b"\ncorrelation-id:a\\c:b\n" in reply.octets.replace(b"\r\n", b"\n"),
        expected="correlation-id:a\\c:b as it was sent",
        observed=reply.octets,
    )


@clauses("QSTOMP-BARE-2")
def test_nothing_is_obeyed_before_connect_on_the_strict_endpoint(bench: Bench) -> None:
    """Send a SEND in front of CONNECT at /stomp; expect its operation not to be performed. Any reaction is allowed."""
    queue = QueueFixture(bench)
    topic = bench.fresh("topic")
    client = bench.stomp(STRICT, connect=False)
    client.send(ADD_TOPIC, json.dumps({"topicName": topic}), content_type="application/json")
    try:
        client.connect(bench.credentials())
        StompOperations(client).call(HEARTBEAT, {"consumer_name": bench.fresh("nobody")})
    except (PeerFailure, Violation):
        pass  # an ERROR or the end of the connection also shows that the server is past the SEND
    reply = queue.client.add_topic(topic)
    expect_status(bench, reply, 200, "QSTOMP-BARE-2", "the topic was not added before")


@clauses("QSTOMP-STOMPER-1")
@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("end", [b"\n", b"\n\n"], ids=["one", "two"])
def test_line_ends_behind_the_nul_are_ignored(bench: Bench, path: str, end: bytes) -> None:
    """Send each frame of a session with line ends behind its NUL, in the same message; expect the session to work."""
    if path != STRICT and _has_no_endpoints(bench, "QSTOMP-STOMPER-1"):
        return
    link = bench.link() if bench.target.is_tcp else _link(bench, "QSTOMP-ENDPOINT-1", path)
    client = StompClient(link, bench.version)
    wanted = {"accept-version": bench.version, **bench.credentials()}
    headers = [(name, value) for name, value in wanted.items() if value is not None]
    client.send_octets(encode("CONNECT", headers, b"", bench.version) + end)
    client.connected = client.expect("CONNECTED")
    subscribe = [("id", "replies"), ("destination", REPLIES)]
    client.send_octets(encode("SUBSCRIBE", subscribe, b"", bench.version) + end)
    for number in range(2):
        body = json.dumps({"consumer_group_name": bench.fresh("group")}).encode()
        send = [("destination", ADD_GROUP), ("correlation-id", f"c{number}")]
        client.send_octets(encode("SEND", send, body, bench.version) + end)
        reply = client.expect("MESSAGE", correlation_id=f"c{number}")
        bench.judge("QSTOMP-STOMPER-1", reply.get("status") == "200", expected="status 200", observed=reply)


@clauses("QSTOMP-STOMPER-2")
@pytest.mark.parametrize("path", LENIENT)
def test_a_disconnect_without_its_empty_line_is_obeyed(bench: Bench, path: str) -> None:
    """Send a DISCONNECT that lacks its empty line; expect its RECEIPT and the end of the connection."""
    if _has_no_endpoints(bench, "QSTOMP-STOMPER-2") or _wants_login(bench, "QSTOMP-STOMPER-2"):
        return
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    producer = SeedProducer(_link(bench, "QSTOMP-ENDPOINT-1", path), topic)
    producer.subscribe()
    producer.publish("m")
    producer.acknowledgement()
    producer.disconnect("77")
    try:
        producer.client.expect("RECEIPT", receipt_id="77")
        producer.client.expect_end()
    except PeerFailure as failure:
        bench.judge("QSTOMP-STOMPER-2", False, expected=failure.expected, observed=failure.observed)
    bench.judge("QSTOMP-STOMPER-2", True, expected="RECEIPT and the end", observed=producer.client.closed)
