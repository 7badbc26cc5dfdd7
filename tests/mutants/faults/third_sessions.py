"""Faults of STOMP sessions in a third rewrite: what is cut, what ends, and what stands behind a refused frame.

Their models are public reports on brokers of other makers; each is tried at another header, frame, version or end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.server import websocket
from reference_server.server.application import Application
from reference_server.server.websocket import Channel
from reference_server.stomp.frame import Frame, FrameReader
from reference_server.stomp.session import Session, State
from reference_server.stomp.subscriptions import AckMode, Subscriptions
from reference_server.stomp.transactions import Settlement
from tests.mutants.patching import wrap
from tests.mutants.registry import STOMP, fault
from tests.mutants.stomp_editing import TCP, V10, V11, V12, WEBSOCKET, edit_headers, edit_input, wrap_action

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_server.stomp.errors import ProtocolError
    from reference_server.stomp.session import Parsed

_USER = ("--virtual-clock", "--user", "suite:secret")
_LOGIN = ("--login", "suite", "--passcode", "secret")


# Transactions and acknowledgements


@fault("STOMP-ACK-006", "STOMP-ACK-002", bindings=V12)
def what_an_aborted_ack_names_is_unknown() -> None:
    """A message whose ACK was in a transaction that was aborted cannot be acknowledged any more."""

    @wrap_action("ABORT")
    def abort(original: Any, self: Session, frame: Frame) -> bool:
        opened = self._transactions._open.get(frame.headers.get("transaction", ""))
        original(self, frame)
        for step in opened.steps if opened is not None else ():
            if isinstance(step, Settlement):
                self.subscriptions.unsettled.pop(str(step.delivery.number), None)
                step.delivery.subscription.pending.pop(str(step.delivery.message.number), None)
        return True


# Subscriptions


@fault("STOMP-UNSUB-001", "STOMP-SUB-001", bindings=V12)
def an_id_that_is_used_again_at_once_has_its_old_destination() -> None:
    """A SUBSCRIBE that comes in one piece with the UNSUBSCRIBE of its id listens to the former destination."""

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: Parsed, *times: float) -> None:
        old: dict[str, str] = {}
        edited: Parsed = []
        known = self.subscriptions.destinations()
        for item in items:
            if isinstance(item, Frame) and item.command == "UNSUBSCRIBE":
                name = item.headers.get("id", "")
                if name in known:
                    old[name] = known[name]
            elif isinstance(item, Frame) and item.command == "SUBSCRIBE" and item.headers.get("id") in old:
                headers = {**item.headers, "destination": old[item.headers["id"]]}
                edited.append(msgspec.structs.replace(item, headers=headers))
                continue
            edited.append(item)
        original(self, edited, *times)


@fault("STOMP-SUB-001", "STOMP-UNSUB-001", bindings=V10)
def ids_of_subscriptions_of_1_0_end_at_a_colon() -> None:
    """The id of a subscription of 1.0 ends at its first colon."""

    def edit(session: Session, frame: Frame) -> dict[str, str]:
        if session.version == "1.0" and ":" in frame.headers.get("id", "") and frame.command != "SEND":
            return {**frame.headers, "id": frame.headers["id"].partition(":")[0]}
        return frame.headers

    edit_headers(edit)


@fault("STOMP-UNSUB-001", "STOMP-SUB-014", bindings=V12)
def an_unsubscribe_ends_longer_ids_too() -> None:
    """An UNSUBSCRIBE of `a` ends `a-1` of its session as well: ids are found by their beginning."""

    @wrap(Subscriptions, "remove")
    def remove(original: Any, self: Subscriptions, headers: Any) -> None:
        original(self, headers)
        for name in [each for each in self._by_id if each.startswith(headers.get("id", "\0") + "-")]:
            self._end(self._by_id.pop(name))


@fault("PUB-ACK-2", "PUB-ACK-1", bindings=STOMP)
def unsubscribing_from_one_spelling_ends_both() -> None:
    """An UNSUBSCRIBE of a topic's acknowledgements in one spelling ends those in the other spelling."""
    words = ("/topic/acknowledgment/", "/topic/acknowledgement/")

    @wrap(Subscriptions, "remove")
    def remove(original: Any, self: Subscriptions, headers: Any) -> None:
        ended = self.destinations().get(headers.get("id", ""), "")
        original(self, headers)
        for word, other in (words, words[::-1]):
            for name, destination in self.destinations().items():
                if ended.startswith(word) and destination == other + ended.removeprefix(word):
                    self._end(self._by_id.pop(name))


# Ends of sessions


@fault("STOMP-DISCONNECT-004", bindings=V12)
def a_disconnect_without_receipt_keeps_its_subscriptions() -> None:
    """Messages of a queue go on to a session that sent DISCONNECT without a receipt, until its client closes."""

    @wrap(Session, "_process")
    def process(original: Any, self: Session, frame: Frame) -> None:
        if frame.command != "DISCONNECT" or "receipt" in frame.headers or self._state is not State.LIVE:
            original(self, frame)


@fault("STOMP-ERROR-002", "STOMP-ACK-001", bindings=V12)
def an_ack_behind_a_refused_frame_is_obeyed() -> None:
    """An ACK that comes in one piece behind a refused frame is carried out before what is in flight is freed."""

    _obeys_behind_a_refused_frame("ACK", Session._settle)


@fault("STOMP-ERROR-002", "STOMP-TX-003", bindings=V12)
def a_commit_behind_a_refused_frame_is_obeyed() -> None:
    """A COMMIT that comes in one piece behind a refused frame is carried out."""

    _obeys_behind_a_refused_frame("COMMIT", Session._commit)


def _obeys_behind_a_refused_frame(command: str, obey: Callable[[Session, Frame], None]) -> None:
    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: Parsed, *times: float) -> None:
        def refuse(error: ProtocolError, frame: Frame | None = None) -> None:
            del self.refuse
            behind = items[items.index(frame) + 1 :] if frame in items else []
            for item in behind:
                if isinstance(item, Frame) and item.command == command:
                    obey(self, item)
            self.refuse(error, frame)

        self.refuse = refuse  # type: ignore[method-assign]
        original(self, items, *times)
        vars(self).pop("refuse", None)


# Logins


@fault("STOMP-CONNECT-015", "STOMP-CONNECT-003", bindings=V12, flags=_USER, options=_LOGIN)
def who_offers_1_0_needs_no_passcode() -> None:
    """The passcode is looked at in sessions of 1.1 and 1.2: a CONNECT without accept-version gets in."""

    @wrap_action("CONNECT", "STOMP")
    def connect(original: Any, self: Session, frame: Frame) -> bool:
        users = self.hub.users
        if self._reader.version == "1.0":
            self.hub.users = {}
        try:
            return bool(original(self, frame))
        finally:
            self.hub.users = users


@fault("QSTOMP-BARE-3", bindings=STOMP, flags=_USER, options=_LOGIN)
def the_first_clients_need_no_login() -> None:
    """At /producer and /consumer a session may begin without CONNECT, and so without its login."""

    @wrap(Session, "__init__")
    def init(original: Any, self: Session, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        if named["lenient"]:
            self._enter(State.BARE)


# Octets


@fault("TCP-SEGMENTS-1", bindings=TCP)
def a_character_that_is_cut_between_two_reads_is_replaced() -> None:
    """A character of several octets that is cut between two reads becomes question marks: each read is decoded."""

    @wrap(FrameReader, "feed")
    def feed(original: Any, self: FrameReader, data: bytes) -> Any:
        start = len(data) - len(data.lstrip(bytes(range(0x80, 0xC0))))
        data = b"?" * start + data[start:]
        for width in (1, 2, 3):
            last = data[-width] if len(data) >= width else 0
            if last >= 0xC0 and width < (2 if last < 0xE0 else 3 if last < 0xF0 else 4):
                data = data[:-width] + b"?" * width
                break
        return original(self, data)


@fault("STOMP-WS-005", bindings=WEBSOCKET)
def a_fragment_of_more_than_125_octets_loses_its_last_one() -> None:
    """A continuation frame in the second form of lengths loses its last octet."""

    @wrap(Channel, "_judge")
    def judge(original: Any, self: Channel, octets: bytes, messages: list[bytes]) -> bool:
        if octets[0] & 15 == 0 and len(octets) > 8 and octets[1] == 0x80 + 126:
            length = int.from_bytes(octets[2:4], "big") - 1
            octets = octets[:2] + length.to_bytes(2, "big") + octets[4:-1]
        return bool(original(self, octets, messages))


@fault("STOMP-WS-008", "STOMP-SEND-005", bindings=WEBSOCKET)
def a_binary_message_to_a_client_has_126_octets_at_least() -> None:
    """A binary message to a client that is shorter than 126 octets is sent as text."""

    @wrap(websocket, "_head")
    def head(original: Any, size: int, *, is_text: bool) -> bytes:
        return bytes(original(size, is_text=is_text or size < 126))


@fault("STOMP-SEND-004", bindings=V12)
def of_the_headers_of_a_message_thirty_are_handed_on() -> None:
    """A MESSAGE repeats the first thirty headers of its SEND."""

    def cut(_session: Session, frame: Frame) -> Frame:
        if frame.command == "SEND" and len(frame.headers) > 30:
            return msgspec.structs.replace(frame, headers=dict(list(frame.headers.items())[:30]))
        return frame

    edit_input(cut)


@fault("STOMP-SUB-007", "STOMP-SUB-010", bindings=V11)
def the_mode_of_the_last_subscription_is_everybodys() -> None:
    """All subscriptions of a session have the mode of the last one."""

    @wrap(Subscriptions, "add")
    def add(original: Any, self: Subscriptions, name: str, mode: AckMode, *more: Any) -> None:
        original(self, name, mode, *more)
        for each in self._by_id.values():
            each.mode = mode


@fault("POLL-WAIT-6", "POLL-WAIT-5", bindings=STOMP)
def a_wait_outlives_the_disconnect_of_its_session() -> None:
    """A poll that waits goes on behind a DISCONNECT, and takes the next record along."""

    @wrap(Session, "_process")
    def process(original: Any, self: Session, frame: Frame) -> None:
        binding = self.hub.router.binding
        if frame.command == "DISCONNECT":
            binding._parked.pop(self, None)
        original(self, frame)


@fault("POLL-WAIT-5", "LIVE-EVICT-1", bindings=STOMP)
def who_waited_in_a_session_with_an_error_lives_for_ever() -> None:
    """A consumer whose poll waited in a session that got an ERROR is alive for ever."""

    @wrap(Session, "refuse")
    def refuse(original: Any, self: Session, error: ProtocolError, frame: Frame | None = None) -> None:
        polls = self.hub.router.binding._operations.long_polls
        for address in self.hub.router.binding._parked.get(self, ()):
            if address in polls._parked:
                polls._parked[address].consumer.waiting += 1
        original(self, error, frame)


@fault("ORDER-3", bindings=STOMP)
def large_records_of_a_burst_come_last() -> None:
    """Of frames that come in one piece those of more than 1 KiB are obeyed behind the others."""

    @wrap(Application, "handle")
    def handle(original: Any, self: Application, session: Session, items: Parsed) -> None:
        is_burst = all(isinstance(item, Frame) and item.command == "SEND" for item in items)
        if is_burst and len(items) > 1:
            items = sorted(items, key=lambda item: isinstance(item, Frame) and len(item.body) > 1024)
        original(self, session, items)
