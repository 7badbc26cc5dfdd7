"""Shorthands for patches of the STOMP side: frames edited on their way in and out, refusals that don't happen."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import Frame, FrameReader
from reference_server.stomp.session import TRANSITIONS, Session
from tests.mutants.patching import wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

V10, V11, V12 = ("stomp-1.0",), ("stomp-1.1",), ("stomp-1.2",)
WEBSOCKET = ("websocket",)

Lines = list[bytes]


def edit_output(command: str, edit: Callable[[Session, bytes], bytes]) -> None:
    """Have `edit` change the octets of each frame of that command that a session sends."""
    start = command.encode() + b"\n"

    @wrap(Session, "emit")
    def emit(original: Any, self: Session, data: bytes) -> None:
        original(self, edit(self, data) if data.startswith(start) else data)


def edit_lines(command: str, edit: Callable[[Lines], Lines]) -> None:
    """Have `edit` change the header lines of each frame of that command that a session sends."""

    def edit_frame(_session: Session, data: bytes) -> bytes:
        head, _, body = data.partition(b"\n\n")
        first, *lines = head.split(b"\n")
        return b"\n".join([first, *edit(lines)]) + b"\n\n" + body

    edit_output(command, edit_frame)


def drop_header(command: str, name: str) -> None:
    """Leave a header out of each frame of that command."""
    start = name.encode() + b":"
    edit_lines(command, lambda lines: [line for line in lines if not line.startswith(start)])


def set_header(command: str, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change the value, as it is written, of a header of each frame of that command that has it."""
    start = name.encode() + b":"

    def edit(lines: Lines) -> Lines:
        return [start + change(line[len(start) :]) if line.startswith(start) else line for line in lines]

    edit_lines(command, edit)


def edit_input(edit: Callable[[Session, Frame], Frame]) -> None:
    """Have `edit` change each frame of a client before it is obeyed; readers share headers, so it makes new ones."""

    @wrap(Session, "_process")
    def obey(original: Any, self: Session, frame: Frame) -> None:
        original(self, edit(self, frame))


def edit_headers(edit: Callable[[Session, Frame], Mapping[str, str]]) -> None:
    """Have `edit` say which headers each frame of a client has."""
    edit_input(lambda session, frame: msgspec.structs.replace(frame, headers=dict(edit(session, frame))))


def overlook(summary: str, *, receipt: bool = False) -> None:
    """Do nothing about a well-formed frame where an ERROR with that in its summary is due; or grant its receipt."""

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
    """Put the decorated function in the place of what these commands do; it gets that as its first argument."""

    def put(function: Callable[..., bool]) -> Callable[..., bool]:
        for served in TRANSITIONS.values():
            for command in commands:
                if command in served:
                    action, after = served[command]
                    served[command] = functools.partial(function, action), after
        return function

    return put


def edit_octets(edit: Callable[[FrameReader, bytes], bytes]) -> None:
    """Have `edit` change the octets of a client before they are cut into frames.

    They are mostly one frame, or several, for the suite sends a message for each.
    """

    @wrap(FrameReader, "feed")
    def feed(original: Any, self: FrameReader, data: bytes) -> list[Frame]:
        frames: list[Frame] = original(self, edit(self, data))
        return frames


def answer_and_go_on(summary: str = "") -> None:
    """Send the ERROR and leave the connection open where one with that in its summary is due."""

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
    """End the connection without a word where an ERROR with that in its summary is due."""

    @wrap(Session, "refuse")
    def refuse(original: Any, self: Session, error: ProtocolError, frame: Frame | None = None) -> None:
        if summary in error.summary:
            self._end()
        else:
            original(self, error, frame)
