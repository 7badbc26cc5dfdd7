"""Faults in what an ERROR, a lost connection, a wait in vain or another client leaves behind."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor
from reference_server.queue.long_polls import LongPolls
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import Outcome, refused
from reference_server.queue.refusal import Refusal
from reference_server.server.application import Application
from reference_server.stomp.frame import Frame
from reference_server.stomp.session import Session
from reference_server.stomp.transactions import Settlement
from tests.mutants.editing import as_object
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault
from tests.mutants.stomp_editing import V10, V11, V12, wrap_action

if TYPE_CHECKING:
    from collections.abc import Hashable


@fault("STOMP-TX-008", "STOMP-ERROR-001", "STOMP-ERROR-002", bindings=V12)
def an_error_commits_what_is_open() -> None:
    """When a session gets an ERROR, the SENDs of its open transactions are carried out."""

    @wrap(Session, "refuse")
    def refuse(original: Any, self: Session, *arguments: Any) -> None:
        steps = [step for each in self._transactions._open.values() for step in each.steps]
        original(self, *arguments)
        for step in steps:
            if isinstance(step, Frame):
                self.hub.router.send(self, step)


@fault("STOMP-ACK-006", "STOMP-TX-008", "STOMP-ACK-001", bindings=V11)
def an_error_settles_what_is_open() -> None:
    """When a session gets an ERROR, the ACKs of its open transactions take effect."""

    @wrap(Session, "refuse")
    def refuse(original: Any, self: Session, *arguments: Any) -> None:
        for each in self._transactions._open.values():
            for step in each.steps:
                if isinstance(step, Settlement):
                    self.subscriptions.settle(step.delivery, consumed=step.consumed)
        original(self, *arguments)


@fault("STOMP-ACK-001", bindings=V10)
def an_error_loses_what_is_in_flight() -> None:
    """When a session gets an ERROR, its unacknowledged messages are lost."""

    @wrap(Session, "refuse")
    def refuse(original: Any, self: Session, *arguments: Any) -> None:
        for delivery in tuple(self.subscriptions.unsettled.values()):
            if str(delivery.number) in self.subscriptions.unsettled:
                self.subscriptions.settle(delivery, consumed=True)
        original(self, *arguments)


@fault("STOMP-CONNECT-003", "STOMP-TX-004", "STOMP-TX-006", "STOMP-TX-003", bindings=V12)
def sessions_opened_by_stomp_have_no_transactions() -> None:
    """On a session that began by the command STOMP, SENDs in a transaction are carried out at once."""
    newer: set[Session] = set()

    @wrap_action("STOMP")
    def connect(action: Any, self: Session, frame: Frame) -> bool:
        newer.add(self)
        return bool(action(self, frame))

    @wrap_action("SEND")
    def send(action: Any, self: Session, frame: Frame) -> bool:
        if self in newer and "transaction" in frame.headers:
            return bool(self.hub.router.send(self, frame))
        return bool(action(self, frame))


@fault("POLL-OK-1", "DELIVER-1", "POLL-WAIT-1", "POLL-WAIT-2", bindings=HTTP)
def who_waited_in_vain_takes_a_record_along() -> None:
    """The record that follows a poll which waited in vain is handed out to that poll, which nobody reads any more."""
    ghosts: set[Consumer] = set()

    @wrap(LongPolls, "_expired")
    def expired(original: Any, self: LongPolls) -> Any:
        before = {waiter: parked.consumer for waiter, parked in self._parked.items()}
        ended: list[tuple[Hashable, Outcome]] = original(self)
        ghosts.update(before[waiter] for waiter, _ in ended)
        return ended

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, *arguments: Any, **named: Any) -> Any:
        partition, offset = original(self, name, *arguments, **named)
        for group in self.followers(name):
            cursor = group.cursors[name][partition.index]
            if cursor.owner in ghosts and cursor.is_ready():
                ghosts.discard(cursor.owner)
                cursor.hand_out()
        return partition, offset


@fault("ACK-OK-1", "LIVE-KEEP-1", bindings=HTTP)
def a_record_belongs_to_the_connection_that_polled_it() -> None:
    """An acknowledgement is refused on another HTTP connection than that of the poll; a connection is one thread."""
    polled: dict[int, int] = {}

    @wrap(Cursor, "hand_out")
    def hand_out(original: Any, self: Cursor) -> Any:
        handed = original(self)
        polled[handed[0]] = threading.get_ident()
        return handed

    @wrap(Application, "perform")
    def perform(original: Any, self: Application, asked: str, body: bytes, waiter: Any) -> Outcome | None:
        document = as_object(body) if asked == "/consumer/acknowledgement" else None
        message_id = (document or {}).get("message_id")
        if (
            isinstance(message_id, int)
            and polled.get(message_id, threading.get_ident()) != threading.get_ident()
        ):
            return refused(Refusal("not-in-flight", "another connection polled it", "message_id"))
        outcome: Outcome | None = original(self, asked, body, waiter)
        return outcome


@fault("DELIVER-3", "ACK-OK-1", bindings=STOMP)
def a_heartbeat_frees_what_others_hold() -> None:
    """A heartbeat frees the newest record that another member of the group holds, as if that one were silent."""

    @wrap(Operations, "_heartbeat")
    def heartbeat(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        outcome: Outcome = original(self, request, now)
        consumer = self.broker.consumers[request.consumer_name]
        for other in consumer.group.members.values():
            if other is not consumer and other.held:
                next(reversed(other.held.values())).settle(commit=False)
        return outcome
