"""Faults that show from some length or number on: a value that is cut, a table that is full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.server.websocket import Channel
from reference_server.stomp.destinations import Broadcast, Destinations, Message
from reference_server.stomp.frame import FrameReader
from reference_server.stomp.subscriptions import AckMode, Delivery, Subscription, Subscriptions
from reference_server.stomp.transactions import Settlement, Transactions
from tests.mutants.patching import wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import V10, V11, V12, WEBSOCKET, edit_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reference_server.stomp.frame import Frame
    from reference_server.stomp.session import Session


def _edit_messages(edit: Callable[[Message], Message]) -> None:
    @wrap(Destinations, "put")
    def put(original: Any, self: Destinations, message: Message) -> None:
        original(self, edit(message))


def _edit_values(command: str, edit: Callable[[str, str], str]) -> None:
    """Have `edit(name, value)` change the values of frames with that command."""

    def change(_session: Session, frame: Frame) -> Mapping[str, str]:
        if frame.command != command:
            return frame.headers
        return {name: edit(name, value) for name, value in frame.headers.items()}

    edit_headers(change)


# Lengths


@fault("STOMP-SEND-004", "STOMP-RECEIPT-002", bindings=V12)
def a_header_value_has_4_kib() -> None:
    """Octets behind the first 4,096 octets of a header value are lost."""
    _edit_values("SEND", lambda _name, value: value[:4096])


@fault("STOMP-SEND-004", "STOMP-RECEIPT-002", bindings=V11)
def a_header_value_of_8_kib_loses_an_octet() -> None:
    """A header value of exactly 8,192 octets loses its last one."""
    _edit_values("SEND", lambda _name, value: value[:-1] if len(value) == 8192 else value)


@fault("STOMP-SEND-004", bindings=V12)
def a_header_name_has_127_octets() -> None:
    """Octets behind the first 127 octets of a header name are lost."""

    def edit(_session: Session, frame: Frame) -> Mapping[str, str]:
        return {name[:127]: value for name, value in frame.headers.items()}

    edit_headers(edit)


@fault("STOMP-SEND-005", bindings=V12)
def a_body_of_a_whole_buffer_loses_its_end() -> None:
    """A body of exactly 16,384 octets loses its last one."""
    _edit_messages(
        lambda message: (
            msgspec.structs.replace(message, body=message.body[:-1])
            if len(message.body) == 16_384
            else message
        )
    )


@fault("STOMP-SEND-005", bindings=V10, effort="standard")
def a_body_of_32_kib_is_sent_twice() -> None:
    """Octets of a body beyond 32 KiB are a repetition of its beginning."""
    _edit_messages(
        lambda message: (
            msgspec.structs.replace(
                message, body=message.body[:32_768] + message.body[: len(message.body) - 32_768]
            )
            if 32_768 < len(message.body) < 65_000
            else message
        )
    )


@fault("STOMP-RECEIPT-002", bindings=V12)
def a_receipt_has_8_kib() -> None:
    """Octets behind the first 8,192 of a receipt don't come back."""
    _edit_values("SEND", lambda name, value: value[:8192] if name == "receipt" else value)


@fault("STOMP-MESSAGE-003", bindings=V11)
def ids_of_subscriptions_have_255_octets() -> None:
    """Octets behind the first 255 octets of the id of a subscription are lost."""
    _edit_values("SUBSCRIBE", lambda name, value: value[:255] if name == "id" else value)


@fault("STOMP-SEND-006", bindings=V12)
def destinations_have_255_octets() -> None:
    """Octets behind the first 255 octets of a destination are lost."""

    def edit(_session: Session, frame: Frame) -> Mapping[str, str]:
        return {
            name: value[:255] if name == "destination" else value for name, value in frame.headers.items()
        }

    edit_headers(edit)


@fault("STOMP-TX-012", bindings=V10)
def transactions_are_told_apart_by_127_octets() -> None:
    """Transactions whose names agree in 127 octets are one; BEGIN of the second has no effect."""

    def edit(_session: Session, frame: Frame) -> Mapping[str, str]:
        return {
            name: value[:127] if name == "transaction" else value for name, value in frame.headers.items()
        }

    edit_headers(edit)

    @wrap(Transactions, "begin")
    def begin(original: Any, self: Transactions, headers: Mapping[str, str]) -> None:
        if headers.get("transaction") not in self._open:
            original(self, headers)


# Numbers


@fault("STOMP-TX-003", bindings=V11)
def a_transaction_keeps_64_acknowledgements() -> None:
    """Of the ACKs of a transaction the first 64 are kept, and the COMMIT is receipted."""

    @wrap(Transactions, "add")
    def add(original: Any, self: Transactions, name: str, step: Any, octets: int) -> None:
        self.check(name)
        kept = sum(isinstance(each, Settlement) for each in self._open[name].steps)
        if kept < 64 or not isinstance(step, Settlement):
            original(self, name, step, octets)


@fault("STOMP-TX-003", bindings=V10, effort="standard")
def a_transaction_counts_its_sends_in_an_octet() -> None:
    """The 257th SEND of a transaction takes the place of the first one."""

    @wrap(Transactions, "end")
    def end(original: Any, self: Transactions, headers: Any, command: str) -> list[Any]:
        steps: list[Any] = original(self, headers, command)
        return steps if len(steps) <= 256 else steps[256:] + steps[len(steps) - 256 : 256]


@fault("STOMP-ACK-002", bindings=V12)
def a_session_remembers_100_deliveries() -> None:
    """An ACK of a message is refused if 100 later ones are in flight."""

    @wrap(Subscriptions, "find")
    def find(original: Any, self: Subscriptions, headers: Mapping[str, str], command: str) -> Delivery:
        kept = dict(self.unsettled)
        for number in list(self.unsettled)[:-100]:
            del self.unsettled[number]
        try:
            delivery: Delivery = original(self, headers, command)
        finally:
            self.unsettled = kept
        return delivery


@fault("STOMP-SUB-010", bindings=V12)
def a_cumulative_ack_covers_100_messages() -> None:
    """An ACK in mode client covers the last 100 messages before it."""

    @wrap(Subscriptions, "settle")
    def settle(original: Any, self: Subscriptions, delivery: Delivery, *, consumed: bool) -> None:
        pending = delivery.subscription.pending
        left = {}
        if delivery.subscription.mode is AckMode.CUMULATIVE:
            covered = [name for name, each in pending.items() if each.number <= delivery.number]
            left = {name: pending.pop(name) for name in covered[:-100]}
        original(self, delivery, consumed=consumed)
        if left:
            rest = dict(pending)
            pending.clear()
            pending.update({**left, **rest})


@fault("STOMP-ACK-001", bindings=V11)
def of_a_lost_session_64_messages_come_again() -> None:
    """Of what was in flight to a lost session the first 64 messages come again."""

    @wrap(Subscriptions, "_end")
    def end(original: Any, self: Subscriptions, subscription: Subscription) -> None:
        for name in list(subscription.pending)[64:]:
            del self.unsettled[str(subscription.pending.pop(name).number)]
        original(self, subscription)


@fault("STOMP-SUB-014", "STOMP-SUB-001", bindings=V12)
def a_topic_has_64_subscriptions() -> None:
    """A message to a topic goes to the 64 subscriptions that were made first."""

    @wrap(Broadcast, "put")
    def put(original: Any, self: Any, message: Message) -> None:
        everybody = self._subscribers
        self._subscribers = dict(list(everybody.items())[:64])
        try:
            original(self, message)
        finally:
            self._subscribers = everybody


@fault("STOMP-TX-012", bindings=V12)
def a_seventeenth_transaction_is_the_first() -> None:
    """A session keeps its transactions in 16 places; BEGIN of a further one aborts the one in its place."""

    @wrap(Transactions, "begin")
    def begin(original: Any, self: Transactions, headers: Mapping[str, str]) -> None:
        original(self, headers)
        if len(self._open) > 16:
            next(iter(self._open.values())).steps.clear()


@fault("STOMP-WS-005", bindings=WEBSOCKET)
def a_message_has_128_fragments() -> None:
    """Octets behind the first 128 fragments of a message are dropped."""

    @wrap(Channel, "_judge")
    def judge(original: Any, self: Channel, octets: bytes, messages: list[bytes]) -> bool:
        went_on = bool(original(self, octets, messages))
        del self._fragments[128:]
        return went_on


@fault("STOMP-FRAME-006", "STOMP-ENC-002", bindings=V12)
def a_value_that_is_cut_loses_its_first_octet() -> None:
    """A header that is cut right behind its colon loses an octet."""

    @wrap(FrameReader, "feed")
    def feed(original: Any, self: FrameReader, data: bytes) -> Any:
        if self._pending.endswith(b":") and data:
            data = data[1:]
        return original(self, data)
