"""Faults of STOMP as a rewrite would have them: headers that stand in for others, states that are not cleared.

Their models are public reports on ActiveMQ, Artemis, RabbitMQ, stomp.py, Spring and Vert.x, and slips of languages: a
buffer that is used again, a test for a part of a string where one for equality was meant, a variable for all sessions.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.stomp import frame as frames
from reference_server.stomp import session as sessions
from reference_server.stomp.destinations import Destinations, Message, PlainQueue
from reference_server.stomp.escapes import escape
from reference_server.stomp.negotiation import Intervals
from reference_server.stomp.router import Router
from reference_server.stomp.session import Session
from reference_server.stomp.subscriptions import AckMode, Delivery, Subscription, Subscriptions
from reference_server.stomp.transactions import Settlement, Transactions
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import V10, V11, V12, edit_headers, wrap_action

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reference_server.stomp.frame import Frame


# Headers


def _let_the_sender_write(name: str) -> None:
    """Have a header of SEND stand in front of the one of the same name that the server writes into its MESSAGE."""

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        prefix = self._prefix
        if name in message.headers:
            line = f"{name}:{escape(message.headers[name], self._outlet.version)}\n".encode()
            self._prefix = prefix.replace(b"MESSAGE\n", b"MESSAGE\n" + line, 1)
        try:
            original(self, message)
        finally:
            self._prefix = prefix


@fault("STOMP-MESSAGE-002", bindings=V12)
def a_sender_may_write_the_message_id() -> None:
    """A MESSAGE has the `message-id` that its SEND had, so that two messages have one."""
    _let_the_sender_write("message-id")


@fault("STOMP-MESSAGE-003", bindings=V11)
def a_sender_may_write_the_subscription() -> None:
    """A MESSAGE has the `subscription` that its SEND had, as where a received frame is sent on with its headers."""
    _let_the_sender_write("subscription")


@fault("STOMP-MESSAGE-004", bindings=V12)
def a_sender_may_write_the_ack() -> None:
    """A MESSAGE has the `ack` that its SEND had, and no acknowledgement can name it."""
    _let_the_sender_write("ack")


@fault("STOMP-SEND-004", bindings=V12)
def forty_headers_are_handed_on() -> None:
    """Headers behind the 40th of a SEND are not handed on."""

    def edit(_session: Session, frame: Frame) -> Mapping[str, str]:
        return dict(list(frame.headers.items())[:40]) if frame.command == "SEND" else frame.headers

    edit_headers(edit)


@fault("STOMP-SEND-004", "STOMP-ENC-004", bindings=V12)
def headers_are_escaped_once_more_with_each_delivery() -> None:
    """A message that comes again has its headers escaped twice: they are escaped in place, as in stomp.py once."""

    @wrap(PlainQueue, "take_back")
    def take_back(original: Any, self: PlainQueue, returned: list[Message]) -> None:
        for message in returned:
            message.headers = {
                name: value if name == "destination" else escape(value, "1.2")
                for name, value in message.headers.items()
            }
        original(self, returned)


@fault("STOMP-NEG-002", "STOMP-ENC-004", bindings=V11)
def a_message_is_written_for_its_first_reader() -> None:
    """All subscriptions get the octets that were written by the rules of the first one's version."""

    @wrap(Message, "tail")
    def tail(original: Any, self: Message, version: str) -> bytes:
        octets: bytes = self._tail or original(self, version)
        return octets


@fault("STOMP-NEG-003", "STOMP-NEG-005", bindings=V12)
def a_version_may_be_part_of_another_one() -> None:
    """A client that offers 1.10 alone gets 1.1: the header is searched for the version."""

    def agree(headers: Mapping[str, str], versions: tuple[str, ...]) -> str | None:
        offer = headers.get("accept-version", "1.0")
        return max((version for version in versions if version in offer), default=None)

    replace(frames, "agree")(agree)


@fault("STOMP-ACK-004", "STOMP-ACK-010", bindings=V12)
def an_ack_may_have_the_beginning_of_an_id() -> None:
    """An ACK whose id begins like that of an outstanding message, or has more behind it, settles the message."""

    @wrap(Subscriptions, "find")
    def find(original: Any, self: Subscriptions, headers: Mapping[str, str], command: str) -> Delivery:
        name = headers.get("id", "")
        similar = (key for key in self.unsettled if name and (key.startswith(name) or name.startswith(key)))
        key = name if name in self.unsettled else next(similar, name)
        delivery: Delivery = original(self, {**headers, "id": key}, command)
        return delivery


# Acknowledgements and transactions


@fault("STOMP-SUB-010", bindings=V11)
def an_ack_covers_messages_of_lower_numbers() -> None:
    """In mode client an ACK covers those with a lower number, not those sent before: they differ behind a NACK."""

    @replace(Subscriptions, "settle")
    def settle(self: Subscriptions, delivery: Delivery, *, consumed: bool) -> None:
        pending = delivery.subscription.pending
        covered = [delivery] if str(delivery.number) in self.unsettled else []
        if delivery.subscription.mode is AckMode.CUMULATIVE and covered:
            most = delivery.message.number
            covered = [each for each in pending.values() if each.message.number <= most]
        for each in covered:
            del pending[str(each.message.number)], self.unsettled[str(each.number)]
        if not consumed:
            delivery.subscription.source.take_back([each.message for each in covered])
        self.wake()


def _keep_steps_after(command: str) -> None:
    kept: dict[tuple[Transactions, str], list[Any]] = {}

    @wrap(Transactions, "end")
    def end(original: Any, self: Transactions, headers: Mapping[str, str], ending: str) -> Any:
        steps = original(self, headers, ending)
        if ending == command:
            kept[self, headers["transaction"]] = [each for each in steps if not isinstance(each, Settlement)]
        return steps

    @wrap(Transactions, "begin")
    def begin(original: Any, self: Transactions, headers: Mapping[str, str]) -> None:
        original(self, headers)
        self._open[headers["transaction"]].steps += kept.pop((self, headers["transaction"]), [])


@fault("STOMP-TX-006", bindings=V12)
def what_was_aborted_waits_for_the_next_of_that_name() -> None:
    """The messages of an aborted transaction are sent by the COMMIT of the next one that has its name."""
    _keep_steps_after("ABORT")


@fault("STOMP-TX-003", "STOMP-TX-004", bindings=V11)
def what_was_committed_is_sent_by_the_next_of_that_name() -> None:
    """The messages of a committed transaction are sent once more by the COMMIT of the next one that has its name."""
    _keep_steps_after("COMMIT")


@fault("STOMP-TX-007", "STOMP-ACK-006", bindings=V12)
def a_disconnect_settles_what_is_open() -> None:
    """On DISCONNECT the ACKs of open transactions take effect, and the SENDs don't."""

    @wrap_action("DISCONNECT")
    def disconnect(action: Any, self: Session, frame: Frame) -> bool:
        for found in self._transactions._open.values():
            for step in found.steps:
                if isinstance(step, Settlement):
                    self.subscriptions.settle(step.delivery, consumed=step.consumed)
        return bool(action(self, frame))


@fault("STOMP-TX-004", "STOMP-TX-012", bindings=V12)
def an_empty_transaction_is_none() -> None:
    """A SEND in the transaction whose name is empty is sent at once: the name counts as none."""

    def edit(_session: Session, frame: Frame) -> Mapping[str, str]:
        if frame.command == "SEND" and frame.headers.get("transaction") == "":
            return {name: value for name, value in frame.headers.items() if name != "transaction"}
        return frame.headers

    edit_headers(edit)


# Messages


@fault("STOMP-SEND-005", bindings=V12)
def a_message_that_waits_is_overwritten_by_the_next() -> None:
    """A message that waits in a queue gets the octets of the next one as far as that goes: one buffer for both."""

    @wrap(PlainQueue, "put")
    def put(original: Any, self: PlainQueue, message: Message) -> None:
        waiting = self.messages[-1] if self.messages else None
        original(self, message)
        if waiting is not None and waiting.body and message.body:
            waiting.body = (message.body + waiting.body[len(message.body) :])[: len(waiting.body)]
            waiting.forget_tail()


@fault("STOMP-SEND-002", "STOMP-SUB-001", bindings=V10)
def equal_sends_in_a_row_are_one() -> None:
    """A SEND that equals the one before it on its connection is dropped, as a repetition."""

    @wrap(Router, "send")
    def send(original: Any, self: Router, outlet: Any, frame: Frame) -> bool:
        last = vars(outlet).get("last_send")
        outlet.__dict__["last_send"] = (frame.headers, frame.body)
        return last == (frame.headers, frame.body) or bool(original(self, outlet, frame))


# Destinations


def _rename(change: Callable[[str], str]) -> None:
    def edit(_session: Session, frame: Frame) -> Mapping[str, str]:
        name = frame.headers.get("destination")
        return frame.headers if name is None else {**frame.headers, "destination": change(name)}

    edit_headers(edit)


@fault("STOMP-SEND-006", bindings=V12)
def a_comma_joins_destinations() -> None:
    """A SEND to `/topic/a,b` goes to `/topic/a` and `/topic/b`, as composite destinations of ActiveMQ do."""

    @wrap(Destinations, "put")
    def put(original: Any, self: Destinations, message: Message) -> None:
        start = "/topic/" if message.destination.startswith("/topic/") else "/queue/"
        for name in message.destination.removeprefix(start).split(","):
            original(self, msgspec.structs.replace(message, destination=start + name.removeprefix(start)))


@fault("STOMP-SEND-006", bindings=V11)
def a_question_mark_ends_a_destination() -> None:
    """What follows a question mark in a destination is taken for options, as ActiveMQ does."""
    _rename(lambda name: name.partition("?")[0])


@fault("STOMP-SEND-006", bindings=V12)
def destinations_are_cleaned_like_paths() -> None:
    """`/topic/a//b` and `/topic/a/./b` mean `/topic/a/b`."""
    _rename(lambda name: posixpath.normpath(name) if name.startswith("/") else name)


@fault("STOMP-SEND-006", bindings=V11)
def a_topic_and_a_queue_share_their_name() -> None:
    """A message to `/topic/x` goes to the consumers of `/queue/x`, too: both are one address."""

    @wrap(Destinations, "put")
    def put(original: Any, self: Destinations, message: Message) -> None:
        other = message.destination.replace("/topic/", "/queue/", 1)
        if other != message.destination and other in self._queues:
            original(self, msgspec.structs.replace(message, destination=other))
        original(self, message)


# Heart-beats


@fault("STOMP-HEARTBEAT-005", bindings=V12)
def the_newest_session_beats() -> None:
    """Only the session that was opened last gets heart-beats: the timer is one for all."""
    newest: list[Session] = []

    @wrap_action("CONNECT")
    def connect(action: Any, self: Session, frame: Frame) -> bool:
        done = bool(action(self, frame))
        newest[:] = [self]
        return done

    @wrap(Session, "on_time")
    def on_time(original: Any, self: Session, now: float) -> None:
        if newest[:1] != [self] and now >= self.liveness.beat_at:
            self.liveness.said_at = now
        original(self, now)


def _agree_by(client: Callable[[float, float], float]) -> None:
    right = sessions.agree_on_heartbeats

    @replace(sessions, "agree_on_heartbeats")
    def agree(headers: Mapping[str, str], smallest: float) -> Intervals:
        agreed = right(headers, smallest)
        sends = float(headers.get("heart-beat", "0,0").partition(",")[0]) / 1000
        return Intervals(server=agreed.server, client=client(sends, smallest) if agreed.client else 0.0)


@fault("STOMP-HEARTBEAT-009", bindings=V12)
def the_shorter_interval_holds_for_clients() -> None:
    """A client that promised beats every few seconds has to beat at the shortest interval of the server."""
    _agree_by(min)


@fault("STOMP-HEARTBEAT-009", bindings=V11)
def long_intervals_of_clients_overflow() -> None:
    """The interval of a client is kept in microseconds of 31 bits, so that those of an hour end at once."""
    _agree_by(lambda sends, smallest: max(sends, smallest) if sends * 1e6 < 2**31 else smallest)
