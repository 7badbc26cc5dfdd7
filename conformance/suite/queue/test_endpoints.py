"""Where the queue is served over STOMP, and what is forgiven there: QSTOMP-ENDPOINT-1 to QSTOMP-STOMPER-2."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.queue_client import HEARTBEAT
from conformance.suite.queue.scene import ADD_GROUP, ADD_TOPIC, Scene
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
        return bench.link(path, offer)
    except UpgradeRefused as refusal:
        bench.judge(clause, False, expected=refusal.expected, observed=refusal.observed)
        raise


def _judge_success(bench: Bench, clause: str, session: Operations, path: str, body: dict[str, str]) -> None:
    """Judge that an operation that must succeed does."""
    try:
        reply = session.call(path, body)
    except PeerFailure as failure:
        bench.judge(clause, False, expected=failure.expected, observed=failure.observed)
        raise
    bench.judge(clause, reply.status == 200, expected="status 200", observed=reply)


@clauses("QSTOMP-ENDPOINT-1")
@pytest.mark.parametrize("path", ENDPOINTS)
def test_every_operation_is_there_on_each_endpoint(bench: Bench, path: str) -> None:
    """A session with CONNECT is opened at /stomp, /producer and /consumer, and serves producers and consumers."""
    client = StompClient(_link(bench, "QSTOMP-ENDPOINT-1", path), bench.version)
    client.connect(bench.credentials())
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
    """One of them, several, or none; and over the connection STOMP can be spoken."""
    link = _link(bench, "QSTOMP-SUBPROTOCOL-1", path, offer)
    # In the version that the selected subprotocol names, so that a server that holds a session to it agrees.
    version = VERSIONS.get(link.subprotocol or "", bench.version)
    if version not in bench.target.stomp_versions:
        bench.judge("QSTOMP-SUBPROTOCOL-1", True, expected="101", observed="101")
        return
    client = StompClient(link, version)
    client.connect(bench.credentials())
    group = {"consumer_group_name": bench.fresh("group")}
    _judge_success(bench, "QSTOMP-SUBPROTOCOL-1", StompOperations(client), ADD_GROUP, group)


def _wants_login(bench: Bench, *ids: str) -> bool:
    """Skip these clauses where a server that asks for logins may insist on CONNECT."""
    for clause in ids if bench.target.login else ():
        bench.skip(clause, "the server asks for a login, and may insist on CONNECT")
    return bool(bench.target.login)


@clauses("QSTOMP-BARE-1", "QSTOMP-STOMPER-1")
@pytest.mark.parametrize("path", LENIENT)
def test_the_first_producer_is_served(bench: Bench, path: str) -> None:
    """It never connects, its frames have a line end behind the NUL, and it gets its acknowledgements.

    Under both spellings; its labels are whole seconds, so that records share them.
    """
    if _wants_login(bench, "QSTOMP-BARE-1", "QSTOMP-STOMPER-1"):
        return
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    scene.warm_up(topic, consumer)
    producer = SeedProducer(_link(bench, "QSTOMP-ENDPOINT-1", path), topic, clock=lambda: 1_700_000_000.5)
    for spelling in SPELLINGS:
        producer.subscribe(spelling)
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
    seen = [record.message for record in scene.drain(consumer, 3, "QSTOMP-STOMPER-1")]
    bench.judge("QSTOMP-STOMPER-1", seen == ["m0", "m1", "m2"], expected="m0, m1, m2", observed=seen)


def _acknowledgement(bench: Bench, producer: SeedProducer, spelling: str) -> dict[str, object]:
    try:
        told = producer.acknowledgement(spelling)
    except PeerFailure as failure:
        bench.judge("QSTOMP-BARE-1", False, expected=failure.expected, observed=failure.observed)
        raise
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise Violation("PUB-ACK-1", "a JSON object", told)
    return told


@clauses("QSTOMP-BARE-1")
@pytest.mark.parametrize("path", LENIENT)
@pytest.mark.parametrize("first", ["SUBSCRIBE", "SEND"])
def test_a_session_may_begin_without_connect(bench: Bench, path: str, first: str) -> None:
    """Whatever its first frame is, it is obeyed, and so are those behind it."""
    if _wants_login(bench, "QSTOMP-BARE-1"):
        return
    group = bench.fresh("group")
    client = StompClient(_link(bench, "QSTOMP-ENDPOINT-1", path), "1.0")
    if first == "SEND":
        client.send(ADD_GROUP, json.dumps({"consumer_group_name": group}), content_type="application/json")
    again = {"consumer_group_name": group}
    _judge_success(bench, "QSTOMP-BARE-1", StompOperations(client), ADD_GROUP, again)
    if first == "SEND":
        reply = Scene(bench).queue.register(group, bench.fresh("consumer"))
        bench.judge("QSTOMP-BARE-1", reply.status == 200, expected="200: the group was added", observed=reply)


@clauses("QSTOMP-BARE-1")
@pytest.mark.parametrize("path", LENIENT)
def test_nothing_is_escaped_in_a_session_without_connect(bench: Bench, path: str) -> None:
    """Such a session goes by the rules of 1.0: a backslash and a colon in a header stand for themselves."""
    if _wants_login(bench, "QSTOMP-BARE-1"):
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
    """What a SEND in front of CONNECT asks for is not done, whatever else comes of it."""
    scene = Scene(bench)
    topic = bench.fresh("topic")
    client = bench.stomp(STRICT, connect=False)
    client.send(ADD_TOPIC, json.dumps({"topicName": topic}), content_type="application/json")
    try:
        client.connect(bench.credentials())
        StompOperations(client).call(HEARTBEAT, {"consumer_name": bench.fresh("nobody")})
    except (PeerFailure, Violation):
        pass  # refused by ERROR or by the end of the connection: the server is past the SEND, too
    reply = scene.queue.add_topic(topic)
    bench.judge(
        "QSTOMP-BARE-2", reply.status == 200, expected="200: the topic was not added before", observed=reply
    )


@clauses("QSTOMP-STOMPER-1")
@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("end", [b"\n", b"\n\n"], ids=["one", "two"])
def test_line_ends_behind_the_nul_are_ignored(bench: Bench, path: str, end: bytes) -> None:
    """Each frame of a session with CONNECT has them, in the message of the frame."""
    client = StompClient(_link(bench, "QSTOMP-ENDPOINT-1", path), bench.version)
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
    """The receipt is granted, and the session ends."""
    if _wants_login(bench, "QSTOMP-STOMPER-2"):
        return
    scene = Scene(bench)
    topic = scene.topic()
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
