"""Helpers for patches of STOMP sessions: frames edited on their way in and out, missing refusals."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.server.oddities import whole
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import Frame, FrameReader
from reference_server.stomp.session import TRANSITIONS, Action, Session
from tests.mutants.patching import wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

V10, V11, V12 = ("stomp-1.0",), ("stomp-1.1",), ("stomp-1.2",)
WEBSOCKET = ("websocket",)
TCP = ("tcp",)

Lines = list[bytes]


def edit_output(command: str, edit: Callable[[Session, bytes], bytes]) -> None:
    """Let `edit` change the octets of each frame with that command that a session sends."""
    start = command.encode() + b"\n"

    @wrap(Session, "emit")
    def emit(original: Any, self: Session, data: bytes) -> None:
        original(self, edit(self, whole(data)) if data.startswith(start) else data)


def edit_lines(command: str, edit: Callable[[Lines], Lines]) -> None:
    """Let `edit` change the header lines of each frame with that command that a session sends."""

    def edit_frame(_session: Session, data: bytes) -> bytes:
        head, _, body = data.partition(b"\n\n")
        first, *lines = head.split(b"\n")
        return b"\n".join([first, *edit(lines)]) + b"\n\n" + body

    edit_output(command, edit_frame)


def drop_header(command: str, name: str) -> None:
    """Leave a header out of each sent frame with that command."""
    start = name.encode() + b":"
    edit_lines(command, lambda lines: [line for line in lines if not line.startswith(start)])


def set_header(command: str, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change the encoded value of a header in each sent frame with that command that has it."""
    start = name.encode() + b":"

    def edit(lines: Lines) -> Lines:
        return [start + change(line[len(start) :]) if line.startswith(start) else line for line in lines]

    edit_lines(command, edit)


def edit_input(edit: Callable[[Session, Frame], Frame]) -> None:
    """Let `edit` replace each frame of a client before it is processed. It must not change the shared headers."""

    @wrap(Session, "_process")
    def obey(original: Any, self: Session, frame: Frame) -> None:
        original(self, edit(self, frame))


def edit_headers(edit: Callable[[Session, Frame], Mapping[str, str]]) -> None:
    """Let `edit` return the headers of each frame of a client."""
    edit_input(lambda session, frame: msgspec.structs.replace(frame, headers=dict(edit(session, frame))))


def overlook(summary: str, *, receipt: bool = False) -> None:
    """Ignore a well-formed frame that requires an ERROR with `summary` in its text; `receipt` still sends a RECEIPT."""

    @wrap(Session, "_process")
    def obey(original: Any, self: Session, frame: Frame) -> None:
        try:
            original(self, frame)
        except ProtocolError as error:
            if summary not in error.summary:
                raise
            if receipt and "receipt" in frame.headers:
                self.grant(frame.headers["receipt"])


def wrap_action(*commands: str) -> Callable[[Callable[..., bool]], Callable[..., bool]]:
    """Replace the action of these commands by the decorated function, which gets the original as first argument.

    Both return whether the receipt is granted at once.
    """

    def put(function: Callable[..., bool]) -> Callable[..., bool]:
        for served in TRANSITIONS.values():
            for command in commands:
                if command in served:
                    action, after = served[command]
                    served[command] = functools.partial(function, _granting(action)), after
        return function

    return put


def _granting(action: Action) -> Callable[[Session, Frame], bool]:
    return lambda session, frame: action(session, frame) is not False


def edit_octets(edit: Callable[[FrameReader, bytes], bytes]) -> None:
    """Let `edit` change the octets of a client before they are split into frames.

    They usually hold one or more whole frames, because the suite sends a message per frame.
    """

    @wrap(FrameReader, "feed")
    def feed(original: Any, self: FrameReader, data: bytes) -> list[Frame]:
        frames: list[Frame] = original(self, edit(self, data))
        return frames


def answer_and_go_on(summary: str = "") -> None:
    """Send an ERROR with `summary` in its text, but leave the connection open."""

    @wrap(Session, "refuse")
    def refuse(original: Any, self: Session, error: ProtocolError, frame: Frame | None = None) -> None:
        if summary not in error.summary or frame is None:
            original(self, error, frame)
            return
        end, self._end = self._end, lambda: None  # type: ignore[method-assign]
        try:
            original(self, error, frame)
        finally:
            self._end = end  # type: ignore[method-assign]


def close_without_error(summary: str = "") -> None:
    """Close the connection without the required ERROR with `summary` in its text."""

    @wrap(Session, "refuse")
    def refuse(original: Any, self: Session, error: ProtocolError, frame: Frame | None = None) -> None:
        if summary in error.summary:
            self._end()
        else:
            original(self, error, frame)
