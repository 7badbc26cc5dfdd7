"""Faults of STOMP sessions in a fourth rewrite: syntax inside of names, objects as maps, and what is encoded once.

Their models are the destinations of ActiveMQ and Artemis, brokers in Node, and parsers in Go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.stomp import session as session_module
from reference_server.stomp.destinations import Destinations, Message
from reference_server.stomp.frame import Frame
from reference_server.stomp.session import Session
from reference_server.stomp.subscriptions import Subscription, Subscriptions
from reference_server.stomp.transactions import Transactions
from tests.mutants.patching import wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import V10, V11, V12, edit_headers, edit_input

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reference_server.stomp.negotiation import Intervals
    from reference_server.stomp.session import Parsed


def _edit(header: str, commands: tuple[str, ...], change: Any) -> None:
    def edit(_session: Session, frame: Frame) -> Mapping[str, str]:
        if frame.command in commands and header in frame.headers:
            return {**frame.headers, header: change(frame.headers[header])}
        return frame.headers

    edit_headers(edit)


# Destinations


@fault("STOMP-SEND-006", bindings=V12)
def a_comma_separates_destinations() -> None:
    """A SEND to `/queue/a,b` goes to `/queue/a`: a list, of which the first counts."""
    _edit("destination", ("SEND",), lambda text: text.partition(",")[0])


@fault("STOMP-SEND-006", "STOMP-SUB-001", bindings=V12)
def a_greater_than_stands_for_anything() -> None:
    """A SUBSCRIBE to a topic that ends with `.>` or `.#` gets the messages of all that begin so."""

    @wrap(Destinations, "put")
    def put(original: Any, self: Destinations, message: Message) -> None:
        original(self, message)
        for name, topic in list(self._topics.items()):
            is_pattern = name.endswith((".>", ".#")) and message.destination != name
            if is_pattern and message.destination.startswith(name[:-1]):
                topic.put(message)


@fault("STOMP-SEND-006", bindings=V12)
def two_slashes_are_one() -> None:
    """Two slashes in a row in a destination count as one."""
    _edit("destination", ("SEND", "SUBSCRIBE"), lambda text: text.replace("//", "/"))


# Names


@fault("STOMP-SEND-004", bindings=V12)
def a_header_that_objects_have_is_lost() -> None:
    """The headers `__proto__` and `constructor` of a SEND are lost: headers are a plain object of JavaScript."""
    words = ("__proto__", "constructor", "toString")
    edit_headers(lambda _, frame: {name: value for name, value in frame.headers.items() if name not in words})


@fault("STOMP-SUB-001", "STOMP-SUB-005", bindings=V12)
def ids_of_subscriptions_are_numbers() -> None:
    """Ids of subscriptions that are digits are read as numbers: `01` is in use if `1` is."""
    _edit("id", ("SUBSCRIBE", "UNSUBSCRIBE"), lambda text: str(int(text)) if _is_number(text) else text)


@fault("STOMP-RECEIPT-002", bindings=V12)
def receipts_are_numbers() -> None:
    """A receipt of digits is granted as a number, without leading zeros."""
    digits = ("SEND", "SUBSCRIBE", "UNSUBSCRIBE", "BEGIN", "COMMIT", "ABORT", "ACK", "NACK", "DISCONNECT")
    _edit("receipt", digits, lambda text: str(int(text)) if _is_number(text) else text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


# Messages


@fault("STOMP-ENC-004", "STOMP-NEG-002", bindings=V12)
def a_message_is_encoded_once_for_all_versions() -> None:
    """A message that goes to sessions of several versions is escaped as for the first of them."""

    @wrap(Message, "tail")
    def tail(original: Any, self: Message, version: str) -> bytes:
        return bytes(original(self, self._tail_version or version))


@fault("STOMP-ACK-002", "STOMP-ACK-001", bindings=V12)
def a_message_that_comes_again_has_its_old_ack() -> None:
    """A message that comes again names the `ack` of its first delivery, which is unknown by then."""
    known: dict[int, int] = {}

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        emit = self._outlet.emit

        def rename(data: bytes) -> None:
            number = next(reversed(self._book.unsettled), None)
            if number is not None and b"\nack:" in data:
                first = known.setdefault(message.number, int(number))
                data = data.replace(b"\nack:%s\n" % number.encode(), b"\nack:%d\n" % first)
            emit(data)

        self._outlet.emit = rename  # type: ignore[method-assign]
        try:
            original(self, message)
        finally:
            del self._outlet.emit


@fault("STOMP-RECEIPT-001", bindings=V12)
def of_receipts_of_one_read_the_last_is_granted() -> None:
    """Of the receipts of frames that come in one piece the last one is granted."""

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: Parsed, *times: float) -> None:
        granted: list[str] = []
        grant = self.grant
        self.grant = granted.append  # type: ignore[method-assign]
        try:
            original(self, items, *times)
        finally:
            del self.grant
        closing, self.closing = self.closing, False
        for receipt in granted[-1:]:
            grant(receipt)
        self.closing = closing


@fault("STOMP-UNSUB-001", "STOMP-SUB-001", bindings=V12)
def an_unsubscribe_ends_all_of_its_destination() -> None:
    """An UNSUBSCRIBE ends all subscriptions of its session to the same destination."""

    @wrap(Subscriptions, "remove")
    def remove(original: Any, self: Subscriptions, headers: Any) -> None:
        ended = self.destinations().get(headers.get("id", ""))
        original(self, headers)
        for name, destination in self.destinations().items():
            if destination == ended:
                self._end(self._by_id.pop(name))


@fault("STOMP-SUB-007", "STOMP-SUB-008", "STOMP-SUB-010", bindings=V11)
def an_id_that_is_used_again_has_its_old_mode() -> None:
    """A subscription under the id of one that was removed has the mode of that one."""
    modes: dict[tuple[Subscriptions, str], Any] = {}

    @wrap(Subscriptions, "add")
    def add(original: Any, self: Subscriptions, name: str, mode: Any, *more: Any) -> None:
        original(self, name, modes.setdefault((self, name), mode), *more)


# Transactions


@fault("STOMP-TX-006", bindings=V12)
def what_was_aborted_comes_with_the_next_of_its_name() -> None:
    """The SENDs of a transaction that was aborted go with the next transaction of its name."""
    kept: dict[tuple[Transactions, str], list[Any]] = {}

    @wrap(Transactions, "end")
    def end(original: Any, self: Transactions, headers: Any, command: str) -> list[Any]:
        steps: list[Any] = original(self, headers, command)
        if command == "ABORT":
            kept[self, headers["transaction"]] = steps
        return steps

    @wrap(Transactions, "begin")
    def begin(original: Any, self: Transactions, headers: Any) -> None:
        original(self, headers)
        name = headers["transaction"]
        self._open[name].steps.extend(kept.pop((self, name), ()))


@fault("STOMP-TX-003", "STOMP-TX-004", bindings=V12)
def an_empty_message_of_a_transaction_is_dropped() -> None:
    """A SEND without a body in a transaction is not delivered."""

    @wrap(Transactions, "add")
    def add(original: Any, self: Transactions, name: str, step: Any, octets: int) -> None:
        if isinstance(step, Frame) and not step.body:
            self.check(name)
            return
        original(self, name, step, octets)


@fault("STOMP-TX-003", bindings=V12)
def a_commit_sends_the_last_of_equally_long_ones() -> None:
    """Of the messages of a transaction to one destination whose bodies are equally long the last is sent."""

    @wrap(Transactions, "end")
    def end(original: Any, self: Transactions, headers: Any, command: str) -> list[Any]:
        steps: list[Any] = original(self, headers, command)
        last: dict[Any, Any] = {}
        for step in steps:
            key = (step.headers["destination"], len(step.body)) if isinstance(step, Frame) else id(step)
            last[key] = step
        return list(last.values())


# Numbers


@fault("STOMP-HEARTBEAT-009", "STOMP-HEARTBEAT-003", "STOMP-HEARTBEAT-005", bindings=V12)
def intervals_have_32_bits() -> None:
    """An interval of a client in nanoseconds wraps in 32 bits: more than 4 seconds are less."""

    @wrap(session_module, "agree_on_heartbeats")
    def agree(original: Any, headers: Mapping[str, str], smallest: float) -> Intervals:
        agreed: Intervals = original(headers, smallest)
        kept = agreed.client * 1e9 % 2**32 / 1e9
        return msgspec.structs.replace(agreed, client=max(kept, smallest) if agreed.client else 0.0)


@fault("STOMP-SEND-005", "STOMP-CLEN-007", bindings=V10)
def a_body_of_1_0_is_text() -> None:
    """A body in a session of 1.0 is read as text, and loses a line feed at its beginning."""

    def cut(session: Session, frame: Frame) -> Frame:
        if session.version == "1.0" and frame.body.startswith(b"\n"):
            return msgspec.structs.replace(frame, body=frame.body[1:])
        return frame

    edit_input(cut)
