"""Faults in the grammar of frames: lines, line ends, commands, header names, malformed frames."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.server.websocket import Channel
from reference_server.stomp import frame as frames
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import Frame, FrameReader
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import V10, V11, V12, edit_input, edit_octets, edit_output, wrap_action

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_server.stomp.session import Session


@fault("STOMP-ABNF-001", bindings=V12)
def an_error_ends_with_two_nuls() -> None:
    """An ERROR is followed by a second NUL."""
    edit_output("ERROR", lambda _session, data: data + b"\0")


@fault("STOMP-ABNF-001", bindings=V11)
def lines_of_a_message_end_with_cr_lf() -> None:
    """The lines of a MESSAGE end with CR LF on sessions of 1.1, which does not allow it."""

    def edit(_session: Session, data: bytes) -> bytes:
        head, _, body = data.partition(b"\n\n")
        return head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + body

    edit_output("MESSAGE", edit)


@fault("STOMP-ABNF-002", bindings=V12)
def a_frame_of_its_own_greets() -> None:
    """CONNECTED is followed by a frame WELCOME with the server's name."""

    @wrap_action("CONNECT", "STOMP")
    def connect(action: Any, self: Session, frame: Frame) -> bool:
        done: bool = action(self, frame)
        self.emit(b"WELCOME\nserver:reference\n\n\0")
        return done


def _read_lines_by(change: Callable[[FrameReader, str], str]) -> None:
    """Have `change` edit the text of command and headers before it is cut into lines."""

    @wrap(FrameReader, "_read_lines")
    def read(original: Any, self: FrameReader, text: str, octets: int) -> Any:
        return original(self, change(self, text), octets)


@fault("STOMP-ABNF-003", bindings=V12)
def a_header_needs_no_name() -> None:
    """A header line without a name is accepted and ignored."""
    _read_lines_by(lambda _reader, text: re.sub(r"\n:[^\n]*", "", text))


@fault("STOMP-ABNF-006", bindings=V12)
def an_empty_value_is_malformed() -> None:
    """A header without a value is answered by ERROR, as in the grammar of 1.0."""

    @wrap(FrameReader, "_read_lines")
    def read(original: Any, self: FrameReader, text: str, octets: int) -> Any:
        command, headers = original(self, text, octets)
        if "" in headers.values():
            raise ProtocolError("header without a value", "Give it one, or leave the header out.")
        return command, headers


@fault("STOMP-ABNF-006", bindings=V11)
def an_empty_value_is_dropped() -> None:
    """A header without a value is not passed on."""
    edit_input(
        lambda _session, frame: msgspec.structs.replace(
            frame, headers={name: value for name, value in frame.headers.items() if value}
        )
    )


@fault("STOMP-ABNF-005", bindings=V12)
def few_line_ends_may_follow_a_frame() -> None:
    """Only the first of several line ends behind a frame counts as one."""
    frames._EOLS = re.compile(rb"(?:\r?\n)?")


@fault("STOMP-ABNF-005", bindings=V10)
def many_line_ends_are_a_flood() -> None:
    """A client that sends more than 256 line ends at once is disconnected."""

    @wrap(FrameReader, "feed")
    def feed(original: Any, self: FrameReader, data: bytes) -> list[Frame]:
        read: list[Frame] = original(self, data)
        if b"\n" * 257 in data and self.error is None:
            self.error = ProtocolError("too many line ends", "One will do as a sign of life.")
        return read


@fault("STOMP-ABNF-005", bindings=V12)
def a_cr_behind_a_counted_body_begins_a_frame() -> None:
    """A CR LF behind a body of known length is malformed; an LF there, and a CR LF behind other bodies, is none."""

    def refuse(reader: FrameReader, data: bytes) -> bytes:
        if b"\ncontent-length:" in data and data.endswith(b"\0\r\n"):
            reader.error = ProtocolError("bad command", "A frame begins with a command.")
        return data

    edit_octets(refuse)


@fault("STOMP-FRAME-001", bindings=V12, shuts_out=True)
def lines_end_with_cr_lf_only() -> None:
    """Frames whose lines end with LF are not understood."""

    def refuse(reader: FrameReader, data: bytes) -> bytes:
        if b"\n" in data.partition(b"\0")[0].strip(b"\r\n").replace(b"\r\n", b""):
            reader.error = ProtocolError("bad line ends", "Lines end with CR LF.")
        return data

    edit_octets(refuse)


@fault("STOMP-FRAME-002", bindings=V12)
def a_cr_before_lf_stays() -> None:
    """The CR of a line end is kept at the end of a header's value."""

    @replace(frames, "_without_cr")
    def without_cr(text: str) -> str:
        command, _, rest = text.partition("\n")
        return command.rstrip("\r") + _ + rest


@fault("STOMP-FRAME-002", bindings=V12)
def the_first_line_decides_on_line_ends() -> None:
    """Lines may end with CR LF only if the command line does."""

    @wrap(FrameReader, "_end_of_head")
    def end_of_head(original: Any, self: FrameReader, data: bytes, position: int, end: int) -> Any:
        line_end = data.find(b"\n", position, end)
        if data[line_end - 1 : line_end] == b"\r":
            return original(self, data, position, end)
        head_end = data.find(b"\n\n", position, end)
        return head_end, head_end + 2


@fault("STOMP-FRAME-003", bindings=V12)
def a_frame_needs_a_header() -> None:
    """A frame without any header is malformed."""

    @wrap(FrameReader, "_read_lines")
    def read(original: Any, self: FrameReader, text: str, octets: int) -> Any:
        command, headers = original(self, text, octets)
        if not headers:
            raise ProtocolError("frame without headers", "Give it one.")
        return command, headers


@fault("STOMP-FRAME-004", bindings=V12)
def the_empty_line_may_be_missing() -> None:
    """A frame without an empty line is processed on all endpoints."""

    @wrap(FrameReader, "_head_without_empty_line")
    def head(original: Any, self: FrameReader, data: bytes, position: int, nul: int) -> int:
        lenient, self._lenient = self._lenient, True
        try:
            return int(original(self, data, position, nul))
        finally:
            self._lenient = lenient


@fault("STOMP-FRAME-005", bindings=V12)
def at_most_32_frames_of_a_read_are_obeyed() -> None:
    """After the 32nd frame that arrives at once the rest is lost."""

    @wrap(FrameReader, "feed")
    def feed(original: Any, self: FrameReader, data: bytes) -> list[Frame]:
        read: list[Frame] = original(self, data)
        return read[:32]


@fault("STOMP-FRAME-005", bindings=V10)
def a_body_that_does_not_belong_is_a_frame() -> None:
    """The body of a frame other than SEND is read as the next frame."""
    edit_octets(
        lambda _reader, data: re.sub(
            rb"^((?:SUBSCRIBE|BEGIN)\n(?:[^\n\0]+\n)+\n)(?=\n*[A-Z])", rb"\1" + b"\0", data
        )
    )


@fault("STOMP-FRAME-006", bindings=V12, hard=True)
def a_length_must_not_be_cut_in_two() -> None:
    """If a read ends between the two octets of a WebSocket length, the first of them is lost."""

    @wrap(Channel, "receive")
    def receive(original: Any, self: Channel, data: bytes) -> bytes | None:
        octets: bytes | None = original(self, data)
        if len(self._pending) == 3 and self._pending[1] == 0x80 + 126:
            del self._pending[2:]
        return octets


@fault("STOMP-FRAME-006", bindings=V11, hard=True, effort="standard")
def a_message_is_read_in_two_pieces_at_most() -> None:
    """A WebSocket message that arrives in more than two pieces loses the second one."""
    pieces: dict[Channel, int] = {}

    @wrap(Channel, "receive")
    def receive(original: Any, self: Channel, data: bytes) -> bytes | None:
        pieces[self] = pieces.get(self, 0) + 1 if self._pending else 0
        before = bytes(self._pending)
        octets: bytes | None = original(self, data)
        if octets is None and pieces[self] == 1 and self._wanted > len(before) + len(data) > 100:
            self._pending[len(before) :] = bytes(len(data))
        return octets


def _rename(change: Callable[[str], str]) -> None:
    edit_input(lambda _session, frame: msgspec.structs.replace(frame, command=change(frame.command)))


@fault("STOMP-FRAME-007", bindings=V12)
def commands_are_matched_by_their_beginning() -> None:
    """SENDX means SEND."""
    commands = ("SEND", "SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK", "BEGIN", "COMMIT", "ABORT", "DISCONNECT")
    _rename(lambda command: next((each for each in commands if command.startswith(each)), command))


@fault("STOMP-FRAME-007", bindings=V11)
def commands_are_matched_in_any_case() -> None:
    """The commands `send` and `Connect` are accepted."""
    _rename(str.upper)

    @wrap(FrameReader, "_read_lines")
    def read(original: Any, self: FrameReader, text: str, octets: int) -> Any:
        command, headers = original(self, text, octets)
        return command.upper(), headers


@fault("STOMP-FRAME-007", bindings=V12)
def four_letters_that_begin_like_send_are_send() -> None:
    """Any command of four letters that begins with SE means SEND."""
    _rename(lambda command: "SEND" if len(command) == 4 and command.startswith("SE") else command)


@fault("STOMP-FRAME-008", bindings=V12)
def header_names_are_matched_in_any_case() -> None:
    """The header `Destination` means `destination`."""
    known = {"destination", "receipt", "id", "ack", "transaction", "content-length"}

    @wrap(FrameReader, "_read_lines")
    def read(original: Any, self: FrameReader, text: str, octets: int) -> Any:
        command, headers = original(self, text, octets)
        return command, {n.lower() if n.lower() in known else n: value for n, value in headers.items()}


@fault("STOMP-FRAME-009", bindings=V12)
def any_cr_is_dropped() -> None:
    """Every CR in the head of a frame is removed."""

    @replace(frames, "_without_cr")
    def without_cr(text: str) -> str:
        return text.replace("\r", "")


@fault("STOMP-FRAME-009", bindings=V12)
def a_cr_in_a_header_is_an_octet_like_others() -> None:
    """A CR without LF in a header is accepted and delivered."""

    @replace(frames, "_without_cr")
    def without_cr(text: str) -> str:
        return text.replace("\r\n", "\n").removesuffix("\r")


@fault("STOMP-FRAME-010", bindings=V12)
def a_line_without_a_colon_is_a_header_without_a_value() -> None:
    """`junk` means the same as `junk:`."""
    _read_lines_by(lambda _reader, text: re.sub(r"(?m)(?<=\n)([^:\n]+)$", r"\1:", text))


@fault("STOMP-FRAME-010", bindings=V10)
def a_line_of_one_octet_ends_the_headers() -> None:
    """A header line of one octet counts as the empty line, and the rest of the head as the body."""
    edit_octets(lambda _reader, data: re.sub(rb"^((?:[^\n\0]+\n)+?)[^\n\0:]\n", rb"\1\n", data, count=1))


@fault("STOMP-BODY-001", bindings=V12)
def a_receipt_has_a_body() -> None:
    """A RECEIPT says `OK`."""
    edit_output("RECEIPT", lambda _session, data: data[:-1] + b"OK\0")


@fault("STOMP-BODY-001", bindings=V11)
def connected_has_a_body() -> None:
    """CONNECTED has a body with a greeting."""
    edit_output("CONNECTED", lambda _session, data: data[:-1] + b"Welcome.\0")


@fault("STOMP-REPEAT-001", bindings=V12)
def the_last_of_repeated_headers_holds() -> None:
    """The last of several headers with one name is used."""

    def reverse(_reader: FrameReader, text: str) -> str:
        command, *lines = text.split("\n")
        return "\n".join([command, *reversed(lines)])

    _read_lines_by(reverse)


@fault("STOMP-REPEAT-001", bindings=V12)
def the_last_of_repeated_lengths_holds() -> None:
    """The last of several content-lengths is used, and the first of other headers."""

    def move(_reader: FrameReader, text: str) -> str:
        command, *lines = text.split("\n")
        lengths = [line for line in lines if line.startswith("content-length:")]
        others = [line for line in lines if not line.startswith("content-length:")]
        return "\n".join([command, *others, *lengths[-1:]])

    _read_lines_by(move)
