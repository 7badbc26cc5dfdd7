"""Sessions without CONNECT where logins are asked for: QSTOMP-BARE-3."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_status
from conformance.suite.queue.fixture import ADD_TOPIC, QueueFixture, publish_path
from conformance.suite.queue.queue_client import HEARTBEAT
from conformance.wire.encoding import encode
from conformance.wire.failures import PeerFailure, UpgradeRefused, Violation
from conformance.wire.operations import StompOperations
from conformance.wire.stomp import StompClient

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

CLAUSE = "QSTOMP-BARE-3"
LENIENT = ("/producer", "/consumer")
#: Frames before a right login, and whether a refused CONNECT is the first of them.
OPENINGS = {"first": False, "behind a refused CONNECT": True}


@clauses(CLAUSE)
@pytest.mark.parametrize("path", LENIENT)
@pytest.mark.parametrize("opening", OPENINGS)
def test_nothing_is_obeyed_without_a_login(bench: Bench, path: str, opening: str) -> None:
    """Add a topic and publish to another without a right login; expect that neither has an effect."""
    if bench.target.is_tcp or bench.target.login is None:
        bench.skip(
            CLAUSE,
            "a port of STOMP over TCP has no endpoints" if bench.target.is_tcp else "no login is known",
        )
        return
    wrong = {**bench.credentials(), "passcode": f"not-{bench.target.passcode}"}
    if _lets_in(_session(bench, path), wrong):
        bench.skip(CLAUSE, "the server accepts a wrong passcode")
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    added = bench.fresh("topic")
    client = _session(bench, path)
    frames = [_send(ADD_TOPIC, {"topicName": added})]
    frames += [_send(publish_path(topic), {"messageID": 1, "message": "of a stranger", "timestamp": 1})]
    if OPENINGS[opening]:
        headers = [(name, value) for name, value in wrong.items() if value is not None]
        frames.insert(0, encode("CONNECT", headers, b"", "1.0"))
    client.send_octets(b"".join(frames))
    # With CONNECTED or the end of the connection, the server is past these frames.
    if _lets_in(client, bench.credentials()):
        StompOperations(client).call(HEARTBEAT, {"consumer_name": bench.fresh("nobody")})
    because = f"nobody with a login has added it, but on {path} a stranger has tried to"
    expect_status(bench, queue.client.add_topic(added), 200, CLAUSE, because)
    queue.publish(topic, "of a user")
    record = queue.poll_until_record(consumer)
    bench.judge(
        CLAUSE,
        record.message == "of a user",
        expected="the record of a user, and none of a stranger",
        observed=record.whole,
    )


def _session(bench: Bench, path: str) -> StompClient:
    try:
        return StompClient(bench.websocket_link(path, ()), "1.0")
    except UpgradeRefused as refusal:
        bench.judge("QSTOMP-ENDPOINT-1", False, expected=refusal.expected, observed=refusal.observed)
        raise


def _send(destination: str, body: dict[str, object]) -> bytes:
    headers = [("destination", destination), ("content-type", "application/json")]
    return encode("SEND", headers, json.dumps(body).encode(), "1.0")


def _lets_in(client: StompClient, credentials: dict[str, str | None]) -> bool:
    """True if CONNECT with these headers gets CONNECTED."""
    try:
        client.connect(credentials)
    except (PeerFailure, Violation):
        return False
    return True
