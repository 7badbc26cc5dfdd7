"""Faults that users reported of STOMP brokers and clients, modelled on the reference server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_server.server import websocket
from reference_server.server.application import Application
from reference_server.stomp.destinations import PlainQueue
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import FrameReader
from reference_server.stomp.queue_binding import ACKNOWLEDGEMENTS, REPLIES
from reference_server.stomp.session import Session, State
from reference_server.stomp.subscriptions import Subscription, Subscriptions
from reference_server.stomp.transactions import Settlement, Transactions
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import V10, V11, V12, WEBSOCKET, edit_headers, wrap_action

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reference_server.stomp.destinations import Message
    from reference_server.stomp.frame import Frame

_USER = ("--virtual-clock", "--user", "guest:secret")
_LOGIN = ("--login", "guest", "--passcode", "secret")


# Acknowledgements and subscriptions


@fault("STOMP-ACK-002", bindings=V12)
def a_commit_forgets_the_other_deliveries() -> None:
    """A COMMIT with an ACK in it forgets the session's other unacknowledged messages, as ActiveMQ was reported to."""

    @wrap_action("COMMIT")
    def commit(action: Any, self: Session, frame: Frame) -> bool:
        found = self._transactions._open.get(frame.headers.get("transaction", ""))
        steps = list(found.steps) if found else []
        done = bool(action(self, frame))
        if any(isinstance(step, Settlement) for step in steps):
            self.subscriptions.find = _unknown  # type: ignore[method-assign]
        return done


def _unknown(_headers: Mapping[str, str], command: str) -> Any:
    raise ProtocolError(f"{command} of an unknown message", "Nothing is outstanding.")


@fault("STOMP-UNSUB-001", bindings=V12)
def a_quick_subscribe_keeps_the_removed_subscription() -> None:
    """UNSUBSCRIBE has no effect if SUBSCRIBE of another id is next, as Spring's broker was reported to do."""

    @wrap(Session, "_process")
    def process(original: Any, self: Session, frame: Frame) -> None:
        removals = vars(self).setdefault("removals", [])
        if frame.command == "UNSUBSCRIBE" and "receipt" not in frame.headers:
            removals.append(frame)
            return
        if frame.command == "SUBSCRIBE":
            removals.clear()
        while removals:
            original(self, removals.pop())
        original(self, frame)


@fault("STOMP-UNSUB-001", bindings=V11)
def a_subscribe_in_the_same_message_overtakes_an_unsubscribe() -> None:
    """UNSUBSCRIBE has no effect if a SUBSCRIBE was received with it, though it is receipted."""

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: list[Any], now: float, queue_now: float) -> None:
        commands = [getattr(item, "command", "") for item in items]
        ids = {id(item) for item, after in zip(items, commands[1:], strict=False) if after == "SUBSCRIBE"}
        self.__dict__["overtaken"] = ids
        original(self, items, now, queue_now)

    @wrap_action("UNSUBSCRIBE")
    def unsubscribe(action: Any, self: Session, frame: Frame) -> bool:
        return id(frame) in self.__dict__["overtaken"] or bool(action(self, frame))


# Octets and values


@fault("STOMP-ENC-002", bindings=V12)
def an_escape_pair_that_is_cut_loses_its_backslash() -> None:
    r"""A pair that is cut between two reads is read wrongly, `a\` and `cb` as `acb`, as EMQX was reported to do."""

    @wrap(FrameReader, "_keep_head")
    def keep(original: Any, self: FrameReader, rest: bytes) -> None:
        original(self, rest.removesuffix(b"\\"))


def _end_at_colon(*names: str) -> None:
    def edit(session: Session, frame: Frame) -> Mapping[str, str]:
        if session.version != "1.0" or frame.command in ("CONNECT", "STOMP"):
            return frame.headers
        return {
            name: value.partition(":")[0] if name in names or not names else value
            for name, value in frame.headers.items()
        }

    edit_headers(edit)


@fault("STOMP-SEND-006", "STOMP-RECEIPT-002", bindings=V10)
def values_of_1_0_end_at_a_colon() -> None:
    """On a session of 1.0 a value ends at its first colon, as CoilMQ was reported to read it."""
    _end_at_colon()


@fault("STOMP-SEND-006", bindings=V10)
def destinations_of_1_0_end_at_a_colon() -> None:
    """On a session of 1.0 `/topic/v:w` is read as `/topic/v`."""
    _end_at_colon("destination")


@fault("STOMP-RECEIPT-002", bindings=V10)
def receipts_of_1_0_end_at_a_colon() -> None:
    """On a session of 1.0 the receipt `a:b` is answered as `a`."""
    _end_at_colon("receipt")


@fault("STOMP-TX-012", bindings=V10)
def transactions_of_1_0_end_at_a_colon() -> None:
    """On a session of 1.0 the transactions `a:b` and `a:c` are one."""
    _end_at_colon("transaction")


# WebSocket frames, each wrong at a border of the three forms of their length


def _read_extent_by(change: Callable[[int], int]) -> None:
    """Have `change` say how long a frame with so many octets of payload is taken for."""

    @wrap(websocket, "_extent")
    def extent(original: Any, data: bytes, position: int) -> tuple[int, int]:
        payload, end = original(data, position)
        return payload, payload + change(end - payload) if payload < end <= len(data) else end


def _write_head_by(change: Callable[[int, bytes], bytes]) -> None:
    original = websocket._head

    def head(size: int, *, is_text: bool) -> bytes:
        return change(size, original(size, is_text=is_text))

    replace(websocket, "_head")(head)


@fault("STOMP-WS-005", bindings=WEBSOCKET)
def a_frame_of_126_octets_is_read_as_125() -> None:
    """The length 126 is read as the largest that fits into one octet, as a client was reported to do."""
    _read_extent_by(lambda size: 125 if size == 126 else size)


@fault("STOMP-WS-005", bindings=WEBSOCKET)
def a_frame_of_65536_octets_is_read_as_65535() -> None:
    """The first length that takes eight octets is read as the last one that takes two."""
    _read_extent_by(lambda size: 65_535 if size == 65_536 else size)


@fault("STOMP-WS-005", bindings=WEBSOCKET)
def a_frame_of_126_octets_is_written_short() -> None:
    """The length 126 is written in one octet, which announces two further ones."""
    _write_head_by(lambda size, head: head[:1] + b"\x7e" if size == 126 else head)


@fault("STOMP-WS-005", bindings=WEBSOCKET)
def a_frame_of_65535_octets_is_written_as_a_negative_one() -> None:
    """The length 65535 is written with eight octets, all of whose bits are set: it was a signed one."""
    _write_head_by(lambda size, head: head[:1] + b"\x7f" + b"\xff" * 8 if size == 65_535 else head)


@fault("STOMP-WS-005", bindings=WEBSOCKET)
def a_frame_of_64_kib_is_written_with_two_octets() -> None:
    """Of a length of 65536 or more the lower two octets are written."""
    _write_head_by(
        lambda size, head: head[:1] + b"\x7e" + (size & 0xFFFF).to_bytes(2, "big") if size > 0xFFFF else head
    )


# Errors


@fault("STOMP-ERROR-010", bindings=V12)
def a_session_with_an_error_goes_on_taking_messages() -> None:
    """A session that got an ERROR is given messages until its client closes, as HornetQ was reported to do."""

    @wrap(Session, "refuse")
    def refuse(original: Any, self: Session, error: ProtocolError, frame: Frame | None = None) -> None:
        subscriptions, self.subscriptions = (
            self.subscriptions,
            Subscriptions(self, self.hub.limits, self.hub.router.numbers, self.hub.router.budget),
        )
        original(self, error, frame)
        self.subscriptions = subscriptions

    @wrap(Session, "window_open")
    def window_open(original: Any, self: Session) -> bool:
        return self.closing or bool(original(self))

    @wrap(Application, "close_session")
    def close_session(original: Any, self: Application, session: Session) -> None:
        # The first call comes with our own Close frame, the second with the end of the connection.
        if session.closing and session._state is State.ENDED and not vars(session).get("ended"):
            session.__dict__["ended"] = True
            return
        original(self, session)
        with self._turn():
            session.subscriptions.clear()


@fault("STOMP-ERROR-002", "STOMP-RECEIPT-003", bindings=V12)
def what_stands_behind_a_refused_frame_is_obeyed() -> None:
    """Frames of one WebSocket message are obeyed to its end, also behind one that got an ERROR."""

    @wrap(Session, "refuse")
    def refuse(original: Any, self: Session, error: ProtocolError, frame: Frame | None = None) -> None:
        end, self._end = self._end, lambda: None  # type: ignore[method-assign]
        try:
            original(self, error, frame)
        finally:
            self._end = end  # type: ignore[method-assign]
        self.__dict__["is_refused"] = True

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: list[Any], now: float, queue_now: float) -> None:
        original(self, items, now, queue_now)
        if self.__dict__.pop("is_refused", False):
            self._end()


@fault("STOMP-ERROR-002", bindings=V12)
def a_send_behind_a_refused_frame_is_delivered() -> None:
    """A SEND behind a refused frame, in the same WebSocket message, is delivered without a RECEIPT."""

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: list[Any], now: float, queue_now: float) -> None:
        was_open = not self.closing
        original(self, items, now, queue_now)
        if was_open and self.closing:
            for item in items[1:]:
                if getattr(item, "command", "") == "SEND" and "destination" in item.headers:
                    self.hub.router.send(self, item)


# Logins


def _trust_stomp(is_trusted: Callable[[Frame], bool]) -> None:
    """Have a STOMP frame for which `is_trusted` is true open a session without a look at its login."""

    @wrap_action("STOMP")
    def connect(action: Any, self: Session, frame: Frame) -> bool:
        users = self.hub.users
        if is_trusted(frame):
            self.hub.users = {}
        try:
            return bool(action(self, frame))
        finally:
            self.hub.users = users


@fault("STOMP-CONNECT-003", "STOMP-CONNECT-015", bindings=V12, flags=_USER, options=_LOGIN)
def the_command_stomp_needs_no_passcode() -> None:
    """The passcode is looked at in CONNECT and not in STOMP, as two brokers were reported to do."""
    _trust_stomp(lambda _frame: True)


@fault("STOMP-CONNECT-015", "STOMP-CONNECT-014", bindings=V11, flags=_USER, options=_LOGIN)
def a_client_without_login_may_say_stomp() -> None:
    """A STOMP frame without login opens a session, and one with a wrong passcode doesn't."""
    _trust_stomp(lambda frame: "login" not in frame.headers)


def _begin_bare() -> None:
    @wrap(Session, "__init__")
    def init(original: Any, self: Session, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        self._enter(State.BARE)


@fault("STOMP-CONNECT-015", bindings=V12, flags=_USER, options=_LOGIN)
def frames_before_the_login_are_obeyed() -> None:
    """A SEND or SUBSCRIBE before CONNECT is obeyed though a login is asked for, as Vert.x was reported to do."""
    _begin_bare()


@fault("STOMP-CONNECT-015", bindings=V10, flags=_USER, options=_LOGIN)
def a_send_before_the_login_is_obeyed_in_silence() -> None:
    """A SEND before CONNECT is delivered, and answered by an ERROR."""

    @wrap(Session, "_process")
    def process(original: Any, self: Session, frame: Frame) -> None:
        if self._state is State.OPENED and frame.command == "SEND" and "destination" in frame.headers:
            self.hub.router.send(self, frame)
        original(self, frame)


@fault("STOMP-CONNECT-015", bindings=V11, flags=_USER, options=_LOGIN)
def frames_behind_a_refused_login_are_obeyed() -> None:
    """A SEND behind a CONNECT with a wrong passcode, in one WebSocket message, is delivered."""

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: list[Any], now: float, queue_now: float) -> None:
        was_open = not self.closing
        original(self, items, now, queue_now)
        if was_open and self.closing and getattr(items[0], "command", "") == "CONNECT":
            for item in items[1:]:
                if getattr(item, "command", "") == "SEND":
                    self.hub.router.send(self, item)


# Transactions


@fault("STOMP-TX-003", bindings=V12)
def a_transaction_keeps_a_hundred_sends() -> None:
    """Of the SENDs of a transaction the first 100 are kept, and the COMMIT is receipted."""

    @wrap(Transactions, "add")
    def add(original: Any, self: Transactions, name: str, step: Any, octets: int) -> None:
        self.check(name)
        if len(self._open[name].steps) < 100 or isinstance(step, Settlement):
            original(self, name, step, octets)


# Subscriptions of the queue


def _never_end(*prefixes: str) -> None:
    @wrap(Subscriptions, "_end")
    def end(original: Any, self: Subscriptions, subscription: Subscription) -> None:
        if not subscription.destination.startswith(prefixes):
            original(self, subscription)


@fault("STOMP-UNSUB-001", bindings=V12)
def acknowledgements_go_on_after_unsubscribe() -> None:
    """A producer that has unsubscribed from its acknowledgements gets them all the same."""
    _never_end(*ACKNOWLEDGEMENTS)


@fault("STOMP-UNSUB-001", bindings=V11)
def replies_go_on_after_unsubscribe() -> None:
    """A session that has unsubscribed from the replies of its operations gets them all the same."""
    _never_end(REPLIES)


# Messages in flight


@fault("STOMP-SUB-016", bindings=V12)
def a_dying_session_gets_back_what_it_had() -> None:
    """When a session ends, what one of its subscriptions had in flight goes to the next one, and is lost."""

    @replace(Subscriptions, "clear")
    def clear(self: Subscriptions) -> None:
        session: Any = self.outlet
        closing, session.closing = session.closing, False
        try:
            self.parked.clear()
            while self._by_id:
                self._end(self._by_id.pop(next(iter(self._by_id))))
        finally:
            session.closing = closing


@fault("STOMP-SUB-016", bindings=V11)
def what_is_in_flight_goes_to_a_newcomer() -> None:
    """A new consumer of a queue is given what others have in flight."""

    @wrap(PlainQueue, "subscribe")
    def subscribe(original: Any, self: PlainQueue, subscriber: Any) -> None:
        held: list[Message] = []
        for each in self._subscribers:
            held += [delivery.message for delivery in getattr(each, "pending", {}).values()]
        original(self, subscriber)
        for message in held:
            subscriber.deliver(message)
