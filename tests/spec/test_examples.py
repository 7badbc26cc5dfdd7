"""Examples of the text: bodies are valid by their schemas, lengths count octets."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from conformance.specification.schemas import problems
from tests.spec.documents import CHAPTERS, QUEUE, ROOT, Fence, fences, name_of, read_yaml

REQUESTS = {
    path: Path(item["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]).stem
    for path, item in read_yaml("openapi.yaml")["paths"].items()
    if "post" in item
}
REPLIES = {
    path: Path(schema["$ref"]).stem
    for path, item in read_yaml("openapi.yaml")["paths"].items()
    for method, operation in item.items()
    if method in {"get", "post"}
    for schema in [
        operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema")
    ]
    if schema and "$ref" in schema
}
_PATH = re.compile(r"(?<![\w/])(?:/[a-zA-Z-]+){1,3}")
_ARROW = re.compile(r"→ ([2-5][0-9]{2}) +$")
_ACKNOWLEDGEMENT = re.compile(r"/topic/acknowledge?ment/\w+$")


class Example(NamedTuple):
    """A JSON object in a fence, and the name of its schema."""

    schema: str
    body: Any


def _path_before(text: str) -> str:
    """Row of the table for the nearest path before; "" if there is none."""
    for path in reversed(_PATH.findall(text)):
        if _ACKNOWLEDGEMENT.match(path):
            return "acknowledgement"
        if path in REQUESTS or path in REPLIES:
            return str(path)
        row = f"{path.rpartition('/')[0]}/{'{group}' if 'groups' in path else '{topic}'}"
        if row in REQUESTS or row in REPLIES:
            return row
    return ""


def _schema(before: str, body: Any) -> str:
    path = _path_before(before)
    arrow = _ARROW.search(before)
    frame = max(before.rfind("MESSAGE"), before.rfind("SEND"), before.rfind("HTTP/1.1"))
    if (arrow and int(arrow[1]) >= 400) or "application/problem+json" in before[max(frame, 0) :]:
        return "problem"
    if path == "acknowledgement":
        return "producer-acknowledgement"
    if arrow or before[frame:].startswith("MESSAGE"):
        if path in {"/consumer/poll", ""} or before[frame:].startswith("MESSAGE"):
            return "batch-poll-reply" if "records" in body else "poll-reply"
        return REPLIES[path]
    return REQUESTS[path]


def examples(fence: Fence) -> list[Example]:
    """Complete JSON objects of a fence; objects with an ellipsis (…) are skipped."""
    text = re.sub(r"^[<>] ?", "", fence.text, flags=re.MULTILINE)
    found, position = [], 0
    while (start := text.find("{", position)) >= 0:
        position = start + 1
        if re.match(r"\{[\w-]+\}", text[start:]):
            continue  # a placeholder in a path or a name
        try:
            body, length = json.JSONDecoder().raw_decode(text[start:])
        except ValueError:
            assert "…" in text[start:], text[start : start + 80]
            depth = 0
            for index in range(start, len(text)):
                depth += {"{": 1, "}": -1}.get(text[index], 0)
                if depth == 0:
                    position = index + 1
                    break
            continue
        found.append(Example(_schema(re.sub(r"\s+$", " ", text[:start]), body), body))
        position = start + length
    return found


@pytest.mark.parametrize("path", QUEUE, ids=name_of)
def test_bodies_fit_their_schemas(path: Path) -> None:
    """Every JSON object in an exchange is valid by the schema of its operation."""
    for fence in fences(path):
        if fence.language == "json":
            continue
        for example in examples(fence):
            if example.schema.endswith("-request") and path.name == "refusals.md":
                continue  # requests in this chapter are invalid on purpose
            assert problems(example.schema, example.body) == [], example


def test_the_examples_were_found() -> None:
    """Examples of most schemas are found."""
    seen = Counter(
        example.schema
        for path in QUEUE
        for fence in fences(path)
        if not fence.language
        for example in examples(fence)
    )
    assert seen.total() >= 50
    assert {
        "add-topic-request",
        "publish-request",
        "poll-reply",
        "problem",
        "producer-acknowledgement",
    } <= set(seen)
    assert {"topic", "group", "publish-reply", "settlement-request", "clock-advance-reply"} <= set(seen)


def test_json_blocks_fit_their_schemas() -> None:
    """The acknowledgements in the chapter on publishing, and the capabilities document, are valid."""
    (acknowledgements,) = [f.text for f in fences(ROOT / "queue/publishing.md") if f.language == "json"]
    for line in acknowledgements.splitlines():
        assert problems("producer-acknowledgement", json.loads(line)) == []
    (document,) = [f.text for f in fences(ROOT / "queue/capabilities.md") if f.language == "json"]
    assert problems("capabilities", json.loads(document)) == []


@pytest.mark.parametrize("path", CHAPTERS, ids=name_of)
def test_lengths_count_the_octets_of_bodies(path: Path) -> None:
    """`content-length` is right in frames that are complete and in HTTP messages."""
    for fence in fences(path):
        for block in re.split(r"\n(?=[<>] [A-Z]+(?:\n| /|/1\.1))", f"\n{fence.text}"):
            text = re.sub(r"^[<>] ?", "", block, flags=re.MULTILINE)
            announced = re.search(r"^content-length: ?([0-9]+)$", text, re.MULTILINE | re.IGNORECASE)
            head, empty, rest = text.partition("\n\n")
            if not announced or not empty or not rest:
                continue
            body, nul, _ = rest.partition("^@")
            if not nul and "HTTP/1.1" not in head:
                continue
            body = body if nul else body.removesuffix("\n")
            assert int(announced[1]) == len(body.encode()), text
