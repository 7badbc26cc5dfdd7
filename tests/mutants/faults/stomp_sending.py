"""Faults in SEND, and in the content of MESSAGE."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

from reference_server.stomp.destinations import Broadcast, Destinations, Message
from reference_server.stomp.router import Router
from reference_server.stomp.subscriptions import Subscription
from tests.mutants.patching import wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import (
    V10,
    V11,
    V12,
    answer_and_go_on,
    close_without_error,
    drop_header,
    edit_headers,
    edit_lines,
    edit_output,
    overlook,
    set_header,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_server.stomp.frame import Frame
    from reference_server.stomp.session import Session


def edit_messages(edit: Callable[[Message], Message]) -> None:
    """Have `edit` change each message before a destination gets it."""

    @wrap(Destinations, "put")
    def put(original: Any, self: Destinations, message: Message) -> None:
        original(self, edit(message))


def _edit_bodies(edit: Callable[[bytes], bytes]) -> None:
    edit_messages(lambda message: msgspec.structs.replace(message, body=edit(message.body)))


def _edit_destinations(edit: Callable[[str], str]) -> None:
    """Have `edit` change each destination that a client names."""
    edit_headers(
        lambda _session, frame: (
            {**frame.headers, "destination": edit(frame.headers["destination"])}
            if "destination" in frame.headers
            else frame.headers
        )
    )


# SEND


@fault("STOMP-SEND-001", bindings=V12)
def a_send_without_destination_is_dropped_and_receipted() -> None:
    """A SEND without destination is dropped, and gets its RECEIPT."""
    overlook("SEND without destination", receipt=True)


@fault("STOMP-SEND-001", bindings=V10)
def a_send_without_destination_goes_to_a_dead_letter_queue() -> None:
    """A SEND without destination goes to a queue for such messages."""
    edit_headers(
        lambda _session, frame: (
            {"destination": "/queue/dead", **frame.headers} if frame.command == "SEND" else frame.headers
        )
    )


@fault("STOMP-SEND-002", bindings=V12)
def nobody_gets_own_messages() -> None:
    """A connection does not get its own messages from a topic."""
    senders: list[Session] = []

    @wrap(Router, "send")
    def send(original: Any, self: Router, session: Session, frame: Frame) -> bool:
        senders[:] = [session]
        return bool(original(self, session, frame))

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        if not (isinstance(self.source, Broadcast) and senders and self._outlet is senders[0]):
            original(self, message)


@fault("STOMP-SEND-002", bindings=V10)
def an_empty_message_is_not_delivered() -> None:
    """A SEND without a body is ignored."""

    @wrap(Destinations, "put")
    def put(original: Any, self: Destinations, message: Message) -> None:
        if message.body:
            original(self, message)


@fault("STOMP-SEND-002", "STOMP-SUB-001", "STOMP-SUB-014", bindings=V12, hard=True, effort="standard")
def one_message_in_a_thousand_is_lost() -> None:
    """Every thousandth message is accepted and never delivered."""
    numbers = itertools.count(1)

    @wrap(Destinations, "put")
    def put(original: Any, self: Destinations, message: Message) -> None:
        if next(numbers) % 1000:
            original(self, message)


@fault("STOMP-SUB-014", "STOMP-SUB-008", "STOMP-SUB-001", bindings=V12, hard=True, effort="standard")
def one_message_in_a_thousand_is_delivered_twice() -> None:
    """Every thousandth message is delivered twice."""
    numbers = itertools.count(1)

    @wrap(Destinations, "put")
    def put(original: Any, self: Destinations, message: Message) -> None:
        original(self, message)
        if next(numbers) % 1000 == 0:
            original(self, message)


@fault("STOMP-SEND-003", bindings=V12)
def a_send_to_nowhere_is_dropped() -> None:
    """A SEND to an unknown destination is silently dropped."""
    overlook("unknown destination")


@fault("STOMP-SEND-003", bindings=V12)
def a_failed_send_gets_an_error_and_no_close() -> None:
    """A SEND that can't be processed gets its ERROR, and the connection stays open."""
    answer_and_go_on("SEND without destination")


@fault("STOMP-SEND-003", bindings=V11)
def a_failed_send_gets_a_close_and_no_error() -> None:
    """A SEND to an unknown destination closes the connection without ERROR."""
    close_without_error("unknown destination")


@fault("STOMP-SEND-004", bindings=V12)
def names_of_headers_are_brought_to_lower_case() -> None:
    """A header name `MixedCase` arrives as `mixedcase`."""
    edit_lines("MESSAGE", lambda lines: [_lower(line) for line in lines])


def _lower(line: bytes) -> bytes:
    name, colon, value = line.partition(b":")
    return name.lower() + colon + value


@fault("STOMP-SEND-004", bindings=V11)
def headers_with_x_are_private() -> None:
    """Headers whose names begin with X- are not passed on."""
    edit_lines("MESSAGE", lambda lines: [line for line in lines if not line.lower().startswith(b"x-")])


@fault("STOMP-SEND-004", bindings=V12)
def values_are_cut_at_255_octets() -> None:
    """A header value is cut to 255 octets."""
    edit_lines("MESSAGE", lambda lines: [line[: line.index(b":") + 256] for line in lines])


@fault("STOMP-SEND-004", "STOMP-ENC-002", bindings=V12, hard=True)
def headers_in_a_transaction_are_unescaped_twice() -> None:
    """The headers of a SEND are decoded a second time by its COMMIT."""

    @wrap(Router, "send")
    def send(original: Any, self: Router, session: Session, sent: Frame) -> bool:
        if "transaction" in sent.headers:
            headers = {name: value.replace("\\n", "\n") for name, value in sent.headers.items()}
            sent = msgspec.structs.replace(sent, headers=headers)
        return bool(original(self, session, sent))


@fault("STOMP-SEND-005", bindings=V12)
def the_last_line_end_of_a_body_is_removed() -> None:
    """A line end at the end of a body is removed."""
    _edit_bodies(lambda body: body.removesuffix(b"\n"))


@fault("STOMP-SEND-005", bindings=V10)
def octets_that_are_not_utf_8_are_replaced() -> None:
    """Octets of a body that are not UTF-8 become U+FFFD."""
    _edit_bodies(lambda body: body.decode(errors="replace").encode())


@fault("STOMP-SEND-005", bindings=V11)
def a_body_is_cut_at_64_kib() -> None:
    """A body is cut to 65,535 octets."""
    _edit_bodies(lambda body: body[:65535])


@fault("STOMP-SEND-005", bindings=V12)
def json_is_written_anew() -> None:
    """A JSON body is delivered without insignificant blanks."""

    def edit(message: Message) -> Message:
        if message.headers.get("content-type", "").startswith("application/json"):
            body = re.sub(rb"\s*([{}:,])\s*", rb"\1", message.body)
            return msgspec.structs.replace(message, body=body)
        return message

    edit_messages(edit)


@fault("STOMP-SEND-006", bindings=V12)
def destinations_are_decoded_like_urls() -> None:
    """`%41` in the name of a destination means `A`."""
    _edit_destinations(unquote)


@fault("STOMP-SEND-006", bindings=V10)
def destinations_are_matched_in_any_case() -> None:
    """The names of destinations are not case-sensitive."""
    _edit_destinations(str.lower)


@fault("STOMP-SEND-006", bindings=V12)
def a_slash_at_the_end_says_nothing() -> None:
    """A destination with a slash at its end is the same as one without."""
    _edit_destinations(lambda name: name.rstrip("/"))


@fault("STOMP-SEND-006", bindings=V11)
def a_star_stands_for_anything() -> None:
    """A subscription to a topic with a star gets the messages of all matching topics."""

    @wrap(Destinations, "put")
    def put(original: Any, self: Destinations, message: Message) -> None:
        original(self, message)
        for name, topic in list(self._topics.items()):
            pattern = re.escape(name).replace(r"\*", "[^./]*")
            if name != message.destination and re.fullmatch(pattern, message.destination):
                topic.put(message)


@fault("STOMP-SEND-007", bindings=V12)
def a_message_names_its_destination_in_full() -> None:
    """The destination of a MESSAGE has the name of the broker as a prefix."""
    set_header("MESSAGE", "destination", lambda value: b"/broker0" + value)


# MESSAGE


@fault("STOMP-MESSAGE-001", bindings=V12)
def a_message_names_no_destination() -> None:
    """A MESSAGE has no destination."""
    drop_header("MESSAGE", "destination")


@fault("STOMP-MESSAGE-001", bindings=V10)
def a_message_of_a_queue_names_no_destination() -> None:
    """A MESSAGE of a queue has no destination."""
    edit_lines(
        "MESSAGE", lambda lines: [each for each in lines if not each.startswith(b"destination:/queue/")]
    )


@fault("STOMP-MESSAGE-002", bindings=V12)
def messages_are_counted_by_destination() -> None:
    """The message-ids of each destination count from 1."""
    counts: dict[str, int] = {}

    def edit(message: Message) -> Message:
        counts[message.destination] = counts.get(message.destination, 0) + 1
        return msgspec.structs.replace(message, number=counts[message.destination])

    edit_messages(edit)


@fault("STOMP-MESSAGE-002", bindings=V10)
def ids_of_messages_have_one_octet() -> None:
    """The message-id is a number of one octet: the 257th message has the id of the first one."""
    edit_messages(lambda message: msgspec.structs.replace(message, number=message.number % 256))


@fault("STOMP-MESSAGE-003", bindings=V12)
def a_message_names_the_first_subscription() -> None:
    """All messages of a connection name its first subscription."""
    first: dict[Any, Subscription] = {}

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        prefix = self._prefix
        self._prefix = first.setdefault(self._outlet, self)._prefix
        try:
            original(self, message)
        finally:
            self._prefix = prefix


@fault("STOMP-MESSAGE-003", bindings=V11)
def ids_of_subscriptions_are_trimmed() -> None:
    """MESSAGE removes blanks around the id of its subscription."""
    set_header("MESSAGE", "subscription", bytes.strip)


@fault("STOMP-MESSAGE-008", bindings=V10)
def a_message_of_1_0_names_no_subscription() -> None:
    """A MESSAGE on a session of 1.0 has no subscription."""
    drop_header("MESSAGE", "subscription")


@fault("STOMP-MESSAGE-004", bindings=V12)
def a_message_has_no_ack() -> None:
    """A MESSAGE has no ack header in mode client."""

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        if self.mode.value == "client":
            emit = self._outlet.emit
            self._outlet.emit = lambda data: emit(re.sub(rb"\nack:[^\n]*", b"", data, count=1))  # type: ignore[method-assign]
            try:
                original(self, message)
            finally:
                self._outlet.emit = emit  # type: ignore[method-assign]
        else:
            original(self, message)


@fault("STOMP-MESSAGE-004", bindings=V12)
def values_of_ack_come_again() -> None:
    """The ack headers of a connection start anew with every third message."""
    counts: dict[Session, int] = {}

    def edit(session: Session, data: bytes) -> bytes:
        counts[session] = (counts.get(session, 0) + 1) % 3
        return re.sub(rb"\nack:[^\n]*", b"\nack:%d" % counts[session], data, count=1)

    edit_output("MESSAGE", edit)
