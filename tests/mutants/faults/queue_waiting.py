"""Faults in batch polls and long polls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Group
from reference_server.queue.long_polls import LongPolls
from reference_server.queue.operations import Operations
from reference_server.server.application import Application
from reference_server.server.clock import wall
from reference_server.server.long_poll import LongPoll
from reference_server.stomp.queue_binding import QueueBinding
from reference_server.stomp.session import Session
from tests.mutants.editing import as_object, edit_requests
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Hashable

    from reference_server.queue.group import Consumer, Cursor
    from reference_server.queue.outcomes import Outcome

POLL = "/consumer/poll"


@fault("POLL-BATCH-1", bindings=HTTP)
def a_batch_of_one_is_no_list() -> None:
    """A batch poll that returns one record has the form of a single poll."""

    @wrap(LongPolls, "hand_out")
    def hand_out(original: Any, self: LongPolls, consumer: Consumer, limit: int) -> Outcome:
        outcome: Outcome = original(self, consumer, limit)
        records = (as_object(outcome.body) or {}).get("records", ()) if outcome.body else ()
        if limit and len(records) == 1:
            return msgspec.structs.replace(outcome, body=msgspec.json.encode(records[0]))
        return outcome


@fault("POLL-BATCH-1", bindings=STOMP)
def a_batch_has_one_record_more() -> None:
    """A batch poll may return one record more than `max_messages`."""

    @wrap(LongPolls, "hand_out")
    def hand_out(original: Any, self: LongPolls, consumer: Consumer, limit: int) -> Outcome:
        outcome: Outcome = original(self, consumer, limit and limit + 1)
        return outcome


@fault("POLL-BATCH-1", "ORDER-2", bindings=HTTP)
def a_batch_takes_two_of_a_partition() -> None:
    """A batch poll with room left takes the record behind the first one, too."""

    @wrap(LongPolls, "hand_out")
    def hand_out(original: Any, self: LongPolls, consumer: Consumer, limit: int) -> Outcome:
        outcome: Outcome = original(self, consumer, limit)
        document = as_object(outcome.body) if outcome.body and limit else None
        records = document.get("records", []) if document else []
        if records and len(records) < limit:
            cursor = consumer.held[records[0]["messageId"]]
            offset = cursor.committed + 1
            if offset < cursor.partition.end:
                record = cursor.partition.records[offset]
                message = {**records[0]["message"], "message": record.message, "key": record.key}
                more = {**records[0], "messageId": cursor.partition.ids[offset], "message": message}
                more.update(messageID=record.label, offset=offset)
                body = msgspec.json.encode({"records": [*records, more]})
                return msgspec.structs.replace(outcome, body=body)
        return outcome


@fault("POLL-BATCH-2", bindings=HTTP)
def a_batch_of_none_is_one_record() -> None:
    """`max_messages` of 0 or null is ignored."""
    edit_requests(POLL, lambda body: None if body.get("max_messages", 1) else body.pop("max_messages"))


@fault("POLL-BATCH-2", bindings=STOMP)
def a_batch_beyond_the_limit_is_cut() -> None:
    """`max_messages` above the limit is read as the limit."""

    def bound(body: dict[str, Any]) -> None:
        if isinstance(body.get("max_messages"), int) and body["max_messages"] > 100:
            body["max_messages"] = 100

    edit_requests(POLL, bound)


@fault("POLL-BATCH-2", "REFUSE-1", bindings=HTTP, hard=True)
def a_refused_batch_hands_out_a_record() -> None:
    """A poll whose `max_messages` is above the limit is refused, but puts its record in flight."""

    @wrap(Operations, "_poll")
    def poll(original: Any, self: Operations, body: bytes, now: float, waiter: Hashable | None) -> Any:
        asked = (as_object(body) or {}).get("max_messages")
        if isinstance(asked, int) and asked > self.broker.settings.poll_messages:
            self.broker.poll(self.broker.consumer((as_object(body) or {})["consumer_name"], now=now))
        return original(self, body, now, waiter)


@fault("POLL-WAIT-1", bindings=HTTP)
def a_published_record_wakes_nobody() -> None:
    """A long poll is not answered when a record is published."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, *arguments: Any, **named: Any) -> Any:
        waiting, self._waiting = self._waiting, 0
        try:
            return original(self, *arguments, **named)
        finally:
            self._waiting = waiting


@fault("POLL-WAIT-1", bindings=STOMP)
def a_settled_record_wakes_nobody() -> None:
    """A long poll is not answered when the preceding record is settled."""

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, *arguments: Any, **named: Any) -> None:
        waiting, self._waiting = self._waiting, 0
        try:
            original(self, *arguments, **named)
        finally:
            self._waiting = waiting


@fault("POLL-WAIT-1", bindings=HTTP)
def a_rebalance_wakes_nobody() -> None:
    """A long poll is not answered when its consumer gets a partition."""
    replace(QueueBroker, "_wake_members")(lambda self, group: None)


@fault("POLL-WAIT-1", bindings=HTTP)
def a_partition_that_moves_answers_late() -> None:
    """A long poll that a rebalance or an eviction answers is written only at its own deadline."""
    moved: list[Group] = []

    @wrap(QueueBroker, "_wake_members")
    def wake(original: Any, self: QueueBroker, group: Group) -> None:
        if group.wakeable and self._waiting:
            moved.append(group)
        original(self, group)

    @wrap(Application, "_collect")
    def collect(original: Any, self: Application) -> list[Any]:
        touched: list[Any] = original(self)
        if moved:
            moved.clear()
            return [each for each in touched if not isinstance(each, LongPoll)]
        return touched


@fault("POLL-WAIT-1", bindings=STOMP)
def the_end_of_a_registration_wakes_nobody() -> None:
    """A long poll is not refused when its consumer's registration ends."""

    @replace(QueueBroker, "_forget")
    def forget(self: QueueBroker, consumer: Consumer) -> None:
        del self.consumers[consumer.name]


@fault("POLL-WAIT-1", bindings=HTTP, hard=True, effort="standard")
def a_record_that_comes_at_once_wakes_nobody() -> None:
    """A long poll that began within the last two milliseconds is not woken, as in a lost race."""
    began: dict[Consumer, float] = {}

    @wrap(LongPolls, "park")
    def park(original: Any, self: LongPolls, waiter: Hashable, consumer: Consumer, *arguments: Any) -> None:
        original(self, waiter, consumer, *arguments)
        began[consumer] = wall()

    @wrap(QueueBroker, "_wake_owner")
    def wake(original: Any, self: QueueBroker, cursor: Cursor) -> None:
        if cursor.owner is not None and wall() > began.get(cursor.owner, -math.inf) + 0.002:
            original(self, cursor)


@fault("POLL-WAIT-2", bindings=HTTP)
def a_poll_waits_for_half_its_time() -> None:
    """A long poll without a record is answered after half of its time."""

    @wrap(LongPolls, "park")
    def park(
        original: Any, self: LongPolls, waiter: Hashable, consumer: Consumer, limit: int, seconds: float
    ) -> None:
        original(self, waiter, consumer, limit, seconds / 2)


@fault("POLL-WAIT-2", bindings=STOMP)
def waiting_in_vain_is_refused() -> None:
    """A long poll without a record is refused at its deadline."""

    @wrap(LongPolls, "_expired")
    def expired(original: Any, self: LongPolls) -> list[tuple[Hashable, Outcome]]:
        return [(waiter, msgspec.structs.replace(empty, status=408)) for waiter, empty in original(self)]


@fault("POLL-WAIT-3", bindings=STOMP)
def a_poll_that_waits_holds_up_its_session() -> None:
    """While a long poll of a session waits, later frames of the session are not read."""
    behind: dict[Session, list[Any]] = {}

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: list[Any], now: float, queue_now: float) -> None:
        if self.hub.router.binding._parked.get(self) and items:
            behind.setdefault(self, []).extend(items)
        else:
            original(self, items, now, queue_now)

    @wrap(QueueBinding, "answer_late")
    def answer(original: Any, self: QueueBinding, address: Any, outcome: Outcome) -> None:
        original(self, address, outcome)
        session = address.outlet
        items = behind.pop(session, [])
        if items:
            session.handle(items, wall(), session.queue_now)


@fault("POLL-WAIT-4", bindings=HTTP)
def no_time_is_too_short() -> None:
    """A `wait_seconds` below 0, or null, is read as 0."""

    def read(body: dict[str, Any]) -> None:
        wait = body.get("wait_seconds", 0)
        if wait is None or (isinstance(wait, (int, float)) and wait < 0):
            body["wait_seconds"] = 0

    edit_requests(POLL, read)


@fault("POLL-WAIT-4", bindings=STOMP)
def no_time_is_too_long() -> None:
    """A `wait_seconds` above the limit is read as the limit."""

    def bound(body: dict[str, Any]) -> None:
        wait = body.get("wait_seconds")
        if isinstance(wait, (int, float)) and wait > 30:
            body["wait_seconds"] = 30

    edit_requests(POLL, bound)


@fault("POLL-WAIT-5", bindings=HTTP)
def who_waits_is_silent() -> None:
    """A consumer is evicted while its long poll waits."""

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        waits = {member: member.waiting for member in self.members.values() if member.waiting}
        for member in waits:
            member.waiting = 0
        silent: list[Consumer] = original(self, now)
        for member, count in waits.items():
            member.waiting = count
        return silent

    @wrap(QueueBroker, "tick")
    def tick(original: Any, self: QueueBroker, now: float) -> None:
        for group in self.groups.values():
            self._deadlines.set(group, now)
        original(self, now)


def _expire_quietly(*, after_eviction: bool) -> None:
    """Have partitions freed by the group's timers wake no long poll, either after evictions or after taking back."""

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        evicted: list[Consumer] = original(self, now)
        if bool(evicted) is after_eviction:
            self.wakeable = False
        return evicted


@fault("POLL-WAIT-1", bindings=HTTP)
def an_eviction_wakes_no_long_poll() -> None:
    """A long poll does not get the partition of an evicted consumer before its own deadline."""
    _expire_quietly(after_eviction=True)


@fault("POLL-WAIT-1", bindings=STOMP)
def a_record_that_is_taken_back_wakes_no_long_poll() -> None:
    """A long poll does not get a record that a rebalance takes back before its own deadline."""
    _expire_quietly(after_eviction=False)
