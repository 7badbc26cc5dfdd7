"""JSON Schemas: their form, and documents of the reference server."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from conformance.specification.schemas import problems
from reference_server.config import Settings
from reference_server.server.capabilities import describe
from tests.spec.documents import ROOT, read_yaml, references

SCHEMAS = sorted((ROOT / "schemas").glob("*.json"))
#: Schemas of documents that the suite writes, not a server.
OF_THE_SUITE = {"failure-record", "history", "report"}
BODIES = [path for path in SCHEMAS if path.stem not in OF_THE_SUITE]

RECORD = {
    "messageId": 17,
    "message": {"message": "1:0", "key": None, "topicName": "news", "timestamp": 1.5},
}
VALID: list[tuple[str, Any]] = [
    ("name", "a"),
    ("name", "..."),
    ("name", "n" * 300),
    ("name", "主题"),
    ("message-id", 0),
    ("message-id", 2**63 - 1),
    ("message-id", "0017"),
    ("label", ""),
    ("label", -1),
    ("publish-request", {"messageID": 1, "message": ""}),
    ("publish-request", {"messageID": "1", "message": "m", "key": None, "timestamp": None}),
    ("subscription-request", {"consumer_name": "c", "topic_list": "a,b,c"}),
    ("poll-request", {"consumer_name": "c", "wait_seconds": 0.5, "max_messages": 3, "more": []}),
    ("poll-reply", RECORD),
    ("poll-reply", {**RECORD, "messageID": "a", "partition": 0, "offset": 0, "redelivered": True, "x": 1}),
    ("batch-poll-reply", {"records": [RECORD]}),
    ("producer-acknowledgement", {"messageId": 7, "acknowledgementMessage": "ACK"}),
    ("producer-acknowledgement", {"messageId": None, "acknowledgementMessage": "FAILED", "reason": "r"}),
    ("producer-acknowledgement", {"acknowledgementMessage": "FAILED", "reason": "r"}),
    ("capabilities", {}),
    ("capabilities", {"limits": {"anything": 0.5}, "classes": ["of tomorrow"]}),
]
INVALID: list[tuple[str, Any]] = [
    *[("name", name) for name in ["", ".", "..", "a/b", "a,b", "a\n", "\x7f", 7, None]],
    *[("message-id", value) for value in [-1, 2**63, 1.5, "", "-1", "1.5", "17\n", "x", True, None, []]],
    *[("label", value) for value in [None, 1.5, [], {}, True]],
    ("add-topic-request", {}),
    *[
        ("add-topic-request", {"topicName": "t", "partitions": count})
        for count in [0, -1, 2.5, "3", True, None]
    ],
    ("publish-request", {"message": "m"}),
    ("publish-request", {"messageID": "1"}),
    ("publish-request", {"messageID": "1", "message": "m", "key": 7}),
    *[
        ("subscription-request", {"consumer_name": "c", "topic_list": t})
        for t in ["", ",", "a,", "a,,b", "a,\n"]
    ],
    ("poll-request", {"consumer_name": "c", "wait_seconds": -1}),
    ("poll-request", {"consumer_name": "c", "max_messages": 0}),
    ("poll-reply", {"messageId": "17", "message": RECORD["message"]}),
    ("poll-reply", {"messageId": 17, "message": "1:0"}),
    ("batch-poll-reply", {"records": []}),
    ("producer-acknowledgement", {"acknowledgementMessage": "ACK"}),
    ("producer-acknowledgement", {"messageId": 7, "acknowledgementMessage": "FAILED"}),
    ("producer-acknowledgement", {"messageId": 7, "acknowledgementMessage": "MAYBE", "reason": "r"}),
    ("problem", {"type": "about:blank", "title": "t", "status": 200, "detail": "d"}),
    ("capabilities", []),
    ("capabilities", {"extensions": "long-poll"}),
    ("capabilities", {"timings": {"heartbeat_timeout": "30 s"}}),
]


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_a_schema_is_one(path: Path) -> None:
    """A schema is valid JSON Schema 2020-12 with title and description, and its references resolve."""
    schema = json.loads(path.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"]
    assert schema["description"]
    for ref in references(schema):
        assert ref.startswith("#") or (path.parent / ref).is_file(), ref


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.stem)
def test_a_schema_of_a_body_is_open(path: Path) -> None:
    """No schema forbids further members of requests and replies (REFUSE-4)."""
    text = path.read_text("utf-8")
    assert '"additionalProperties": false' not in text
    assert "unevaluatedProperties" not in text


def test_every_schema_of_a_body_is_used() -> None:
    """Each schema is used by an API description or by another schema."""
    used = references(read_yaml("openapi.yaml")) + references(read_yaml("asyncapi.yaml"))
    used += [ref for path in BODIES for ref in references(json.loads(path.read_text("utf-8")))]
    assert {path.name for path in BODIES} == {ref.rpartition("/")[2] for ref in used if ref.endswith(".json")}


@pytest.mark.parametrize(("name", "body"), VALID)
def test_what_a_schema_takes(name: str, body: Any) -> None:
    """Bodies that the text allows are valid."""
    assert problems(name, body) == []


@pytest.mark.parametrize(("name", "body"), INVALID)
def test_what_a_schema_refuses(name: str, body: Any) -> None:
    """Bodies that the text forbids are invalid."""
    assert problems(name, body) != []


@pytest.mark.parametrize("clock", [False, True])
def test_what_the_reference_server_declares_is_valid(*, clock: bool) -> None:
    """CAP-1: the declaration is valid, and the chapter explains each of its members."""
    settings = Settings(virtual_clock=clock)
    declared = json.loads(describe(settings, name="n", version="1"))
    assert problems("capabilities", declared) == []
    chapter = (ROOT / "queue/capabilities.md").read_text("utf-8")
    for name in (*declared["limits"], *declared["timings"], *declared["defaults"], *declared["endpoints"]):
        assert f"`{name}`" in chapter or f'"{name}"' in chapter, name
