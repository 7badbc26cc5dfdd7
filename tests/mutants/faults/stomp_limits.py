"""Faults at the limits: frames that are too large, readers that are too slow."""

from __future__ import annotations

import threading
from typing import Any

import msgspec

from reference_server.server.clock import wall
from reference_server.server.outbox import Outbox
from reference_server.stomp.frame import Frame, FrameReader
from reference_server.stomp.session import Session
from tests.mutants.patching import wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import V10, V12, close_without_error


@fault("STOMP-LIMIT-004", bindings=V12)
def a_body_beyond_the_limit_ends_without_a_word() -> None:
    """A body that is too large closes the connection without ERROR."""
    close_without_error("too large")


@fault("STOMP-LIMIT-004", bindings=V12)
def too_many_headers_are_refused_and_no_more() -> None:
    """A frame with too many headers gets an ERROR, and the connection stays open."""

    @wrap(FrameReader, "feed")
    def feed(original: Any, self: FrameReader, data: bytes) -> list[Frame]:
        frames: list[Frame] = original(self, data)
        if self.error is not None and self.error.summary == "too many headers":
            self.error = None
            frames.append(Frame("TOO-MANY", {}, b""))
        return frames

    @wrap(Session, "_process")
    def obey(original: Any, self: Session, frame: Frame) -> None:
        if frame.command == "TOO-MANY":
            self.emit(b"ERROR\nmessage:too many headers\n\n\0")
        else:
            original(self, frame)


@fault("STOMP-LIMIT-004", bindings=V12)
def a_body_beyond_the_limit_is_cut() -> None:
    """The part of a body beyond the limit is dropped, and the rest is delivered."""

    @wrap(FrameReader, "__init__")
    def begin(original: Any, self: FrameReader, limits: Any, **named: Any) -> None:
        original(self, msgspec.structs.replace(limits, body_bytes=limits.body_bytes * 2), **named)
        self._declared = limits.body_bytes  # type: ignore[attr-defined]

    @wrap(FrameReader, "feed")
    def feed(original: Any, self: FrameReader, data: bytes) -> list[Frame]:
        frames: list[Frame] = original(self, data)
        for frame in frames:
            frame.body = frame.body[: self._declared]  # type: ignore[attr-defined]
        return frames


@fault("STOMP-LIMIT-007", bindings=V10)
def everybody_waits_for_a_slow_reader() -> None:
    """A sender waits until all recipients have read its message, up to twenty seconds."""
    pause = threading.Event()

    @wrap(Outbox, "flush")
    def flush(original: Any, self: Outbox, on_room: Any) -> None:
        original(self, on_room)
        deadline = wall() + 20
        is_slow_reader = threading.current_thread().name == "slow reader"
        while (
            not is_slow_reader and self._is_pending() and self._transport.fileno() >= 0 and wall() < deadline
        ):
            pause.wait(0.01)
