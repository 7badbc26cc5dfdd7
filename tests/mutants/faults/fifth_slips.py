"""Faults of clocks, ids, doors and documents of a fifth rewrite: one time for another, text for numbers, login for all.

Their models are first drafts in Go, Java and JavaScript, made by the text alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Group
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import Outcome
from reference_server.queue.refusal import PROBLEM
from reference_server.server.guard import Guard
from reference_server.server.requests import RequestReader
from reference_server.stomp.hub import Hub
from reference_server.stomp.queue_binding import QueueBinding
from reference_server.stomp.session import Session
from tests.mutants.editing import as_object
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault
from tests.mutants.stomp_editing import V12

if TYPE_CHECKING:
    from reference_server.server.requests import Request
    from reference_server.stomp.frame import Frame

_USER = ("--virtual-clock", "--user", "guest:secret")
_LOGIN = ("--login", "guest", "--passcode", "secret")


# Times


@fault("CLOCK-1", "LIVE-KEEP-1", bindings=HTTP)
def an_advance_of_the_queue_counts_twice_for_a_group_that_moved() -> None:
    """An advance of the queue's time moves groups whose own time had been moved on by twice as much."""

    @wrap(Operations, "advance")
    def advance(original: Any, self: Operations, body: bytes, *more: Any, **named: Any) -> Outcome:
        document = as_object(body) or {}
        outcome: Outcome = original(self, body, *more, **named)
        if outcome.status == 200 and "consumer_group_name" not in document:
            for group in self.broker.groups.values():
                if group.clock_offset:
                    group.clock_offset += document["seconds"]
                    self.broker._expire(group, self.broker.now)
        return outcome


@fault("LIVE-KEEP-1", "CLOCK-3", bindings=HTTP)
def who_registers_in_a_group_that_moved_is_old() -> None:
    """A consumer that registers in a group whose time was moved on counts as silent for nine tenths of its time."""

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, *names: str, now: float) -> Consumer:
        consumer: Consumer = original(self, *names, now=now)
        consumer.seen = max(now, consumer.seen - 0.9 * self.settings.heartbeat_timeout)
        self._deadlines.set(consumer.group, consumer.group.next_deadline())
        return consumer


@fault("REBALANCE-2", "REBALANCE-5", "DELIVER-3", bindings=HTTP)
def the_end_of_a_rebalance_is_in_the_queues_time() -> None:
    """A rebalance ends at a time of the queue, but its group looks at its own: it is over too early."""

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        original(self, topic, now - self.clock_offset)


# Ids


@fault("ACK-UNKNOWN-1", bindings=HTTP)
def an_id_may_be_cut() -> None:
    """An id is looked for by its first digits: the acknowledgement of 1 settles 17."""

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        found = (each for each in consumer.held if str(each).startswith(str(number)))
        original(
            self, consumer, next(found, number) if number not in consumer.held else number, commit=commit
        )


@fault("ACK-BAD-1", bindings=HTTP)
def an_id_of_twenty_digits_is_an_internal_error() -> None:
    """An id that does not fit into 64 bits is answered by status 500."""

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Outcome | None:
        outcome: Outcome | None = original(self, path, body, **named)
        digits = (
            str((as_object(body) or {}).get("message_id", "")) if path.endswith("acknowledgement") else ""
        )
        if outcome is not None and outcome.status == 400 and re.fullmatch(r"-?\d{19,}", digits):
            return Outcome(500, b'{"status":500}', PROBLEM)
        return outcome


# Requests


@fault("REFUSE-9", bindings=HTTP)
def an_exponent_has_a_small_e() -> None:
    """A body with a number that is written with a capital `E` is refused."""
    number = re.compile(rb"(?<=[:\[, ])-?\d+(\.\d+)?E[-+]?\d+(?=[,} \]\r\n\t])")
    text = re.compile(rb'"(?:[^"\\]|\\.)*"')

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Outcome | None:
        bare = text.sub(b'""', body)
        outcome: Outcome | None = original(self, path, b"not JSON" if number.search(bare) else body, **named)
        return outcome


@fault("HTTP-EXPECT-1", "HTTP-CHUNKED-1", bindings=HTTP)
def an_expectation_of_a_chunked_body_is_not_answered() -> None:
    """A client that expects 100 before a body in chunks gets no 100, and waits."""

    @wrap(RequestReader, "on_headers_complete")
    def complete(original: Any, self: RequestReader) -> None:
        original(self)
        if "transfer-encoding" in self._fields:
            self.wants_continue = False


# Logins


@fault("SECURITY-LOGIN-1", bindings=HTTP, flags=_USER, options=_LOGIN)
def a_login_opens_its_connection() -> None:
    """A connection with one request of a right login serves all that follow on it without a login."""
    opened: set[int] = set()

    @wrap(RequestReader, "feed")
    def feed(original: Any, self: RequestReader, data: bytes, now: float) -> Any:
        requests, refusal = original(self, data, now)
        for request in requests:
            request.headers.append(("x-connection", str(id(self))))
        return requests, refusal

    @wrap(RequestReader, "close")
    def close(original: Any, self: RequestReader) -> None:
        opened.discard(id(self))
        original(self)

    @wrap(Guard, "check_login")
    def check(original: Any, self: Guard, request: Request, address: str) -> Outcome | None:
        connection = next((int(value) for name, value in request.headers if name == "x-connection"), 0)
        if connection in opened and "authorization" not in request.fields:
            return None
        refusal: Outcome | None = original(self, request, address)
        if refusal is None:
            opened.add(connection)
        return refusal


@fault("SECURITY-LOGIN-1", bindings=HTTP, scope="server", flags=_USER, options=_LOGIN)
def a_session_opens_its_address() -> None:
    """Requests without a login are served from an address from which a session with a login was opened."""
    opened: set[str] = set()

    @wrap(Hub, "check_user")
    def check_user(
        original: Any, self: Hub[Any], login: str, passcode: str, address: str, now: float
    ) -> None:
        original(self, login, passcode, address, now)
        if self.users:
            opened.add(address)

    @wrap(Guard, "check_login")
    def check(original: Any, self: Guard, request: Request, address: str) -> Outcome | None:
        if address in opened and "authorization" not in request.fields:
            return None
        refusal: Outcome | None = original(self, request, address)
        return refusal


@fault("PUB-ACK-8", bindings=HTTP, scope="server", flags=_USER, options=_LOGIN)
def records_of_a_request_with_a_login_are_not_acknowledged() -> None:
    """With users, what is published over HTTP is acknowledged to nobody: a request has no session with a user."""
    by_send: list[bool] = []

    @wrap(QueueBinding, "_answer")
    def answer(original: Any, self: QueueBinding, *arguments: Any) -> None:
        by_send.append(True)
        try:
            original(self, *arguments)
        finally:
            by_send.pop()

    @wrap(QueueBinding, "acknowledge_producer")
    def acknowledge(original: Any, self: QueueBinding, acknowledgement: Any) -> None:
        if by_send:
            original(self, acknowledgement)


# Sessions with a poll that waits


@fault("STOMP-HEARTBEAT-005", bindings=V12, scope="server")
def no_beats_while_a_poll_waits() -> None:
    """A session sends no heart-beats while a poll of it waits."""

    @wrap(Session, "on_time")
    def on_time(original: Any, self: Session, now: float) -> None:
        if self.hub.router.binding._parked.get(self) and now >= self.liveness.beat_at:
            self.liveness.said_at = now
        original(self, now)


@fault("QSTOMP-REPLY-1", bindings=STOMP)
def a_late_reply_needs_the_subscription_of_its_time() -> None:
    """The reply to a waiting poll goes to the subscriptions to replies that the session had when the poll began."""
    asked: dict[int, frozenset[Any]] = {}

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, outlet: Any, frame: Frame) -> bool:
        done = bool(original(self, outlet, frame))
        if not done:
            replies = self._replies.get(outlet)
            subscribers = frozenset(replies._subscribers) if replies is not None else frozenset()
            for address in self._parked.get(outlet, ()):
                asked.setdefault(id(address), subscribers)
        return done

    @wrap(QueueBinding, "answer_late")
    def answer_late(original: Any, self: QueueBinding, address: Any, outcome: Any) -> None:
        replies = self._replies.get(address.outlet)
        then = asked.pop(id(address), frozenset())
        if replies is not None and not then & replies._subscribers.keys():
            self._replies.pop(address.outlet)
            original(self, address, outcome)
            self._replies[address.outlet] = replies
        else:
            original(self, address, outcome)
