"""Oddities in the choices that the text leaves to a session: to refuse, accept, beat, wait or end."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.server import connection
from reference_server.stomp import frame, liveness, session
from reference_server.stomp.destinations import Broadcast, Message
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import Frame, FrameReader
from reference_server.stomp.negotiation import Intervals
from reference_server.stomp.session import TRANSITIONS, Session, State
from reference_server.stomp.subscriptions import AckMode, Subscription, Subscriptions
from reference_server.stomp.transactions import Transactions
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import variant
from tests.mutants.stomp_editing import (
    V10,
    V11,
    V12,
    WEBSOCKET,
    overlook,
    set_header,
    wrap_action,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reference_server.stomp.subscriptions import Delivery


# Refusing and accepting


@variant("Where the server MAY refuse, it refuses.", bindings=(*V11, *V12))
def whatever_may_be_refused_is_refused() -> None:
    """Ids and transactions can't be used again on a connection; CONNECT needs a host; settling twice is refused."""
    used: dict[Any, set[str]] = {}

    @wrap(Subscriptions, "check")
    def check(original: Any, self: Subscriptions, headers: Mapping[str, str]) -> Any:
        identifier, mode = original(self, headers)
        if identifier in used.setdefault(self, set()):
            raise ProtocolError("subscription id was in use", "Choose an id that was never in use.")
        used[self].add(identifier)
        return identifier, mode

    @wrap(Transactions, "begin")
    def begin(original: Any, self: Transactions, headers: Mapping[str, str]) -> None:
        name = headers.get("transaction")
        if name in used.setdefault(self, set()):
            raise ProtocolError("transaction was used before", "Choose a name that was never used.")
        original(self, headers)
        used[self].add(name or "")

    @wrap_action("CONNECT", "STOMP")
    def connect(action: Any, self: Session, frame: Frame) -> bool:
        if self._reader.version in ("1.1", "1.2") and frame.headers.get("host") not in (
            "127.0.0.1",
            "localhost",
        ):
            raise ProtocolError("no such host", "Name the host that you are connected to.")
        return bool(action(self, frame))


def _know_settled() -> None:
    """Grant the receipts of ACKs and NACKs that are late, repeated, or not needed."""
    settled: dict[Subscriptions, set[str]] = {}

    @wrap(Subscriptions, "settle")
    def settle(original: Any, self: Subscriptions, delivery: Delivery, *, consumed: bool) -> None:
        before = dict(self.unsettled)
        original(self, delivery, consumed=consumed)
        for number, each in before.items():
            if number not in self.unsettled:
                settled.setdefault(self, set()).update((number, f"m{each.message.number}"))

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        original(self, message)
        if self.mode is AckMode.AUTO:
            known = settled.setdefault(self._book, set())
            known.add(str(message.number) if self._outlet.version == "1.2" else f"m{message.number}")

    @wrap_action("ACK", "NACK")
    def acknowledge(action: Any, self: Session, frame: Frame) -> bool:
        headers = frame.headers
        key = headers.get("id", "") if self.version == "1.2" else f"m{headers.get('message-id', '')}"
        try:
            return bool(action(self, frame))
        except ProtocolError:
            if key not in settled.get(self.subscriptions, ()) or "transaction" in headers:
                raise
            return True


@variant(
    "Where the server MAY accept, it accepts (STOMP-ACK-005, STOMP-ACK-007, STOMP-CMD-001).",
    bindings=(*V11, *V12),
)
def whatever_may_be_accepted_is_accepted() -> None:
    """Late, repeated and needless ACKs get receipts; unknown commands and malformed lengths are ignored."""
    _know_settled()
    overlook("unknown command")

    @wrap(FrameReader, "_read_lines")
    def read(original: Any, self: FrameReader, text: str, octets: int) -> Any:
        command, headers = original(self, text, octets)
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            headers = {name: value for name, value in headers.items() if name != "content-length"}
        return command, headers

    @wrap(Session, "_process")
    def obey(original: Any, self: Session, frame: Frame) -> None:
        if frame.body and frame.command != "SEND":  # STOMP-BODY-002
            frame = msgspec.structs.replace(frame, body=b"")
        original(self, frame)

    @wrap(session, "agree_on_heartbeats")
    def agree(original: Any, headers: Mapping[str, str], smallest: float) -> Intervals:
        try:
            agreed: Intervals = original(headers, smallest)
        except ProtocolError:
            return Intervals()
        return agreed


@variant("A second CONNECT may be answered by CONNECTED (STOMP-CONNECT-012).", bindings=V12)
def a_session_may_connect_again() -> None:
    """A second CONNECT is answered by a CONNECTED like the first."""
    for command, (action, _after) in TRANSITIONS[State.OPENED].items():
        TRANSITIONS[State.LIVE][command] = action, State.LIVE


@variant("What comes before CONNECT need not be refused (STOMP-CONNECT-011).", bindings=(*V11, *V12))
def what_comes_before_connect_is_carried_out() -> None:
    """A first frame other than CONNECT opens a session of 1.0, and a later CONNECT is a second one."""

    @wrap(Session, "__init__")
    def begin(original: Any, self: Session, shared: Any, **named: Any) -> None:
        original(self, shared, **named)
        self._enter(State.BARE)


# Endings


@variant(
    "The server may leave the close to the client (STOMP-DISCONNECT-002).", bindings=(*V10, *V12, *WEBSOCKET)
)
def the_client_closes_after_a_disconnect() -> None:
    """After DISCONNECT the server ends the session and waits for the client to close."""
    over: set[Session] = set()

    @wrap(Session, "_end")
    def end(original: Any, self: Session) -> None:
        if self._state is not State.ENDED or self in over or self.closing:
            original(self)
            return
        over.add(self)
        self._transactions.clear()
        self.hub.router.binding.cancel(self)
        self.subscriptions.clear()
        self.liveness.intervals = Intervals()

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: list[Any], now: float, queue_now: float) -> None:
        original(self, [] if self in over else items, now, queue_now)

    @wrap(Session, "lost")
    def lost(original: Any, self: Session, now: float) -> None:
        original(self, now)
        over.discard(self)


@variant(
    "A connection may be closed on which no whole frame comes (STOMP-WS-019, STOMP-LIMIT-008).",
    flags=("--virtual-clock", "--first-frame-timeout", "1", "--incomplete-frame-timeout", "1"),
    bindings=(*V12, *WEBSOCKET),
)
def frames_have_to_come_soon() -> None:
    """A connection has one second for CONNECT, and for any frame that has begun."""


# Time


@variant(
    "A server may have no heart-beats (STOMP-HEARTBEAT-003, STOMP-HEARTBEAT-004).", bindings=(*V11, *V12)
)
def there_are_no_beats() -> None:
    """CONNECTED says `heart-beat:0,0`."""
    set_header("CONNECTED", "heart-beat", lambda _value: b"0,0")
    replace(session, "agree_on_heartbeats")(lambda _headers, _smallest: Intervals())


@variant("The server may ask for any interval (STOMP-HEARTBEAT-005).", bindings=(*V11, *V12))
def beats_are_rare() -> None:
    """The server offers and wants beats every two seconds."""
    set_header("CONNECTED", "heart-beat", lambda _value: b"2000,2000")

    @wrap(session, "agree_on_heartbeats")
    def agree(original: Any, headers: Mapping[str, str], smallest: float) -> Intervals:
        agreed: Intervals = original(headers, 2.0)
        return agreed


@variant("A silent client need not be dropped (STOMP-HEARTBEAT-008).", bindings=V12)
def silent_clients_are_kept() -> None:
    """The server sends and wants beats, and tolerates clients that send none."""
    liveness._TOLERANCE = 1e6


@variant("Messages and RECEIPTs have no common order.", bindings=(*V11, *V12))
def messages_come_late() -> None:
    """A message of a topic reaches its subscriptions up to 20 ms after the RECEIPT of its SEND."""
    chance = random.Random(11)
    waiting: dict[Session, list[tuple[float, Subscription, Message]]] = {}

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        outlet = self._outlet
        if not isinstance(self.source, Broadcast) or not isinstance(outlet, Session):
            original(self, message)
            return
        line = waiting.setdefault(outlet, [])
        due = max(outlet.hub.now + chance.choice([0.0, 0.005, 0.02]), line[-1][0] if line else 0.0)
        line.append((due, self, message))
        outlet.hub.deadlines.set(outlet, due)

    delivered = deliver.__wrapped__

    def give(self: Session, now: float) -> None:
        line = waiting.get(self, [])
        while line and line[0][0] <= now:
            _, subscription, message = line.pop(0)
            if self.subscriptions._by_id.get(subscription.id) is subscription:
                delivered(subscription, message)

    @wrap(Session, "on_time")
    def on_time(original: Any, self: Session, now: float) -> None:
        give(self, now)
        original(self, now)

    @wrap(Session, "deadline")
    def deadline(original: Any, self: Session) -> float:
        return min([float(original(self)), *(each[0] for each in waiting.get(self, ())[:1])])


@variant("A session need not name its subprotocol's version, or has to (STOMP-WS-002).", bindings=WEBSOCKET)
def the_subprotocol_decides_on_the_version() -> None:
    """A session has the version of the selected subprotocol, or is refused."""

    selected = threading.local()

    @wrap(connection, "shake_hands")
    def shake(original: Any, headers: Any) -> Any:
        response = original(headers)
        name = response.headers.get("Sec-WebSocket-Protocol")
        selected.version = f"{name[1]}.{name[2]}" if name else None
        return response

    @wrap(frame, "agree")
    def agree(original: Any, headers: Any, versions: tuple[str, ...]) -> Any:
        only = getattr(selected, "version", None)
        return original(headers, (only,) if only else versions)


@variant(
    "A refused CONNECT may name what is missing in any way (STOMP-CONNECT-002).",
    bindings=V12,
    flags=("--virtual-clock", "--user", "guest:a:b\\c"),
    options=("--login", "guest", "--passcode", "a:b\\c"),
)
def only_users_may_connect() -> None:
    """CONNECT needs a login, and its passcode has a colon and a backslash."""
