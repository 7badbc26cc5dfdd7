"""Plain destinations and limits of frames that a server declares in its capabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.bench.bench import Bench
from conformance.specification.schemas import problems
from conformance.targets.files import GENERIC, TargetFile
from conformance.targets.target import Target, from_file, with_capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping


def _declaring(destinations: object, file: TargetFile = GENERIC) -> Target:
    return with_capabilities(from_file(file, "ws://h/"), {"destinations": destinations})


def test_declared_destinations_go_before_those_of_the_file() -> None:
    """Templates, the refused destination and redelivery are those of the capabilities."""
    file = TargetFile(
        name="t", queue="/q/{name}", topic="/t/{name}", refused="/no", facts={"redelivers": True}
    )
    declared = {"queue": "jobs.{name}", "topic": "news.{name}.x", "refused": "nirvana", "redelivers": False}
    target = _declaring(declared, file)
    assert target.plain_queue("a") == "jobs.a"
    assert target.plain_topic("a") == "news.a.x"
    assert target.refused_destination == "nirvana"
    assert not target.fact("redelivers")
    assert not problems("capabilities", {"destinations": declared})


@pytest.mark.parametrize("topic", [{}, {"topic": "news.{name}"}], ids=["usual topic", "other topic"])
def test_a_server_without_queues_is_tried_with_topics(topic: dict[str, str]) -> None:
    """A declared queue of null is no queue: tests of both kinds use topics."""
    target = _declaring({"queue": None, **topic})
    assert not target.fact("queues")
    assert target.plain_queue("a") == target.plain_topic("a")
    assert not problems("capabilities", {"destinations": {"queue": None, **topic}})


@pytest.mark.parametrize(
    "declared",
    [
        {},
        [],
        "/queue/{name}",
        {"queue": "/queue/jobs", "topic": 7, "redelivers": "no", "refused": ""},
        {"queue": "{name}{name}", "topic": None, "redelivers": None, "refused": ["/nowhere"]},
        {"queue": "{name}{other}", "refused": "/no\nwhere"},
    ],
    ids=repr,
)
def test_what_is_no_destination_changes_nothing(declared: object) -> None:
    """Members of a wrong form are left out; CAP-1 judges them."""
    target = _declaring(declared)
    assert (target.plain_queue("a"), target.plain_topic("a")) == ("/queue/a", "/topic/a")
    assert target.refused_destination == ""
    assert target.fact("redelivers")
    assert target.fact("queues")


@pytest.mark.parametrize(
    ("declared", "by_http", "by_stomp"),
    [
        ({"body_bytes": 10}, 10, 10),
        ({"body_bytes": 10, "stomp_body_bytes": 20}, 10, 20),
        ({"stomp_body_bytes": 20}, None, 20),
        ({}, None, None),
    ],
    ids=repr,
)
@pytest.mark.parametrize("binding", ["queue-http", "queue-stomp", "stomp-publish", "stomp-1.0", "websocket"])
def test_a_limit_of_frames_goes_before_that_of_both(
    declared: Mapping[str, int], by_http: int | None, by_stomp: int | None, binding: str
) -> None:
    """The limit of a binding to STOMP is that of frames, where the server declares one."""
    bench: Any = object.__new__(Bench)
    bench.target, bench.binding = (
        with_capabilities(from_file(GENERIC, "ws://h/"), {"limits": declared}),
        binding,
    )
    assert bench.limit("body_bytes") == (by_http if binding == "queue-http" else by_stomp)
