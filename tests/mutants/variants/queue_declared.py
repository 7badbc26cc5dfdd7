"""Oddities in capabilities and extensions: few, none, other numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.server import http, running
from reference_server.server.http import HttpBinding
from tests.mutants.editing import edit_requests, topic_of
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, variant

if TYPE_CHECKING:
    from collections.abc import Collection

    from reference_server.queue.outcomes import Outcome
    from reference_server.server.requests import Request

_QUICK = ("--heartbeat-timeout", "1", "--eviction-grace", "0.5", "--rebalance-timeout", "1")
_VIRTUAL = ("virtual-clock", "virtual-clock-per-group")


def _declare(change: Any) -> None:
    @wrap(running, "describe")
    def describe(original: Any, *arguments: Any, **named: Any) -> bytes:
        document = msgspec.json.decode(original(*arguments, **named))
        return msgspec.json.encode(change(document))


def _only(*extensions: str) -> None:
    """Declare these extensions and no others; the other ones are ignored or missing."""

    def change(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "extensions": [name for name in document["extensions"] if name in extensions]}

    _declare(change)
    _drop_members(extensions)
    _hide_paths(extensions)


def _drop_members(extensions: Collection[str]) -> None:
    members = {
        "topic-partitions": ("/topic/add-topic", "partitions"),
        "topic-limits": ("/topic/add-topic", "partition_bytes"),
        "batch-poll": ("/consumer/poll", "max_messages"),
        "long-poll": ("/consumer/poll", "wait_seconds"),
    }
    for extension, (path, member) in members.items():
        if extension not in extensions:
            edit_requests(path, lambda body, member=member: body.pop(member, None))


def _hide_paths(extensions: Collection[str]) -> None:
    hidden = {
        "negative-acknowledgement": "/consumer/negative-acknowledgement",
        "unregister": "/consumer/unregister-consumer",
    }
    paths = {path for extension, path in hidden.items() if extension not in extensions}

    @wrap(http, "is_readable")
    def is_readable(original: Any, path: str) -> bool:
        return "introspection" in extensions and bool(original(path))

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Request, transport: Any) -> Outcome | None:
        if request.path in paths or ("http-publish" not in extensions and topic_of(request.path) is not None):
            request.path = "/nothing/here"
        if "virtual-clock" not in extensions and request.path == http.ADVANCE:
            request.path = "/nothing/here"
        response: Outcome | None = original(self, request, transport)
        return response


@variant(
    "The document of capabilities may be missing as a whole.",
    bindings=HTTP,
    flags=_QUICK,
    options=("--class", "queue-stomp", *_QUICK),
)
def nothing_is_declared_over_http() -> None:
    """The server has no capabilities document: classes and timings are options of the suite."""
    _hide_capabilities()


@variant(
    "The document of capabilities may be missing as a whole.", bindings=STOMP, flags=_QUICK, options=_QUICK
)
def nothing_is_declared_over_stomp() -> None:
    """The server has no capabilities document: class and timings are options of the suite."""
    _hide_capabilities()


def _hide_capabilities() -> None:
    _only()

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Request, transport: Any) -> Outcome | None:
        if request.path == http.CAPABILITIES:
            request.path = "/nothing/here"
        response: Outcome | None = original(self, request, transport)
        return response


@variant("Every member of the capabilities may be missing.", bindings=HTTP)
def only_a_clock_is_declared() -> None:
    """The capabilities hold only extensions, and these are only those of the clock."""
    _only(*_VIRTUAL)
    _declare(lambda document: {"extensions": document["extensions"]})


@variant("A clock may be there without one for each group.", bindings=STOMP)
def all_groups_have_one_clock() -> None:
    """The virtual clock advances all groups together."""

    def change(document: dict[str, Any]) -> dict[str, Any]:
        extensions = [name for name in document["extensions"] if name != "virtual-clock-per-group"]
        return {**document, "extensions": extensions}

    _declare(change)


@variant("Publishing over HTTP is an extension.", bindings=HTTP)
def records_come_over_stomp_only() -> None:
    """Records can't be published over HTTP, and publishing returns no positions."""
    _only("topic-partitions", "introspection", "batch-poll", "long-poll", "unregister", *_VIRTUAL)


@variant(
    "The number of partitions is the server's.", bindings=HTTP, flags=("--virtual-clock", "--partitions", "1")
)
def topics_have_one_partition() -> None:
    """A topic without `partitions` has one partition."""


@variant(
    "The number of partitions is the server's.",
    bindings=STOMP,
    flags=("--virtual-clock", "--partitions", "13", "--brokers", "1"),
)
def topics_have_thirteen_partitions() -> None:
    """A topic without `partitions` has thirteen, all on one broker."""


@variant(
    "Limits are the server's (capabilities).",
    bindings=HTTP,
    flags=(
        "--virtual-clock", "--topic-partitions", "8", "--poll-messages", "2", "--wait-seconds", "1",
        "--body-bytes", "30000", "--headers", "20", "--header-bytes", "4000", "--brokers", "5",
    ),
)  # fmt: skip
def limits_are_narrow() -> None:
    """Few partitions, batches of two, long polls of at most a second, small bodies and headers."""
