"""Answers of a server in a normal form, so that two runs can be compared.

An answer is an HTTP reply, a STOMP frame, the result of an upgrade, a WebSocket pong or Close, or the end of a
connection. The normal form keeps what a server decides and drops what differs from run to run: names of the run carry
its token, which becomes `{run}`; ids that the server gave (messageId, message-id, ack) are kept apart; dates, server
names and the wording of refusals are left out.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from conformance.replay.hiding import collapsed
from conformance.wire.cutting import cut_octets

#: Members of JSON bodies and headers of MESSAGE whose values are ids that the server gave.
_ID_MEMBERS = frozenset({"messageId", "message_id"})
_ID_HEADERS = frozenset({"message-id", "ack"})
#: Members and headers whose values differ from run to run.
_VOLATILE_MEMBERS = frozenset({"now", "time"})
_VOLATILE_HEADERS = frozenset({"server", "session", "timestamp", "date"})
#: Headers of HTTP replies that clauses speak of.
_HTTP_HEADERS = frozenset(
    {
        *("allow", "connection", "content-type", "location", "retry-after", "upgrade", "www-authenticate"),
        *(
            "sec-websocket-accept",
            "sec-websocket-extensions",
            "sec-websocket-protocol",
            "sec-websocket-version",
        ),
    }
)
_FRESH = re.compile(r"-[0-9a-f]{8}-\d")
_STATUS_LINE = re.compile(rb"HTTP/\d\.\d (\d{3})")
RUN = "{run}"
#: Prefix of an id of a JSON body in `Answer.ids`; those of headers have the name of the header.
MESSAGE_ID = "messageId:"
_CR = "\r"
_NO_IDS: tuple[str, ...] = ()
SILENCE = "nothing"
END = "end"
BEATS = "heart-beats"
_SWITCHING, _REFUSED = 101, 400


@dataclass(frozen=True)
class Answer:
    """One answer: its kind (a status, a command, `end`), its normal form, and the server's ids in it, in order,
    each with the name of its member or header.

    `octets` is the answer as it was read.
    """

    kind: str
    form: str = ""
    ids: tuple[str, ...] = ()
    octets: bytes = b""

    @property
    def is_refusal(self) -> bool:
        """True if a client could not go on as if the answer were a success."""
        status = self.kind.rpartition(" ")[2]
        return (
            self.kind == "ERROR"
            or self.is_end
            or (status.isdigit() and not _SWITCHING <= int(status) < _REFUSED)
        )

    @property
    def is_end(self) -> bool:
        """True for silence and for the end of the connection."""
        return self.kind in (SILENCE, END) or self.kind.startswith("close")

    def __str__(self) -> str:
        if self.kind == SILENCE:
            return "no answer"
        if self.kind.startswith("close"):
            return f"a Close frame ({self.kind})"
        if self.kind == END:
            return "the end of the connection"
        shown = cut_octets(self.octets, 200)
        return " ".join(shown.replace("\0", "^@").split()) or self.kind


def http_answer(octets: bytes, token: str) -> Answer:
    """Answer of the octets of a whole HTTP reply; other octets stay as they are."""
    head, _, body = octets.partition(b"\r\n\r\n")
    status = _STATUS_LINE.match(head)
    if status is None:
        return octets_answer(octets, token)
    kind = status.group(1).decode()
    kept: list[str] = []
    framing = "until the end"
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        if name in _HTTP_HEADERS:
            kept.append(f"{name}: {value}")
        elif name in ("content-length", "transfer-encoding"):
            framing = name
    if framing == "transfer-encoding":
        body = _unchunked(body)
    content, ids = _body(body, token, shape_only=kind >= "400")
    return Answer(kind, _named("\n".join([*sorted(kept), framing, content]), token), ids, octets)


def frame_answer(octets: bytes, token: str, *, opcode: int = 1, pieces: int = 1) -> Answer:
    """Answer of the octets of a STOMP frame, NUL included, in so many messages of a WebSocket opcode."""
    head, begin, length = _frame_parts(octets)
    body = octets[begin:].removesuffix(b"\0") if length is None else octets[begin : begin + length]
    command, *lines = head.decode("utf-8", "surrogateescape").split("\n")
    if not re.fullmatch(r"[A-Z]+\r?", command):
        return octets_answer(octets, token)
    kind, kept, ids = command.rstrip("\r"), [f"opcode {opcode}, {pieces} messages", command], []
    for line in lines:
        name, _, value = line.partition(":")
        if name == "status" and kind == "MESSAGE":
            kind = f"MESSAGE {value}"
        if name in _ID_HEADERS and command.startswith("MESSAGE"):
            ids.append(f"{name}:{value.removesuffix(_CR)}")
            line = f"{name}:#{_CR if value.endswith(_CR) else ''}"
        elif name in _VOLATILE_HEADERS or (name == "message" and command.startswith("ERROR")):
            line = f"{name}:"
        elif name == "content-length" and value.strip() == str(len(body)):
            line = "content-length:right"
        kept.append(line)
    if command.startswith("ERROR"):
        content, more = ("a body" if body else ""), _NO_IDS
    else:
        status = kind.rpartition(" ")[2]
        content, more = _body(body, token, shape_only=status.isdigit() and status >= "400")
    return Answer(kind, _named("\n".join([*kept, content]), token), (*ids, *more), octets)


def octets_answer(octets: bytes, token: str) -> Answer:
    """Answer of octets that are neither HTTP nor a frame."""
    return Answer("octets", _named(octets.decode("utf-8", "backslashreplace"), token), (), octets)


def end_of_frame(buffer: bytes) -> int | None:
    """Position after the NUL that ends the first frame; None while it has not come."""
    _, begin, length = _frame_parts(buffer)
    if length is not None:
        if begin + length < len(buffer) and buffer[begin + length] == 0:
            return begin + length + 1
        if begin + length >= len(buffer):
            return None
    nul = buffer.find(b"\0")
    return nul + 1 if nul >= 0 else None


def end_of_reply(buffer: bytes, method: str, *, ended: bool) -> int | None:
    """Position after the first HTTP reply, to a request of `method`; None while it is incomplete."""
    end = buffer.find(b"\r\n\r\n")
    status = _STATUS_LINE.match(buffer)
    if end < 0 or status is None:
        return len(buffer) if ended and buffer else None
    head, begin = buffer[:end].lower(), end + 4
    code = int(status.group(1))
    if method == "HEAD" or code in (204, 304) or code < 200:
        return begin
    if b"\r\ntransfer-encoding:" in head:
        last = buffer.find(b"\r\n0\r\n\r\n", end)
        return last + 7 if last >= 0 else len(buffer) if ended else None
    length = re.search(rb"\r\ncontent-length: *(\d{1,15})(?:\r|$)", head)
    if length is None:
        return len(buffer) if ended else None
    whole = begin + int(length.group(1))
    return whole if whole <= len(buffer) else len(buffer) if ended else None


def _frame_parts(octets: bytes) -> tuple[bytes, int, int | None]:
    """Head without its empty line, the position of the body, and the content-length, if any."""
    found = re.search(rb"\n\r?\n", octets)
    nul = octets.find(b"\0")
    if found is None or 0 <= nul < found.start():
        return octets.rstrip(b"\0"), len(octets), None
    head = octets[: found.start()]
    length = re.search(rb"\ncontent-length: *(\d{1,15}) *\r?(?:\n|$)", head)
    return head, found.end(), int(length.group(1)) if length else None


def _unchunked(body: bytes) -> bytes:
    found = bytearray()
    while match := re.match(rb"([0-9A-Fa-f]{1,8})[^\r\n]*\r\n", body):
        size = int(match.group(1), 16)
        found += body[match.end() : match.end() + size]
        body = body[match.end() + size + 2 :]
    return bytes(found)


def _body(body: bytes, token: str, *, shape_only: bool) -> tuple[str, tuple[str, ...]]:
    """Normal form of a body, and the server's ids in it; of a refusal only the shape counts."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ("text" if body else "") if shape_only else body.decode("utf-8", "backslashreplace"), ()
    ids: list[str] = []
    form = _shape(document) if shape_only else _plain(document, token, ids)
    return json.dumps(form, sort_keys=True), tuple(ids)


def _plain(value: Any, token: str, ids: list[str]) -> Any:
    if isinstance(value, dict):
        found: dict[str, Any] = {}
        for name in sorted(value):
            if name in _ID_MEMBERS and isinstance(value[name], int | str):
                ids.append(f"{MESSAGE_ID}{value[name]}")
                found[name] = f"# {type(value[name]).__name__}"
            else:
                found[name] = None if name in _VOLATILE_MEMBERS else _plain(value[name], token, ids)
        return found
    if isinstance(value, list):
        # A server in use lists what other runs have made.
        own = [item for item in value if token in str(item) or not _FRESH.search(str(item))]
        return [_plain(item, token, ids) for item in own]
    return value


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shape(member) for name, member in value.items()}
    return type(value).__name__


def _named(text: str, token: str) -> str:
    return collapsed(text.replace(token, RUN) if token else text)
