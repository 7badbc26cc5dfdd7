"""Faults in heart-beats of both directions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.stomp import liveness, session
from reference_server.stomp.liveness import Liveness
from reference_server.stomp.negotiation import Intervals
from reference_server.stomp.session import Session
from tests.mutants.patching import wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import V11, V12, set_header

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _agree_by(change: Callable[[Mapping[str, str], Intervals], Intervals]) -> None:
    """Have `change(headers, agreed)` choose the intervals that the server keeps, and expects, in seconds."""

    @wrap(session, "agree_on_heartbeats")
    def agree(original: Any, headers: Mapping[str, str], smallest: float) -> Intervals:
        return change(headers, original(headers, smallest))


@fault("STOMP-HEARTBEAT-001", bindings=V12)
def intervals_have_a_blank_between_them() -> None:
    """CONNECTED says `heart-beat:100, 100`."""
    set_header("CONNECTED", "heart-beat", lambda value: value.replace(b",", b", "))


@fault("STOMP-HEARTBEAT-001", bindings=V11)
def intervals_have_fractions() -> None:
    """CONNECTED says `heart-beat:100.0,100.0`."""
    set_header("CONNECTED", "heart-beat", lambda value: value.replace(b",", b".0,") + b".0")


@fault("STOMP-HEARTBEAT-002", bindings=V12)
def no_header_asks_for_beats() -> None:
    """A client whose CONNECT has no heart-beat header gets a beat every second."""
    _agree_by(
        lambda headers, agreed: agreed if "heart-beat" in headers else Intervals(server=1.0, client=0.0)
    )


@fault("STOMP-HEARTBEAT-002", bindings=V11)
def an_idle_client_is_dropped() -> None:
    """A client that agreed on no beats is dropped after a second of silence."""
    _agree_by(
        lambda headers, agreed: agreed if "heart-beat" in headers else Intervals(server=0.0, client=0.4)
    )


@fault("STOMP-HEARTBEAT-003", bindings=V12)
def beats_are_asked_of_who_promised_none() -> None:
    """A client that offers 0 is expected to beat as often as it wants beats."""
    _agree_by(
        lambda _headers, agreed: (
            agreed if agreed.client else msgspec.structs.replace(agreed, client=agreed.server)
        )
    )


@fault("STOMP-HEARTBEAT-004", bindings=V12)
def beats_are_sent_to_who_wants_none() -> None:
    """A client that wants no beats gets them at the interval of its own beats."""
    _agree_by(
        lambda _headers, agreed: (
            agreed if agreed.server else msgspec.structs.replace(agreed, server=agreed.client)
        )
    )


@fault("STOMP-HEARTBEAT-005", bindings=V12)
def beats_come_too_rarely() -> None:
    """A beat is sent only after three intervals."""
    liveness._EARLY = 3.0


@fault("STOMP-HEARTBEAT-005", bindings=V11)
def the_two_numbers_are_mixed_up() -> None:
    """The server beats at the interval that the client promised for itself, not at the one it wants."""

    def swap(headers: Mapping[str, str], agreed: Intervals) -> Intervals:
        sends, _, wants = headers.get("heart-beat", "0,0").partition(",")
        slow = max(int(sends), 4000) / 1000
        return msgspec.structs.replace(agreed, server=slow) if agreed.server and int(wants) else agreed

    _agree_by(swap)


@fault("STOMP-HEARTBEAT-005", bindings=V12, hard=True)
def beats_stop_after_a_while() -> None:
    """The server stops after the fifth beat."""
    beats: dict[Session, int] = {}

    @wrap(Session, "emit")
    def emit(original: Any, self: Session, data: bytes) -> None:
        if data == b"\n":
            beats[self] = beats.get(self, 0) + 1
            if beats[self] > 5:
                return
        original(self, data)


@fault("STOMP-HEARTBEAT-005", bindings=V11, hard=True)
def beats_stop_after_a_message() -> None:
    """The first MESSAGE stops the timer of the beats."""
    silent: set[Session] = set()

    @wrap(Session, "emit")
    def emit(original: Any, self: Session, data: bytes) -> None:
        if data.startswith(b"MESSAGE\n"):
            silent.add(self)
        if data != b"\n" or self not in silent:
            original(self, data)


@fault("STOMP-HEARTBEAT-005", bindings=V12)
def what_comes_postpones_what_goes() -> None:
    """One timer serves both directions: while the client sends, the server sends no beats."""

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: list[Any], now: float, queue_now: float) -> None:
        original(self, items, now, queue_now)
        if self.liveness.intervals.server:
            self.liveness.said_at = now


@fault("STOMP-HEARTBEAT-006", bindings=V12)
def a_beat_is_a_frame() -> None:
    """The server beats by an unrequested RECEIPT."""

    @wrap(Session, "emit")
    def emit(original: Any, self: Session, data: bytes) -> None:
        original(self, b"RECEIPT\nreceipt-id:heart-beat\n\n\0" if data == b"\n" else data)


@fault("STOMP-HEARTBEAT-007", bindings=V12)
def only_whole_frames_are_signs_of_life() -> None:
    """Line ends and incomplete frames do not count as signs of life."""
    _hear_by(lambda items, _incomplete: bool(items))


@fault("STOMP-HEARTBEAT-007", bindings=V11)
def only_line_ends_are_signs_of_life() -> None:
    """A frame doesn't count as a sign of life."""
    _hear_by(lambda items, incomplete: not items and not incomplete)


@fault("STOMP-HEARTBEAT-007", bindings=V12)
def the_octets_of_half_a_frame_are_no_sign_of_life() -> None:
    """Complete frames and line ends count as signs of life, incomplete frames do not."""
    _hear_by(lambda items, incomplete: bool(items) or not incomplete)


def _hear_by(counts: Callable[[list[Any], bool], bool]) -> None:
    """Have `counts(frames, incomplete)` decide if input is a sign of life."""

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: list[Any], now: float, queue_now: float) -> None:
        before = self.liveness.heard_at
        original(self, items, now, queue_now)
        if not counts(items, self._reader.incomplete):
            self.liveness.heard_at = before


@fault("STOMP-HEARTBEAT-009", bindings=V12)
def there_is_no_margin() -> None:
    """A client is disconnected as soon as its silence exceeds its interval."""
    liveness._TOLERANCE = 1.0
    liveness._MARGIN = 0.0


@fault("STOMP-HEARTBEAT-011", "STOMP-HEARTBEAT-005", bindings=V12)
def more_is_announced_than_kept() -> None:
    """CONNECTED promises beats every 10 ms, but the timer runs every three seconds."""
    set_header("CONNECTED", "heart-beat", lambda _value: b"10,100")
    _agree_by(
        lambda _headers, agreed: msgspec.structs.replace(agreed, server=3 * math.ceil(agreed.server / 3))
    )


@fault("STOMP-HEARTBEAT-011", "STOMP-HEARTBEAT-005", bindings=V11)
def short_intervals_are_not_kept() -> None:
    """CONNECTED promises 100 ms, but beats are at least two seconds apart."""
    original = Liveness.beat_at.fget
    assert original is not None
    Liveness.beat_at = property(  # type: ignore[method-assign, assignment]
        lambda self: max(original(self), self.said_at + 2) if self.intervals.server else math.inf
    )
