"""Faults in acknowledging, committing and giving back."""

from __future__ import annotations

from typing import Any

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import ACCEPTED, Outcome
from reference_server.queue.refusal import Refusal
from tests.mutants.editing import accept_refused, answer_by, as_object, refuse_by
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

ACKNOWLEDGE = "/consumer/acknowledgement"


@fault("ACK-OK-1", bindings=HTTP)
def an_acknowledgement_is_answered_done() -> None:
    """Acknowledging answers 200."""
    answer_by("_acknowledge", 200)


@fault("ACK-OK-2", bindings=HTTP)
def an_id_may_not_be_text() -> None:
    """A `message_id` that is a string is refused."""

    @wrap(Operations, "_acknowledge")
    def acknowledge(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        if isinstance(request.message_id, str):
            raise Refusal("member-type", "message_id is not a number", "message_id")
        outcome: Outcome = original(self, request, now)
        return outcome


@fault("ACK-OK-2", bindings=STOMP)
def an_id_has_to_be_text() -> None:
    """A `message_id` that is a number is answered 202, but settles nothing."""

    @wrap(Operations, "_acknowledge")
    def acknowledge(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        consumer = self.broker.consumer(request.consumer_name, now=now)
        if not isinstance(request.message_id, str) and request.message_id in consumer.held:
            return ACCEPTED
        outcome: Outcome = original(self, request, now)
        return outcome


@fault("ACK-COMMIT-1", bindings=HTTP)
def an_acknowledgement_commits_nothing() -> None:
    """An acknowledged record is freed instead of committed."""

    @wrap(Cursor, "settle")
    def settle(original: Any, self: Cursor, *, commit: bool) -> None:
        del commit
        original(self, commit=False)


@fault("ACK-COMMIT-1", bindings=STOMP, effort="standard", hard=True)
def one_acknowledgement_in_two_hundred_commits_nothing() -> None:
    """Now and then an acknowledgement is answered 202, and its record is delivered again."""
    count = [0]

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        count[0] += commit
        original(self, consumer, number, commit=commit and count[0] % 200 != 0)


@fault("ACK-COMMIT-1", bindings=HTTP, hard=True)
def offsets_are_written_down_every_third_time() -> None:
    """When a partition changes its owner, its committed offset goes back to the last multiple of three."""

    @wrap(Cursor, "pass_to")
    def pass_to(original: Any, self: Cursor, consumer: Consumer | None) -> None:
        if consumer is not None and self.owner is not consumer:
            self.committed -= self.committed % 3
        original(self, consumer)


@fault("ACK-COMMIT-2", bindings=HTTP)
def the_next_record_skips_a_poll() -> None:
    """After an acknowledgement the next poll gets nothing from that partition."""
    tired: set[Cursor] = set()

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        cursor = consumer.held.get(number)
        original(self, consumer, number, commit=commit)
        if commit and cursor is not None:
            tired.add(cursor)

    @wrap(Consumer, "next_cursor")
    def next_cursor(original: Any, self: Consumer) -> Cursor | None:
        found: Cursor | None = original(self)
        if found in tired:
            tired.discard(found)
            return None
        return found


@fault("ACK-COMMIT-2", bindings=STOMP)
def a_record_that_was_freed_blocks_its_partition() -> None:
    """A partition delivers nothing after a record that was redelivered and then acknowledged."""
    again: set[Cursor] = set()
    blocked: set[Cursor] = set()

    @wrap(Cursor, "hand_out")
    def hand_out(original: Any, self: Cursor) -> tuple[int, bool]:
        result: tuple[int, bool] = original(self)
        if result[1]:
            again.add(self)
        return result

    @wrap(Cursor, "settle")
    def settle(original: Any, self: Cursor, *, commit: bool) -> None:
        original(self, commit=commit)
        if commit and self in again:
            blocked.add(self)
        again.discard(self)

    @wrap(Cursor, "is_ready")
    def is_ready(original: Any, self: Cursor) -> bool:
        return self not in blocked and original(self)


@fault("ACK-UNKNOWN-1", bindings=HTTP)
def acknowledging_again_succeeds() -> None:
    """The acknowledgement of a record that no consumer holds is answered 202."""

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        try:
            original(self, consumer, number, commit=commit)
        except Refusal:
            if not commit or _holder(self, number) is not None:
                raise


@fault("ACK-UNKNOWN-1", "REFUSE-1", bindings=STOMP)
def an_unknown_id_settles_what_is_held() -> None:
    """The acknowledgement of an id that is not in flight is refused, but commits the record that the consumer holds."""

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        try:
            original(self, consumer, number, commit=commit)
        except Refusal:
            if commit and _holder(self, number) is None and consumer.held:
                next(iter(consumer.held.values())).settle(commit=True)
            raise


def _holder(queue: QueueBroker, number: int) -> Consumer | None:
    return next((each for each in queue.consumers.values() if number in each.held), None)


@fault("ACK-UNKNOWN-2", bindings=HTTP)
def an_id_that_is_not_in_flight_is_not_found() -> None:
    """The acknowledgement of a record that no consumer holds is refused by 404."""
    refuse_by(Operations, "_acknowledge", "not-in-flight", 404)


@fault("ACK-OTHER-1", bindings=HTTP)
def anybody_may_acknowledge() -> None:
    """Every consumer may acknowledge every record in flight."""

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        holder = consumer if number in consumer.held else _holder(self, number)
        original(self, holder or consumer, number, commit=commit)


@fault("ACK-OTHER-1", bindings=STOMP)
def members_may_acknowledge_for_each_other() -> None:
    """A consumer may acknowledge records that other members of its group hold."""

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        members = consumer.group.members.values()
        holder = next((member for member in members if number in member.held), consumer)
        original(self, holder, number, commit=commit)


@fault("ACK-OTHER-1", "REFUSE-1", bindings=HTTP, hard=True)
def a_refused_acknowledgement_commits() -> None:
    """The acknowledgement of another consumer's record is refused, but commits that record."""

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        try:
            original(self, consumer, number, commit=commit)
        except Refusal:
            holder = _holder(self, number)
            if holder is not None and commit:
                original(self, holder, number, commit=True)
            raise


@fault("ACK-CONSUMER-1", bindings=HTTP)
def acknowledgements_are_taken_from_nobody() -> None:
    """An acknowledgement by an unregistered consumer settles the record of that id."""

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Outcome | None:
        outcome: Outcome | None = original(self, path, body, **named)
        document = as_object(body) if path == ACKNOWLEDGE and outcome and outcome.status == 404 else None
        if document is not None and isinstance(document.get("message_id"), int):
            holder = _holder(self.broker, document["message_id"])
            if holder is not None:
                self.broker.settle(holder, document["message_id"], commit=True)
                return ACCEPTED
        return outcome


@fault("ACK-CONSUMER-2", bindings=HTTP)
def an_acknowledgement_of_nobody_is_a_conflict() -> None:
    """An acknowledgement by a consumer that is not registered is refused by 409."""
    refuse_by(Operations, "_acknowledge", "consumer-unknown", 409)


@fault("ACK-BAD-1", bindings=HTTP)
def what_is_no_id_is_ignored() -> None:
    """The acknowledgement of a value that cannot be an id is answered 202."""
    accept_refused("_acknowledge", "member-value", 202)


@fault("ACK-BAD-1", bindings=STOMP)
def an_empty_id_means_all() -> None:
    """An acknowledgement of the empty string settles everything that the consumer holds."""

    @wrap(Operations, "_acknowledge")
    def acknowledge(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        if request.message_id == "":
            for number in list(self.broker.consumer(request.consumer_name, now=now).held):
                self.broker.settle(self.broker.consumers[request.consumer_name], number, commit=True)
        outcome: Outcome = original(self, request, now)
        return outcome


@fault("NACK-OK-1", bindings=HTTP)
def what_is_given_back_stays() -> None:
    """Giving a record back is answered 202, and the record stays in flight."""

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        if commit or number not in consumer.held:
            original(self, consumer, number, commit=commit)


@fault("NACK-AGAIN-1", bindings=HTTP)
def what_is_given_back_is_gone() -> None:
    """A record that is given back counts as acknowledged."""

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        del commit
        original(self, consumer, number, commit=True)


@fault("NACK-AGAIN-1", bindings=STOMP)
def what_is_given_back_twice_is_gone() -> None:
    """A record that is given back for the second time counts as acknowledged, as if it went to a dead-letter queue."""
    given: set[int] = set()

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        is_second = not commit and number in given
        original(self, consumer, number, commit=commit or is_second)
        if not commit:
            given.add(number)


@fault("NACK-UNKNOWN-1", bindings=HTTP)
def what_is_not_held_may_be_given_back() -> None:
    """Giving back a record that the consumer does not hold is answered 202."""
    accept_refused("_give_back", "not-in-flight", 202)


@fault("NACK-UNKNOWN-1", bindings=STOMP)
def anybody_may_give_back() -> None:
    """Giving back another consumer's record is refused, but frees that record."""

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        try:
            original(self, consumer, number, commit=commit)
        except Refusal:
            holder = None if commit else _holder(self, number)
            if holder is not None:
                original(self, holder, number, commit=False)
            raise


@fault("NACK-UNKNOWN-2", bindings=HTTP)
def giving_back_what_is_not_held_is_a_bad_request() -> None:
    """Giving back a record that the consumer does not hold is refused by 400."""
    refuse_by(Operations, "_give_back", "not-in-flight", 400)
