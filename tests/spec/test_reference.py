"""Bodies, causes and paths of the reference server, checked against the text."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

import reference_server.server
from conformance.specification.schemas import problems
from reference_server.queue.broker import QueueBroker
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import Outcome
from reference_server.queue.refusal import CAUSES, Refusal
from reference_server.queue.settings import QueueSettings
from tests.spec.documents import ROOT, operations

CAUSE = re.compile(r"^\| `urn:stompliance:problem:([a-z-]+)` \| (\d{3}) \|", re.MULTILINE)
TABLE = {
    cause: int(status) for cause, status in CAUSE.findall((ROOT / "queue/refusals.md").read_text("utf-8"))
}
#: Calls of every operation of the table, each with the schema of its reply, None for an empty body.
RUN: list[tuple[str, dict[str, Any], int, str | None]] = [
    ("/topic/add-topic", {"topicName": "t", "partitions": 2, "partition_bytes": 50}, 200, "topic"),
    ("/addTopic", {"topicName": "u"}, 200, "topic"),
    ("/addTopic", {"topicName": "u"}, 409, "problem"),
    ("/addTopic", {"topicName": "u/v"}, 400, "problem"),
    ("/producer/publish/t", {"messageID": 1, "message": "m", "key": "k"}, 200, "publish-reply"),
    ("/publish/t", {"messageID": "1", "message": "m", "key": "k", "timestamp": 5}, 200, "publish-reply"),
    ("/publish/t", {"messageID": "1", "message": "m" * 50, "key": "k"}, 507, "problem"),
    ("/publish/nowhere", {"messageID": "1", "message": "m"}, 404, "problem"),
    ("/publish/t", {"message": "m"}, 400, "problem"),
    ("/consumer-group/add", {"consumer_group_name": "g"}, 200, "consumer-group-reply"),
    ("/consumer-group/add", {"consumer_group_name": "g"}, 200, "consumer-group-reply"),
    (
        "/consumer/register-consumer",
        {"consumer_group_name": "g", "consumer_name": "c"},
        200,
        "register-consumer-reply",
    ),
    ("/consumer/register-consumer", {"consumer_group_name": "g", "consumer_name": "c"}, 409, "problem"),
    ("/consumer/register-consumer", {"consumer_group_name": "h", "consumer_name": "d"}, 404, "problem"),
    ("/consumer/subscribe-topic", {"consumer_name": "c", "topic_list": "t"}, 200, "subscribe-reply"),
    ("/consumer/subscribe-topic", {"consumer_name": "c", "topic_list": "t,v"}, 404, "problem"),
    ("/consumer/poll", {"consumer_name": "c"}, 200, "poll-reply"),
    ("/consumer/poll", {"consumer_name": "c"}, 204, None),
    ("/consumer/poll", {"consumer_name": "c", "max_messages": 0}, 400, "problem"),
    ("/consumer/negative-acknowledgement", {"consumer_name": "c", "message_id": 1}, 202, None),
    ("/consumer/poll", {"consumer_name": "c", "max_messages": 3}, 200, "batch-poll-reply"),
    ("/consumer/acknowledgement", {"consumer_name": "c", "message_id": "1"}, 202, None),
    ("/consumer/acknowledgement", {"consumer_name": "c", "message_id": "1"}, 409, "problem"),
    ("/consumer/acknowledgement", {"consumer_name": "c", "message_id": "x"}, 400, "problem"),
    ("/consumer/heartbeat", {"consumer_name": "c"}, 202, None),
    ("/consumer/heartbeat", {"consumer_name": "d"}, 404, "problem"),
    ("/consumer/unsubscribe-topic", {"consumer_name": "c", "topic_list": "t"}, 202, None),
    ("/consumer/unregister-consumer", {"consumer_name": "c"}, 202, None),
    ("/topic/remove-topic", {"topicName": "t"}, 202, None),
    ("/topic/remove-topic", {"topicName": "t"}, 404, "problem"),
    ("/consumer-group/remove", {"consumer_group_name": "g"}, 202, None),
    ("/consumer-group/remove", {"consumer_group_name": "g"}, 404, "problem"),
]


def _check(outcome: Outcome, status: int, schema: str | None) -> None:
    assert outcome.status == status, outcome
    if schema is None:
        assert outcome.body == b""
    else:
        assert problems(schema, json.loads(outcome.body)) == []
        assert (outcome.content_type == "application/problem+json") == (schema == "problem")
    if outcome.acknowledgement is not None:
        assert problems("producer-acknowledgement", json.loads(outcome.acknowledgement.body)) == []


def test_every_reply_has_the_form_of_its_schema() -> None:
    """Every operation, with success and with a refusal, has a reply that is valid by its schema."""
    served = Operations(QueueBroker(QueueSettings()))
    for path, body, status, schema in RUN:
        outcome = served.perform(path, json.dumps(body).encode(), now=0.0)
        assert outcome is not None
        _check(outcome, status, schema)
    done = {re.sub(r"publish/\w+$", "publish/{topic}", path) for path, *_ in RUN}
    assert done == {operation.path for operation in operations()}


@pytest.mark.parametrize(
    ("path", "status", "schema"),
    [
        ("/topics", 200, "topics"),
        ("/topics/t", 200, "topic"),
        ("/consumer-groups/g", 200, "group"),
        ("/topics/nowhere", 404, "problem"),
        ("/consumer-groups/nobody", 404, "problem"),
    ],
)
def test_what_can_be_read_has_the_form_of_its_schema(path: str, status: int, schema: str) -> None:
    """INTRO-TOPICS-1, INTRO-TOPIC-1, INTRO-GROUP-1, INTRO-UNKNOWN-1, with a record in flight."""
    served = Operations(QueueBroker(QueueSettings()))
    for operation, body, _, _ in RUN[:17]:
        served.perform(operation, json.dumps(body).encode(), now=0.0)
    _check(served.read(path, now=0.0), status, schema)


@pytest.mark.parametrize("cause", CAUSES)
def test_causes_of_the_queue_are_in_the_table(cause: str) -> None:
    """REFUSE-3: each cause has the status and the URN of the table."""
    assert TABLE[cause] == CAUSES[cause][0]
    document = json.loads(Refusal(cause, "detail", "member").problem())
    assert document["type"] == f"urn:stompliance:problem:{cause}"
    assert problems("problem", document) == []


def test_causes_of_the_http_layer_are_in_the_table() -> None:
    """REFUSE-3: every problem that the HTTP layer reports has the status and the cause of the table."""
    made: dict[str, int] = {}
    for path in sorted(Path(reference_server.server.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "problem":
                status, cause = (argument.value for argument in node.args[:2])  # type: ignore[attr-defined]
                made[cause] = status
    assert made
    assert {cause: TABLE.get(cause) for cause in made} == made
    assert set(TABLE) == set(made) | set(CAUSES)
