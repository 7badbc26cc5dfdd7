"""Refusals: a clear answer for each cause, and unchanged state (REFUSE-1)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reference_server.queue.refusal import CAUSES
from tests.queue_core.core import Core
from tests.queue_core.test_operations import PATHS

MEMBERS: dict[str, dict[str, Any]] = {
    "/topic/add-topic": {"topicName": "fresh"},
    "/addTopic": {"topicName": "fresh"},
    "/producer/publish/{topic}": {"messageID": "1", "message": "m"},
    "/publish/{topic}": {"messageID": "1", "message": "m"},
    "/consumer-group/add": {"consumer_group_name": "fresh"},
    "/consumer-group/remove": {"consumer_group_name": "g"},
    "/consumer/register-consumer": {"consumer_group_name": "g", "consumer_name": "fresh"},
    "/consumer/unregister-consumer": {"consumer_name": "c"},
    "/consumer/subscribe-topic": {"consumer_name": "c", "topic_list": "news"},
    "/consumer/unsubscribe-topic": {"consumer_name": "c", "topic_list": "news"},
    "/consumer/poll": {"consumer_name": "c"},
    "/consumer/acknowledgement": {"consumer_name": "c", "message_id": 1},
    "/consumer/negative-acknowledgement": {"consumer_name": "c", "message_id": 1},
    "/consumer/heartbeat": {"consumer_name": "c"},
}
"""Required members of each operation."""

OPTIONAL: list[tuple[str, str]] = [
    ("/topic/add-topic", "partitions"),
    ("/topic/add-topic", "partition_bytes"),
    ("/producer/publish/{topic}", "key"),
    ("/producer/publish/{topic}", "timestamp"),
    ("/consumer/poll", "max_messages"),
    ("/consumer/poll", "wait_seconds"),
]
WRONG: dict[str, list[Any]] = {
    "messageID": [None, True, 1.5, [], {}, 2**63, -(2**63) - 1],
    "message": [None, True, 1, [], {}],
    "key": [True, 1, [], {}],
    "timestamp": [True, [], {}],
    "message_id": [None, True, 1.5, [], {}],
    "partitions": [None, True, 0, -1, 2.5, "3", [], {}, 10**12],
    "partition_bytes": [None, True, 0, -1, 2.5, "3", [], {}, 10**12],
    "max_messages": [None, True, 0, -1, 1.5, "2", [], {}, 10**6],
    "wait_seconds": [None, True, -1, "5", [], {}, 10**6],
}
"""Invalid values of members; members that are missing here are strings."""
NO_STRING: list[Any] = [None, True, 1, 1.5, [], {}]


@pytest.fixture
def core() -> Core:
    """A queue with a record in flight, a waiting one, and a committed one."""
    core = Core()
    core.topic("news", 2)
    core.topic("other", 1)
    core.join("g", "c", "news")
    core.join("g", "d", "news")
    core.join("h", "e", "news", "other")
    core.fill("news", 2, 3)
    core.acknowledge("c", core.poll("c"))
    core.poll("c")
    return core


def refused(core: Core, path: str, body: bytes) -> Any:
    """Assert that an operation is refused by the rules; returns the problem."""
    before = core.picture()
    reply = core.raw(path, body)
    assert core.picture() == before
    status, title = CAUSES[reply.cause]
    assert (reply.status, reply.body["status"], reply.body["title"]) == (status, status, title)
    assert reply.outcome.content_type == "application/problem+json"
    assert reply.body["detail"]
    assert reply.body["type"] == f"urn:stompliance:problem:{reply.cause}"
    return reply.body


def cause(problem: Any) -> str:
    return str(problem["type"]).rpartition(":")[2]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"{",
        b'{"a":}',
        b"{} {}",
        b"\xff\xfe",
        b'{"consumer_name":"\xff"}',
        b"NaN",
        b"[" * 5000,
    ],
)
def test_a_body_that_is_not_json(core: Core, path: str, body: bytes) -> None:
    """A body that is not JSON is refused by 400 (REFUSE-5)."""
    assert cause(refused(core, path.format(topic="news"), body)) == "body-not-json"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "octets", [b"\xff", b"\xed\xa0\x80", b"\xc0\xaf"], ids=["stray", "half a pair", "overlong"]
)
def test_a_member_that_is_skipped_is_not_utf8(core: Core, path: str, octets: bytes) -> None:
    """Unknown members are part of the body, too: they must be UTF-8 (REFUSE-5)."""
    body = json.dumps(MEMBERS[path]).encode()[:-1] + b', "unknown": "' + octets + b'"}'
    assert cause(refused(core, path.format(topic="news"), body)) == "body-not-json"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [b"[]", b'["consumer_name"]', b'"text"', b"1", b"null", b"true"])
def test_a_body_that_is_no_object(core: Core, path: str, body: bytes) -> None:
    """A body that is not an object is refused by 400 (REFUSE-5)."""
    assert cause(refused(core, path.format(topic="news"), body)) == "body-not-object"


@pytest.mark.parametrize(("path", "name"), [(path, name) for path in PATHS for name in MEMBERS[path]])
def test_a_missing_member(core: Core, path: str, name: str) -> None:
    """A missing member is refused by 400, and the refusal names it (REFUSE-6)."""
    members = {key: value for key, value in MEMBERS[path].items() if key != name}
    problem = refused(core, path.format(topic="news"), json.dumps(members).encode())
    assert (cause(problem), problem["member"]) == ("member-missing", name)


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        (path, name, value)
        for path, name in [(path, name) for path in PATHS for name in MEMBERS[path]] + OPTIONAL
        for value in WRONG.get(name, NO_STRING)
    ],
)
def test_a_member_of_a_wrong_type_or_value(core: Core, path: str, name: str, value: Any) -> None:
    """A member of a wrong type or value is refused by 400, and the refusal names it (REFUSE-6)."""
    members = MEMBERS[path] | {name: value}
    problem = refused(core, path.format(topic="news"), json.dumps(members).encode())
    assert cause(problem) in {"member-type", "member-value"}
    assert problem["member"] == name


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("/topic/add-topic", "topicName"),
        ("/consumer-group/add", "consumer_group_name"),
        ("/consumer/register-consumer", "consumer_name"),
    ],
)
@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/b",
        "/",
        "a,b",
        "a b",
        "a\n",
        "\0",
        "\x7f",
        "é",
        "日本",
        "x" * 129,
        "x" * 1000,
        "a%2Fb",
    ],
)
def test_a_name_that_is_none(core: Core, path: str, member: str, name: str) -> None:
    """An invalid name is refused by 400 (NAME-2, NAME-3, NAME-4)."""
    problem = refused(core, path, json.dumps(MEMBERS[path] | {member: name}).encode())
    assert (cause(problem), problem["member"]) == ("name-invalid", member)
    assert len(problem["detail"]) < 400


@pytest.mark.parametrize("name", ["a", "A-Z.0_9", "...", "a..b", "-", "x" * 128])
def test_names(core: Core, name: str) -> None:
    """Any allowed characters make a name (NAME-1), and each kind has its own names."""
    core.topic(name)
    core.join(name, name, name)
    core.publish(name)
    assert core.poll(name)["message"]["topicName"] == name


def test_names_that_are_taken(core: Core) -> None:
    """Adding a topic or a consumer with a taken name is refused by 409 (TOPIC-ADD-2, MEMBER-REGISTER-4)."""
    for members in ({}, {"partitions": 7}, {"partitions": 2}):
        body = json.dumps({"topicName": "news"} | members).encode()
        assert cause(refused(core, "/topic/add-topic", body)) == "topic-exists"
    for group in ("g", "h"):
        body = json.dumps({"consumer_group_name": group, "consumer_name": "c"}).encode()
        assert cause(refused(core, "/consumer/register-consumer", body)) == "consumer-exists"


@pytest.mark.parametrize("name", ["missing", "", "x" * 1000, "é", "a/b", ".."])
def test_unknown_topics(core: Core, name: str) -> None:
    """Publishing and subscribing to an unknown topic are refused by 404 (PUB-TOPIC-1, MEMBER-SUBSCRIBE-2)."""
    problem = refused(core, f"/producer/publish/{name}", b'{"messageID":"1","message":"m"}')
    assert cause(problem) == "topic-unknown"
    for path in ("/consumer/subscribe-topic", "/consumer/unsubscribe-topic"):
        for topics in (name, f"other,{name}", f"{name},news"):
            body = json.dumps({"consumer_name": "d", "topic_list": topics}).encode()
            assert refused(core, path, body)["member"] == "topic_list"


@pytest.mark.parametrize("topics", ["", ",", "news,", ",news", "news,,other", " "])
def test_lists_with_nothing_between_commas(core: Core, topics: str) -> None:
    """An empty list or item is refused, whatever else the list holds."""
    for path in ("/consumer/subscribe-topic", "/consumer/unsubscribe-topic"):
        body = json.dumps({"consumer_name": "d", "topic_list": topics}).encode()
        assert cause(refused(core, path, body)) == "member-value"


@pytest.mark.parametrize("path", [path for path in PATHS if "consumer_name" in MEMBERS[path]])
def test_unknown_consumers(core: Core, path: str) -> None:
    """Every operation of a consumer that is not registered is refused by 404."""
    if path == "/consumer/register-consumer":
        body = json.dumps({"consumer_group_name": "missing", "consumer_name": "fresh"}).encode()
        assert cause(refused(core, path, body)) == "group-unknown"
        return
    for name in ("fresh", "", "é", "g"):
        body = json.dumps(MEMBERS[path] | {"consumer_name": name}).encode()
        assert cause(refused(core, path, body)) == "consumer-unknown"


def test_an_unknown_group(core: Core) -> None:
    """Removing an unknown group is refused (GROUP-REMOVE-4)."""
    assert cause(refused(core, "/consumer-group/remove", b'{"consumer_group_name":"x"}')) == "group-unknown"


@pytest.mark.parametrize("path", ["/consumer/acknowledgement", "/consumer/negative-acknowledgement"])
@pytest.mark.parametrize(
    "value",
    [-1, -(2**70), 2**63, 10**30, "", "x", "abc", "-1", "+1", " 1", "1.0", "1e3", "٣", "9" * 19, "9" * 5000],
)
def test_ids_that_are_none(core: Core, path: str, value: object) -> None:
    """Negative and huge ids, and letters, are refused by 400 (ACK-BAD-1)."""
    body = json.dumps({"consumer_name": "c", "message_id": value}).encode()
    problem = refused(core, path, body)
    assert (cause(problem), problem["member"]) == ("member-value", "message_id")


@pytest.mark.parametrize("path", ["/consumer/acknowledgement", "/consumer/negative-acknowledgement"])
def test_records_that_are_not_in_flight_with_the_consumer(core: Core, path: str) -> None:
    """Unknown, foreign and settled ids are refused by 409 (ACK-UNKNOWN-1, ACK-OTHER-1, NACK-UNKNOWN-1)."""
    body = b'{"consumer_name":"%b","message_id":%d}'
    (held,) = core.broker.consumers["c"].held
    for name in (b"d", b"e"):
        assert cause(refused(core, path, body % (name, held))) == "not-in-flight"
    for number in (0, 999, 2**63 - 1):
        assert cause(refused(core, path, body % (b"c", number))) == "not-in-flight"
    assert core.raw(path, body % (b"c", held)).status == 202
    assert cause(refused(core, path, body % (b"c", held))) == "not-in-flight"


@pytest.mark.parametrize(
    ("topic", "body", "label"),
    [
        ("missing", b'{"messageID":"a-1","message":"m"}', "a-1"),
        ("news", b'{"messageID":7}', 7),
        ("news", b'{"messageID":true,"message":"m"}', None),
        ("news", b'{"messageID":1.5,"message":"m"}', None),
        ("news", b'{"messageID":36893488147419103232,"message":"m"}', None),
        ("news", b'{"message":"m"}', None),
        ("news", b"[]", None),
        ("news", b"nonsense", None),
        ("news", b"[" * 100_000, None),
    ],
)
def test_what_the_producer_is_told(core: Core, topic: str, body: bytes, label: object) -> None:
    """A refused record gets FAILED, with a reason and, if it can be echoed, the label (PUB-ACK-3)."""
    acknowledgement = core.raw(f"/producer/publish/{topic}", body).outcome.acknowledgement
    assert acknowledgement is not None
    assert acknowledgement.topic == topic
    told = json.loads(acknowledgement.body)
    assert told.pop("reason")
    assert told == {"messageId": label, "acknowledgementMessage": "FAILED"}


def test_half_a_pair(core: Core) -> None:
    """A lone surrogate is no text; the refusal names the fault (PUB-TEXT-1)."""
    problem = refused(core, "/publish/news", rb'{"messageID":"1","message":"\ud800"}')
    assert cause(problem) == "body-not-json"
    assert "pairs" in problem["detail"]
