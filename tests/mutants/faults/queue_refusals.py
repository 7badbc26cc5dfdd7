"""Faults in refusals: side effects, and problem documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue import operations
from reference_server.queue.broker import QueueBroker
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import Outcome
from reference_server.queue.refusal import Refusal
from tests.mutants.editing import as_object, edit_replies, edit_requests
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from reference_server.queue.group import Consumer

PROBLEM = "application/problem+json"


def _edit_problems(edit: Any) -> None:
    """Have `edit(document)` change the body of each refusal of an operation."""

    def change(outcome: Outcome) -> Outcome:
        document = as_object(outcome.body) if outcome.content_type == PROBLEM else None
        if document is None:
            return outcome
        edit(document)
        return msgspec.structs.replace(outcome, body=msgspec.json.encode(document))

    edit_replies("/", change)


@fault("REFUSE-1", "REBALANCE-2", bindings=HTTP)
def a_refused_subscription_frees_what_is_held() -> None:
    """A subscription to an unknown topic is refused, but frees the consumer's records in flight."""

    @wrap(QueueBroker, "subscribe")
    def subscribe(original: Any, self: QueueBroker, consumer: Consumer, names: list[str]) -> None:
        try:
            original(self, consumer, names)
        except Refusal:
            for cursor in list(consumer.held.values()):
                cursor.settle(commit=False)
            raise


@fault("REFUSE-1", "ACK-BAD-1", bindings=STOMP)
def a_bad_acknowledgement_frees_what_is_held() -> None:
    """An acknowledgement that is refused for its id frees the consumer's records in flight."""

    @wrap(Operations, "_acknowledge")
    def acknowledge(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        try:
            outcome: Outcome = original(self, request, now)
        except Refusal as refusal:
            if refusal.cause == "member-value":
                for cursor in list(self.broker.consumer(request.consumer_name, now=now).held.values()):
                    cursor.settle(commit=False)
            raise
        return outcome


@fault("REFUSE-2", bindings=HTTP)
def refusals_are_plain_text() -> None:
    """A refusal has plain text for a body."""

    def as_text(outcome: Outcome) -> Outcome:
        if outcome.content_type != PROBLEM:
            return outcome
        detail = str((as_object(outcome.body) or {}).get("detail"))
        return msgspec.structs.replace(outcome, body=detail.encode(), content_type="text/plain")

    edit_replies("/", as_text)


@fault("REFUSE-2", bindings=STOMP)
def problems_tell_another_status() -> None:
    """The `status` of a problem is always 400."""
    _edit_problems(lambda document: document.update(status=400))


@fault("REFUSE-3", bindings=HTTP)
def problems_have_no_type() -> None:
    """The `type` of every problem is about:blank."""
    _edit_problems(lambda document: document.update(type="about:blank"))


@fault("REFUSE-3", bindings=STOMP)
def a_name_that_is_taken_is_called_a_bad_member() -> None:
    """The cause of the refusal of an existing topic is `member-value`."""

    def rename(document: dict[str, Any]) -> None:
        document["type"] = document["type"].replace("topic-exists", "member-value")

    _edit_problems(rename)


@fault("REFUSE-7", bindings=HTTP)
def problems_name_no_member() -> None:
    """A problem about a member does not name the member."""
    _edit_problems(lambda document: document.pop("member", None))


@fault("REFUSE-4", bindings=HTTP)
def unknown_members_are_refused() -> None:
    """A body with an unknown member is refused."""
    known = {
        "topicName", "partitions", "partition_bytes", "messageID", "message", "key", "timestamp", "seconds",
        "consumer_group_name", "consumer_name", "topic_list", "max_messages", "wait_seconds", "message_id",
    }  # fmt: skip

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Outcome | None:
        unknown = set(as_object(body) or ()) - known
        if unknown:
            name = min(unknown)
            return operations.refused(Refusal("member-value", f"there is no member {name}", name))
        outcome: Outcome | None = original(self, path, body, **named)
        return outcome


@fault("REFUSE-4", bindings=STOMP)
def unknown_members_of_a_poll_make_it_empty() -> None:
    """A poll with an unknown member gets no record."""

    @wrap(Operations, "_poll")
    def poll(original: Any, self: Operations, body: bytes, now: float, waiter: Any) -> Outcome | None:
        if set(as_object(body) or ()) - {"consumer_name", "max_messages", "wait_seconds"}:
            return Outcome(204)
        outcome: Outcome | None = original(self, body, now, waiter)
        return outcome


@fault("REFUSE-5", bindings=HTTP)
def topics_may_be_a_list() -> None:
    """`topic_list` may be a list of names."""

    def join(body: dict[str, Any]) -> None:
        if isinstance(body.get("topic_list"), list):
            body["topic_list"] = ",".join(map(str, body["topic_list"]))

    edit_requests("/consumer/", join)


@fault("REFUSE-5", bindings=STOMP)
def names_may_be_numbers() -> None:
    """A name that is a number is read as its digits."""

    def as_text(body: dict[str, Any]) -> None:
        for member in ("topicName", "consumer_group_name", "consumer_name"):
            if isinstance(body.get(member), int):
                body[member] = str(body[member])

    edit_requests("/", as_text)


@fault("REFUSE-5", bindings=HTTP)
def a_list_with_one_object_is_that_object() -> None:
    """A body that is a list of one object is read as the object."""

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Outcome | None:
        try:
            document = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            document = None
        if isinstance(document, list) and len(document) == 1 and isinstance(document[0], dict):
            body = msgspec.json.encode(document[0])
        outcome: Outcome | None = original(self, path, body, **named)
        return outcome


@fault("REFUSE-5", bindings=HTTP)
def deep_bodies_end_the_connection() -> None:
    """A deeply nested body ends the connection without an answer."""

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Outcome | None:
        if body.count(b"[") > 1000:
            raise ConnectionError("too deep")
        outcome: Outcome | None = original(self, path, body, **named)
        return outcome
