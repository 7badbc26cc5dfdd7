"""Faults in introspection, in the virtual clock and in the capabilities."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue import introspection, operations
from reference_server.queue.broker import QueueBroker
from reference_server.queue.outcomes import Outcome
from reference_server.queue.refusal import Refusal
from reference_server.server import running
from reference_server.server.application import Application
from reference_server.server.clock import VirtualClock, wall
from reference_server.server.http import HttpBinding
from tests.mutants.editing import as_object
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from reference_server.queue.group import Group
    from reference_server.server.requests import Request
    from reference_server.server.transport import Transport


@fault("INTRO-TOPICS-1", bindings=HTTP)
def the_list_of_topics_has_names_only() -> None:
    """GET /topics lists names instead of topics."""

    @wrap(introspection, "describe_topics")
    def describe(original: Any, queue: QueueBroker) -> dict[str, Any]:
        del original
        return {"topics": sorted(queue.topics)}


@fault("INTRO-TOPICS-1", bindings=HTTP)
def the_list_of_topics_is_cut() -> None:
    """GET /topics lists the twenty oldest topics."""

    @wrap(introspection, "describe_topics")
    def describe(original: Any, queue: QueueBroker) -> dict[str, Any]:
        return {"topics": original(queue)["topics"][:20]}


def _edit_group(edit: Any) -> None:
    """Have `edit(group, document)` change the document of GET /consumer-groups/{group}."""

    @wrap(introspection, "describe_group")
    def describe(original: Any, group: Group) -> dict[str, Any]:
        document: dict[str, Any] = original(group)
        edit(group, document)
        return document


@fault("INTRO-GROUP-1", bindings=HTTP)
def the_lag_counts_what_is_in_flight_as_done() -> None:
    """The lag of a partition with a record in flight is one too small."""

    def edit(_group: Group, document: dict[str, Any]) -> None:
        for row in document["assignment"]:
            if row["inFlight"] is not None:
                row["lag"] -= 1

    _edit_group(edit)


@fault("INTRO-GROUP-1", bindings=HTTP)
def partitions_without_lag_are_not_listed() -> None:
    """A partition whose records are all acknowledged is missing from the assignment."""

    def edit(_group: Group, document: dict[str, Any]) -> None:
        document["assignment"] = [row for row in document["assignment"] if row["lag"] or not row["committed"]]

    _edit_group(edit)


@fault("INTRO-GROUP-1", bindings=HTTP)
def members_without_partitions_are_not_listed() -> None:
    """A member that owns nothing is missing from the members."""

    def edit(group: Group, document: dict[str, Any]) -> None:
        rows = document["members"]
        document["members"] = [row for row in rows if group.members[row["consumer_name"]].assigned]

    _edit_group(edit)


@fault("INTRO-UNKNOWN-1", bindings=HTTP)
def unknown_groups_are_empty() -> None:
    """GET of an unknown group is answered 200 with an empty group."""

    @wrap(operations, "describe")
    def describe(original: Any, queue: QueueBroker, path: str) -> dict[str, Any]:
        try:
            document: dict[str, Any] = original(queue, path)
        except Refusal as refusal:
            if refusal.cause != "group-unknown":
                raise
            return {"consumer_group_name": path.rpartition("/")[2], "members": [], "assignment": []}
        return document


@fault("CLOCK-1", bindings=HTTP)
def the_clock_moves_by_half() -> None:
    """The queue's time advances by half of the requested seconds."""

    @wrap(VirtualClock, "advance")
    def advance(original: Any, self: VirtualClock, seconds: float) -> float:
        return float(original(self, seconds / 2))


@fault("CLOCK-1", bindings=STOMP)
def the_clock_answers_before_it_moves() -> None:
    """The queue's time advances a moment after the reply."""

    @wrap(Application, "advance")
    def advance(original: Any, self: Application, body: bytes) -> Outcome:
        document = as_object(body) or {}
        if set(document) != {"seconds"}:
            outcome: Outcome = original(self, body)
            return outcome
        threading.Timer(0.05, original, (self, body)).start()
        return Outcome(200, msgspec.json.encode({"now": self.clock.now() + document["seconds"]}))


@fault("CLOCK-2", bindings=HTTP)
def the_clock_runs_by_itself() -> None:
    """Between advances the queue's time goes on by itself."""
    began = wall()

    @wrap(VirtualClock, "now")
    def now(original: Any, self: VirtualClock) -> float:
        return float(original(self)) + wall() - began


@fault("CLOCK-3", bindings=HTTP)
def a_groups_time_is_everybodys() -> None:
    """Advancing the time of one group advances that of all groups."""

    @wrap(QueueBroker, "advance_group")
    def advance(original: Any, self: QueueBroker, name: str, seconds: float, *, now: float) -> float:
        result: float = original(self, name, seconds, now=now)
        for other in tuple(self.groups.values()):
            if other.name != name:
                original(self, other.name, seconds, now=now)
        return result


@fault("CLOCK-3", bindings=STOMP)
def a_groups_time_stands_still() -> None:
    """Advancing the time of one group is answered 200 and does nothing."""

    @wrap(QueueBroker, "advance_group")
    def advance(original: Any, self: QueueBroker, name: str, seconds: float, *, now: float) -> float:
        return float(original(self, name, 0.0, now=now)) + seconds


@fault("CLOCK-4", bindings=HTTP)
def the_clock_takes_text() -> None:
    """`seconds` may be a string, and -1 is accepted and does nothing."""

    @wrap(HttpBinding, "_advance")
    def advance(original: Any, self: HttpBinding, request: Request, transport: Transport) -> Outcome:
        document = as_object(request.body)
        if document is not None:
            seconds = document.get("seconds")
            if isinstance(seconds, str) or (isinstance(seconds, (int, float)) and seconds < 0):
                document["seconds"] = 0
                request.body = msgspec.json.encode(document)
        response: Outcome = original(self, request, transport)
        return response


@fault("CAP-1", bindings=HTTP)
def endpoints_are_a_list() -> None:
    """The capabilities give the endpoints as a list of paths."""
    _edit_capabilities(lambda document: document.update(endpoints=sorted(document["endpoints"].values())))


@fault("CAP-1", bindings=HTTP)
def limits_are_text() -> None:
    """The limit of bodies is declared as `1 MiB`."""
    _edit_capabilities(lambda document: document["limits"].update(body_bytes="1 MiB"))


def _edit_capabilities(edit: Any) -> None:
    """Have `edit(document)` change the capabilities."""

    @wrap(running, "describe")
    def describe(original: Any, *arguments: Any, **named: Any) -> bytes:
        document = as_object(original(*arguments, **named)) or {}
        edit(document)
        return msgspec.json.encode(document)
