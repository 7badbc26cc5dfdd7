"""Bad input over STOMP: refused operations, unknown destinations, malformed frames. State never changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.server.test_bad_requests import OPERATIONS, Watched
from tests.server.wire import TEXT, Stomp, frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference_server.server import Server
    from tests.server.conftest import Serve

REPLIES = "/user/queue/replies"


@pytest.fixture
def watched(server: Server) -> Iterator[Watched]:
    watched = Watched(server)
    with watched.client:
        yield watched


@pytest.mark.parametrize("path", OPERATIONS)
def test_refused_operations(watched: Watched, path: str) -> None:
    """Refusals have a status and a problem; the session goes on (QSTOMP-REPLY-1, QSTOMP-QUIET-1, REFUSE-1)."""
    bodies = [
        b"",
        b"nonsense",
        b"[" * 9999,
        b"[]",
        b'"text"',
        b"{}",
        b'{"consumer_name":7}',
        b'{"topicName":"a/b"}',
    ]
    with Stomp.connected(watched.server) as client:
        client.subscribe(REPLIES)
        for body in bodies:
            client.say("SEND", {"destination": path, "correlation-id": "c"}, body)
            reply = client.expect("MESSAGE")
            assert (reply["status"], reply["content-type"]) == ("400", "application/problem+json")
            assert json.loads(reply.body)["type"].startswith("urn:stompliance:problem:")
        client.send(frame(TEXT, b'SEND\ndestination:%b\n\n{"messageID":"\0' % path.encode()))
        assert client.expect("MESSAGE")["status"] == "400"
        assert client.fence() == []
    assert watched.state() == watched.before


@pytest.mark.parametrize(
    ("path", "members", "status"),
    [
        ("/topic/add-topic", {"topicName": "news"}, "409"),
        ("/topic/add-topic", {"topicName": "x" * 1000}, "400"),
        ("/producer/publish/missing", {"messageID": 1, "message": "m"}, "404"),
        ("/consumer-group/remove", {"consumer_group_name": "x"}, "404"),
        ("/consumer/register-consumer", {"consumer_group_name": "g", "consumer_name": "c"}, "409"),
        ("/consumer/poll", {"consumer_name": "x"}, "404"),
        ("/consumer/acknowledgement", {"consumer_name": "c", "message_id": "abc"}, "400"),
        ("/consumer/acknowledgement", {"consumer_name": "c", "message_id": -1}, "400"),
        ("/consumer/acknowledgement", {"consumer_name": "c", "message_id": 999}, "409"),
        ("/consumer/negative-acknowledgement", {"consumer_name": "d", "message_id": 1}, "409"),
    ],
)
def test_refusals_with_a_receipt(watched: Watched, path: str, members: dict[str, Any], status: str) -> None:
    """A refusal with a receipt is an ERROR with the receipt-id and the problem, then the end (QSTOMP-RECEIPT-2)."""
    with Stomp.connected(watched.server) as client:
        client.say("SEND", {"destination": path, "receipt": "r"}, json.dumps(members).encode())
        error = client.refused()
        assert (error["receipt-id"], error["status"]) == ("r", status)
        assert str(json.loads(error.body)["status"]) == status
    assert watched.state() == watched.before


MALFORMED = [
    b"nonsense\n\n\0",
    b"SEND\n\n\0",
    b"SEND\ndestination:/nowhere\n\nm\0",
    b"SEND\ndestination:/consumer/polls\n\nm\0",
    b"SEND\ndestination:/queue\n\nm\0",
    b"SEND\ndestination:/queue/\n\nm\0",
    b"SEND\ndestination:\n\nm\0",
    b"SEND\ndestination:queue/a\n\nm\0",
    b"SEND\ndestination:/topic/acknowledgment/news\n\nm\0",
    b"SEND\ndestination:/user/queue/replies\n\nm\0",
    b"SEND\ndestination:/queue/a\nno colon\n\nm\0",
    b"SEND\ndestination:/queue/a\n:no name\n\nm\0",
    b"SEND\ndestination:/queue/a\nx:\\t\n\nm\0",
    b"SEND\ndestination:/queue/a\nx:\\\n\nm\0",
    b"SEND\ndestination:/queue/a\nx:a\rb\n\nm\0",
    b"SEND\ndestination:/queue/a\ncontent-length:x\n\nm\0",
    b"SEND\ndestination:/queue/a\ncontent-length:-1\n\nm\0",
    b"SEND\ndestination:/queue/a\ncontent-length:0\n\nm\0",
    b"SEND\ndestination:/queue/a\ncontent-length:99999999999999999999\n\nm\0",
    b"SEND\ndestination:/queue/a\ntransaction:t\n\nm\0",
    b"SEND\ndestination:/queue/a\0",
    b"SUBSCRIBE\nid:1\n\n\0",
    b"SUBSCRIBE\ndestination:/queue/a\n\n\0",
    b"SUBSCRIBE\nid:1\ndestination:/nowhere\n\n\0",
    b"SUBSCRIBE\nid:1\ndestination:/queue/a\nack:perhaps\n\n\0",
    b"UNSUBSCRIBE\nid:9\n\n\0",
    b"UNSUBSCRIBE\n\n\0",
    b"ACK\nid:9\n\n\0",
    b"ACK\n\n\0",
    b"NACK\nid:-1\n\n\0",
    b"BEGIN\n\n\0",
    b"COMMIT\ntransaction:t\n\n\0",
    b"ABORT\ntransaction:t\n\n\0",
    b"CONNECT\naccept-version:1.2\nhost:h\n\n\0",
    b"MESSAGE\n\n\0",
    b"DISCONNECT\n\nbody\0",
    b"send\ndestination:/queue/a\n\nm\0",
    b" SEND\ndestination:/queue/a\n\nm\0",
]


@pytest.mark.parametrize("octets", MALFORMED, ids=repr)
def test_malformed_frames(watched: Watched, octets: bytes) -> None:
    """A bad frame gets ERROR and ends the session; later frames are ignored (STOMP-ERROR-001, -002, QSTOMP-DEST-1)."""
    late = b'SEND\ndestination:/topic/add-topic\n\n{"topicName":"late"}\0'
    with Stomp.connected(watched.server) as client:
        client.send(frame(TEXT, octets + late))
        assert client.refused()["message"]
    with Stomp.connected(watched.server) as other:
        other.say("SUBSCRIBE", {"id": "0", "destination": "/queue/a"})
        assert other.fence() == [], "something was sent to the queue"
    assert watched.state() == watched.before


@pytest.mark.parametrize(
    "octets",
    [
        b"SEND\ndestination:/queue/a\n\nm\0",
        b'SEND\ndestination:/topic/add-topic\n\n{"topicName":"bare"}\0',
        b"SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0",
        b"DISCONNECT\nreceipt:77\n\n\0",
        b"nonsense\n\n\0",
        b"CONNECT\naccept-version:3.0\n\n\0",
        b"CONNECT\naccept-version:1.2\nhost:h\nheart-beat:x\n\n\0",
    ],
)
def test_before_connecting(watched: Watched, octets: bytes) -> None:
    """The strict endpoint ignores frames before CONNECT (QSTOMP-BARE-2, STOMP-CONNECT-011)."""
    with Stomp.to(watched.server) as client:
        client.send(frame(TEXT, octets))
        client.refused()
    assert watched.state() == watched.before


USERS = {"user": ("alice:secret", "bob:with:colons:", "empty:")}


@pytest.mark.parametrize(("login", "passcode"), [("alice", "secret"), ("bob", "with:colons:"), ("empty", "")])
def test_logins(serve: Serve, login: str, passcode: str) -> None:
    """Configured users may connect; a passcode may have colons (STOMP-CONNECT-002)."""
    server = serve(**USERS)
    for path in ("/stomp", "/producer"):
        with Stomp.connected(server, path=path, login=login, passcode=passcode) as client:
            assert client.fence() == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"login": "alice"},
        {"passcode": "secret"},
        {"login": "alice", "passcode": "Secret"},
        {"login": "alice", "passcode": ""},
        {"login": "nobody", "passcode": "secret"},
        {"login": "bob", "passcode": "with"},
        {"login": "bob", "passcode": "with\\ccolons\\c"},
    ],
)
def test_refused_logins(serve: Serve, headers: dict[str, str]) -> None:
    """Bad logins get an ERROR that does not say which part was wrong, on every endpoint."""
    server = serve(**USERS)
    for path in ("/stomp", "/producer"):
        with Stomp.to(server, path) as client:
            client.say("CONNECT", {"accept-version": "1.2", "host": "h"} | headers)
            error = client.refused()
            assert error["message"] == "login refused"
            assert b"alice" not in error.body
    with Stomp.to(server, "/producer") as client:
        client.say("SEND", {"destination": "/queue/a"}, b"m")
        client.refused()
