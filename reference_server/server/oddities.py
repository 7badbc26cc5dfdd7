"""Oddities: legal but unusual ways to write frames and messages, which a conforming client survives (`--odd NAME`).

Each edits the output of a session on its way to the WebSocket. Those that were asked for follow one another in the
order of this module: heads, line ends, the order of frames, messages. A `read` edits the frames of the client.
"""

import difflib
import math
import random
import re
import threading
import weakref
from collections.abc import Callable, Sequence

import msgspec
from websockets.frames import Frame as Message
from websockets.frames import Opcode

from reference_server.config import ConfigError
from reference_server.server.clock import wall
from reference_server.server.websocket import Control
from reference_server.stomp.escapes import escape
from reference_server.stomp.frame import Frame
from reference_server.stomp.negotiation import Intervals
from reference_server.stomp.outlet import Large
from reference_server.stomp.session import Parsed, Session

Read = Callable[[Session, Parsed], Parsed]
Edit = Callable[[Session, list[bytes]], list[bytes]]


class Oddity(msgspec.Struct, frozen=True):
    """One row of the table; `freedom` is the clause or section that leaves it open."""

    name: str
    summary: str
    freedom: str
    write: Edit
    read: Read | None


ODDITIES: dict[str, Oddity] = {}
ALL = (b"CONNECTED", b"MESSAGE", b"RECEIPT", b"ERROR")
LATE_SECONDS = 0.01
"""Time for which `receipts-come-late` holds a RECEIPT back."""

_chance = random.Random(7)
_pause = threading.Event()  # never set


def passage(names: Sequence[str]) -> tuple[Edit, Read]:
    """Return the edit of all output, and that of all input. Raises ConfigError for an unknown name."""
    for unknown in [name for name in names if name not in ODDITIES]:
        near = ", ".join(difflib.get_close_matches(unknown, ODDITIES)) or "one of --list-odd"
        raise ConfigError(f"odd: there is no {unknown!r}. Expected {near}.")
    chosen = [oddity for name, oddity in ODDITIES.items() if name in names]

    def write(session: Session, items: list[bytes]) -> list[bytes]:
        if chosen:
            items = [whole(item) for item in items]
        for oddity in chosen:
            items = oddity.write(session, items)
        return items

    def read(session: Session, items: Parsed) -> Parsed:
        for oddity in chosen:
            items = oddity.read(session, items) if oddity.read else items
        return items

    return write, read


def whole(item: bytes) -> bytes:
    """Return a frame or heart-beat in one piece."""
    return item + item.tail if isinstance(item, Large) else item


def _odd(freedom: str, *commands: bytes, read: Read | None = None) -> Callable[[Edit], Edit]:
    """Register an edit, named by the function: of the heads of frames with these commands, or else of all output.

    A head is a list of its lines, the command first; output is a list of frames and heart-beats sent together.
    """

    def register(edit: Edit) -> Edit:
        def write(session: Session, items: list[bytes]) -> list[bytes]:
            return [with_head(session, item) if item.startswith(commands) else item for item in items]

        def with_head(session: Session, item: bytes) -> bytes:
            head, *rest = item.partition(b"\n\n")
            return b"".join([b"\n".join(edit(session, head.split(b"\n"))), *rest])

        name = edit.__name__.replace("_", "-")
        summary = (edit.__doc__ or "").rstrip(".")
        ODDITIES[name] = Oddity(name, summary, freedom, write if commands else edit, read)
        return edit

    return register


# Heads


@_odd("CONNECTED needs no header but the version (STOMP-CONNECT-008).", b"CONNECTED")
def connected_says_little(session: Session, head: list[bytes]) -> list[bytes]:
    """CONNECTED has no session, server or heart-beat header, and there are no heart-beats."""
    session.liveness.intervals = Intervals()
    return [line for line in head if not line.startswith((b"session:", b"server:", b"heart-beat:"))]


@_odd("The names of sessions and servers are theirs to choose (STOMP-CONNECT-009, -010).", b"CONNECTED")
def sessions_have_long_names(_session: Session, head: list[bytes]) -> list[bytes]:
    """CONNECTED has a session name of a thousand octets with colons, and a server header with a comment."""
    head = [line.replace(b"session:", b"session:%b:" % (b"x" * 1000), 1) for line in head]
    return [line + b" (a comment: with \\ and /)" if line.startswith(b"server:") else line for line in head]


@_odd("`content-length:0` is allowed on any frame (STOMP-BODY-001).", b"CONNECTED", b"RECEIPT")
def every_frame_is_counted(_session: Session, head: list[bytes]) -> list[bytes]:
    """RECEIPT and CONNECTED have a content-length of 0."""
    return [*head, b"content-length:0"]


@_odd("A body that is empty needs no count, nor does an ERROR need a body.")
def nothing_is_not_counted(_session: Session, items: list[bytes]) -> list[bytes]:
    """A MESSAGE without a body has no content-length, and an ERROR has only its message."""
    items = [re.sub(rb"^(MESSAGE\n(?:.+\n)*?)content-length:0\n", rb"\1", item) for item in items]
    return [_with_body(item, b"") if item.startswith(b"ERROR") else item for item in items]


@_odd("An ERROR may have any body, and any headers besides (STOMP-ERROR-006).")
def an_error_tells_everything(_session: Session, items: list[bytes]) -> list[bytes]:
    """The body of an ERROR is a long trace with characters of several octets and NULs."""
    trace = ("at größe.日本(🙂)\0\n" * 2000).encode()
    return [_with_body(item, trace) if item.startswith(b"ERROR") else item for item in items]


def _with_body(item: bytes, body: bytes) -> bytes:
    head = [line for line in item.partition(b"\n\n")[0].split(b"\n") if not line.startswith(b"content-")]
    counted = [b"content-type:text/plain;charset=utf-8", b"content-length:%d" % len(body)] if body else []
    return b"\n".join([*head, *counted]) + b"\n\n" + body + b"\0"


_ODD = "".join(map(chr, range(1, 128))) + " größe🙂 "
_ENDS = {"1.0": "", "1.1": _ODD.replace("\r", ""), "1.2": _ODD}
"""Ends of odd ids by version: 1.0 has no escapes, and 1.1 none for CR."""


def _read_odd_ids(session: Session, items: Parsed) -> Parsed:
    def read(name: str, value: str) -> str:
        end = _ENDS[session.version] if name in ("id", "message-id") else ""
        return value.removesuffix(end) if value.endswith(end) else "of nobody"

    def read_frame(frame: Frame) -> Frame:
        headers = {name: read(name, value) for name, value in frame.headers.items()}
        return msgspec.structs.replace(frame, headers=headers) if frame.command in ("ACK", "NACK") else frame

    return [read_frame(item) if isinstance(item, Frame) else item for item in items]


@_odd("Ids are any strings (STOMP-MESSAGE-002, STOMP-MESSAGE-004).", b"MESSAGE", read=_read_odd_ids)
def ids_are_odd_strings(session: Session, head: list[bytes]) -> list[bytes]:
    """Ids have all ASCII characters that a header can hold, characters of several octets, and a blank at the end."""
    end = escape(_ENDS[session.version], session.version).encode()
    return [line + end if line.startswith((b"message-id:", b"ack:")) else line for line in head]


@_odd("A frame may have headers that nobody asked for (STOMP-MESSAGE-006).", *ALL)
def every_frame_has_more_headers(session: Session, head: list[bytes]) -> list[bytes]:
    """Each frame has unknown headers, from 1.1 on some with escaped octets and some without a value."""
    if head[0] == b"CONNECTED":
        return [head[0], b"x-cluster:a:b", *head[1:], b"x-last:1"]
    if session.version == "1.0":
        return [head[0], b"server-time:2026-11-24 12:00:00", b"priority:4", *head[1:]]
    names = [b"server-time:12\\c00", b"x-empty:", b"x\\codd\\\\name:two\\nlines", "größe:日本".encode()]
    return [head[0], *names, *head[1:]]


@_odd("The order of headers says nothing (STOMP-SEND-004).", *ALL)
def headers_come_in_any_order(_session: Session, head: list[bytes]) -> list[bytes]:
    """The headers of each frame are shuffled."""
    return [head[0], *_chance.sample(head[1:], len(head) - 1)]


@_odd("Later entries of a header may be passed on behind the first (STOMP-REPEAT-002).", *ALL)
def headers_are_repeated(session: Session, head: list[bytes]) -> list[bytes]:
    """From 1.1 on each header of a frame is repeated with another value, after all original ones."""
    names = [line.partition(b":")[0] for line in head[1:] if session.version != "1.0"]
    return head + [name + b":second" for name in names if name != b"content-length"]


# Line ends and heart-beats


@_odd("Beats may come more often than agreed, and several at once (STOMP-HEARTBEAT-006).")
def beats_come_often(session: Session, items: list[bytes]) -> list[bytes]:
    """Heart-beats come after any part of the agreed interval, by one to three line ends each time."""
    session.liveness.early = _chance.uniform(0.05, 0.75)
    return [b"\n" * _chance.randint(1, 3) if item == b"\n" else item for item in items]


@_odd("In 1.2 lines may end with LF and with CR LF (STOMP-ABNF-001, STOMP-HEARTBEAT-006).")
def line_ends_are_mixed(session: Session, items: list[bytes]) -> list[bytes]:
    """On sessions of 1.2 a line of the server, and a heart-beat, ends with LF or with CR LF, at random."""
    return _end_lines(session, items, [b"\n", b"\r\n"])


@_odd("In 1.2 a line may end with CR LF (STOMP-ABNF-001, STOMP-HEARTBEAT-006).")
def lines_end_with_cr_lf(session: Session, items: list[bytes]) -> list[bytes]:
    """On sessions of 1.2 all lines of the server end with CR LF, and so do its heart-beats."""
    return _end_lines(session, items, [b"\r\n"])


def _end_lines(session: Session, items: list[bytes], ends: list[bytes]) -> list[bytes]:
    """On a session of 1.2 end each line of a head, and each heart-beat, with one of `ends`."""

    def ended(head: re.Match[bytes]) -> bytes:
        return re.sub(rb"\r?\n", lambda _: _chance.choice(ends), head[0])

    if session.version != "1.2":
        return items
    return [re.sub(rb"\A((?s:.*?)\r?\n\r?\n|\n)", ended, item) for item in items]


@_odd("Any number of line ends may stand between frames (STOMP-WS-016).")
def line_ends_follow_every_frame(_session: Session, items: list[bytes]) -> list[bytes]:
    """The NUL of each frame is followed by one to three line ends in the same message."""
    return [item + b"\n" * _chance.randint(1, 3) for item in items]


# Order and time of frames


def _wait(_session: Session, items: Parsed) -> Parsed:
    _pause.wait(_chance.choice([0, 0.001, 0.006]) if _chance.random() > 0.02 else 0.08)
    return items


@_odd("How fast a server answers is not said.", read=_wait)
def frames_are_answered_late(_session: Session, items: list[bytes]) -> list[bytes]:
    """Frames of a client are processed up to 6 ms later, and now and then 80 ms later."""
    return items


_held: weakref.WeakKeyDictionary[Session, tuple[float, list[bytes]]] = weakref.WeakKeyDictionary()
"""RECEIPTs that are held back, the newest first, and the wall time until which they are."""


@_odd("RECEIPTs and other frames have no common order, nor have RECEIPTs (STOMP-RECEIPT-005).")
def receipts_come_late(session: Session, items: list[bytes]) -> list[bytes]:
    """RECEIPTs come 10 ms late, the newest first: MESSAGEs overtake them, even the RECEIPT of their SUBSCRIBE."""
    until, held = _held.pop(session, (math.inf, []))
    if session.closing:
        return [*held, *items]
    released, held = (held, []) if wall() >= until else ([], held)
    receipts = [item for item in reversed(items) if item.startswith(b"RECEIPT")] + held
    if receipts:
        until = until if held else wall() + LATE_SECONDS
        _held[session] = until, receipts
        session.hub.deadlines.set(session, until)
    return [item for item in items if not item.startswith(b"RECEIPT")] + released


# Messages


@_odd("WebSocket messages are an octet stream (chapter on WebSocket).")
def several_frames_share_a_message(_session: Session, items: list[bytes]) -> list[bytes]:
    """Frames that are sent together are one message."""
    return [b"".join(items)] if items else items


@_odd("An empty message holds no octet of the stream.")
def empty_messages_come_between(_session: Session, items: list[bytes]) -> list[bytes]:
    """An empty message precedes each message."""
    return [each for item in items for each in (b"", item)]


@_odd("WebSocket messages are an octet stream (chapter on WebSocket).")
def a_frame_takes_several_messages(_session: Session, items: list[bytes]) -> list[bytes]:
    """Each frame is sent in binary messages of seven octets; octets beyond a hundred such messages go in one."""
    pieces = [(*(item[i : i + 7] for i in range(0, min(len(item), 700), 7)), item[700:]) for item in items]
    return [_binary(*(piece for piece in of_one if piece)) for of_one in pieces]


@_odd("Messages may be binary (STOMP-WS-008).")
def every_message_is_binary(_session: Session, items: list[bytes]) -> list[bytes]:
    """The server sends binary messages only."""
    return [item if isinstance(item, Control) else _binary(item) for item in items]


def _binary(*messages: bytes) -> Control:
    """Binary messages that stay together: an unfinished frame must not be dropped."""
    return Control(b"".join(Message(Opcode.BINARY, each).serialize(mask=False) for each in messages))
