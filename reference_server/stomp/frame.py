"""Frames of clients: from any chunking of octets to whole frames, strictly and within bounds.

The octets of a frame are kept until the frame is whole, and not looked at again before it can be, so that head
(command and headers) and body are bounded by `StompLimits`. The version of a session decides how the head is read;
since a client may send CONNECT and more in one go, the reader itself follows the negotiation (STOMP-NEG-002).
"""

import re
from collections.abc import Iterable

import msgspec

from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.escapes import header_lines, unescape
from reference_server.stomp.limits import StompLimits
from reference_server.stomp.negotiation import VERSIONS, agree
from reference_server.stomp.strangers import stranger

CONNECTING = frozenset({"CONNECT", "STOMP"})

_LF = 0x0A
_CR = 0x0D
# LFs and pairs of CR LF; written so that a long row of LFs is one step, and takes no memory for each.
_EOLS = re.compile(rb"\n*(?:\r\n+)*")
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_KNOWN_OCTETS = 1024
"""Longest head that is remembered: of a thousand connections, each remembers one."""
_RECEIPT = re.compile(r"^receipt:([^\n\x00]*)", re.MULTILINE)


class Frame(msgspec.Struct):
    """One frame of a client. Of repeated headers the first is kept (STOMP-REPEAT-001, -002).

    Readers share the headers between equal frames: never change them.
    """

    command: str
    headers: dict[str, str]
    body: bytes


class FrameReader:
    """Splits the octets of one connection into frames (STOMP-FRAME-006).

    `lenient` accepts the frames of the `stomper` library: a frame without the empty line, CR LF in any version
    (QSTOMP-STOMPER-1, QSTOMP-STOMPER-2).
    """

    def __init__(self, limits: StompLimits, *, lenient: bool = False) -> None:
        self.version: str | None = None
        """The negotiated version; None before CONNECT, and if there was none in common."""
        self.error: ProtocolError | None = None
        """The fault of a stream that was malformed or over a bound: nothing after it is read."""
        self._limits = limits
        self._lenient = lenient
        self._pending = bytearray()
        self._wanted = 0
        """Octets that the kept frame has at least; if its body is not counted, that make its body too large."""
        self._is_counted = True
        self._known_head: bytes | None = None
        self._known: tuple[str, dict[str, str], int | None] = ("", {}, None)

    @property
    def incomplete(self) -> bool:
        """True while the last frame is incomplete."""
        return bool(self._pending)

    @property
    def held(self) -> int:
        """Octets that are kept of it."""
        return len(self._pending)

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next octets and return the frames that they complete. Never raises: see `error`."""
        frames: list[Frame] = []
        if self.error is not None:
            return frames
        if self._pending:
            self._pending += data
            if len(self._pending) < self._wanted and (self._is_counted or 0 not in data):
                return frames
            data = bytes(self._pending)
            self._pending.clear()
        try:
            self._split(data, frames)
        except ProtocolError as error:
            self.error = error
        return frames

    def _split(self, data: bytes, frames: list[Frame]) -> None:
        """Read frames, and keep the octets of the last one if it is not whole (STOMP-FRAME-005)."""
        position, size = 0, len(data)
        find = data.find
        has_cr = find(b"\r") >= 0
        while position < size:
            if data[position] == _LF or data[position] == _CR:
                # EOLs between frames mean nothing, nor before the first (STOMP-ABNF-005, STOMP-FRAME-011).
                eols = _EOLS.match(data, position)
                position = eols.end() if eols else position
                if position >= size:
                    return
            nul = find(b"\0", position)  # ends a body that is not counted (STOMP-CLEN-007)
            end = size if nul < 0 else nul
            head_end = find(b"\n\n", position, end)
            body = head_end + 2
            if has_cr and find(b"\r", position, body if head_end >= 0 else end) >= 0:
                head_end, body = self._end_of_head(data, position, end)
            if head_end < 0:
                if nul < 0:
                    self._keep_head(data[position:])
                    return
                head_end, body = self._head_without_empty_line(data, position, nul), nul
            command, headers, length = self._read_head(data[position:head_end])
            if length is not None:  # STOMP-CLEN-001, STOMP-CLEN-006, STOMP-CLEN-011
                nul = body + length
                if nul < size and data[nul]:
                    raise _unterminated(headers)
            most = self._limits.body_bytes
            if (size if nul < 0 else nul) - body > most:  # before its end is seen (STOMP-LIMIT-003)
                advice = f"A body may have {most} octets."
                raise ProtocolError("body too large", advice, receipt=headers.get("receipt"))
            if not 0 <= nul < size:
                self._refuse_stranger(data[position:head_end])
                self._pending += data[position:]
                self._is_counted = length is not None
                self._wanted = (nul if self._is_counted else body + most) + 1 - position
                return
            frames.append(Frame(command, headers, data[body:nul]))
            position = nul + 1
            if self.version is None and command in CONNECTING:
                self.version = agree(headers, VERSIONS)
                self._known_head = None

    def _end_of_head(self, data: bytes, position: int, end: int) -> tuple[int, int]:
        """Find the empty line where CR LF ends lines too: in 1.2 (STOMP-FRAME-002) and before CONNECT."""
        if not self._crlf:
            head_end = data.find(b"\n\n", position, end)
            return head_end, head_end + 2
        found = _EMPTY_LINE.search(data, position, end)
        return (found.start(), found.end()) if found else (-1, -1)

    @property
    def _crlf(self) -> bool:
        return self._lenient or self.version is None or self.version == "1.2"

    def _head_without_empty_line(self, data: bytes, position: int, nul: int) -> int:
        if self._lenient:  # QSTOMP-STOMPER-2
            return len(data[:nul].rstrip(b"\r\n")) if nul > position else position
        self._refuse_stranger(data[position:nul] or data[position : position + 7])
        # STOMP-FRAME-004: a NUL before the empty line ends nothing.
        advice = "An empty line must follow the command and the headers; a NUL came first."
        receipt = self._find_receipt(data[position:nul].decode(errors="replace"))
        raise ProtocolError("frame without an empty line", advice, receipt=receipt)

    def _keep_head(self, rest: bytes) -> None:
        self._refuse_stranger(rest)
        if len(rest) > self._limits.header_bytes:
            raise self._head_too_large(rest.decode(errors="replace"))
        self._pending += rest
        self._wanted = 0

    def _refuse_stranger(self, octets: bytes) -> None:
        """Raise ProtocolError for SockJS framing, and before CONNECT for the first octets of other protocols."""
        if self.version is None or octets.startswith(b"["):
            found = stranger(octets)
            if found is not None:
                raise ProtocolError(*found)

    def _read_head(self, head: bytes) -> tuple[str, dict[str, str], int | None]:
        """Decode command, headers and content-length; equal heads in a row are decoded once.

        There may be no header at all (STOMP-FRAME-003).
        """
        if head == self._known_head:
            return self._known
        try:
            text = head.decode()
        except UnicodeDecodeError:
            advice = "Commands and headers are UTF-8 text (STOMP-ENC-001); binary data belongs into the body."
            receipt = self._find_receipt(head.decode(errors="replace"))
            raise ProtocolError("header octets are not UTF-8", advice, receipt=receipt) from None
        try:
            if "\r" in text and self._crlf:
                text = _without_cr(text)
            command, headers = self._read_lines(text, len(head))
            length = _read_length(headers["content-length"]) if "content-length" in headers else None
        except ProtocolError as error:
            self._refuse_stranger(head)
            if error.receipt is None:
                error.receipt = self._find_receipt(text)
            raise
        known = (command, headers, length)
        if len(head) <= _KNOWN_OCTETS:
            self._known_head, self._known = head, known
        return known

    def _read_lines(self, text: str, octets: int) -> tuple[str, dict[str, str]]:
        command, *lines = text.split("\n")  # LF alone ends a line (STOMP-FRAME-001)
        self._check_bounds(text, len(lines), octets)
        headers: dict[str, str] = {}
        for line in lines:
            # Blanks and case are kept (STOMP-ENC-008, STOMP-FRAME-008), empty values too (STOMP-ABNF-006).
            name, colon, value = line.partition(":")
            if not colon or not name:
                # STOMP-FRAME-010, STOMP-ABNF-003
                advice = f"Expected name:value with a name; found {line[:100]!r}."
                raise ProtocolError("malformed header line", advice)
            if name not in headers:
                headers[name] = value
        # CONNECT is taken literally (STOMP-ENC-005); STOMP-ENC-007: names are escaped too.
        version = self.version
        if "\\" in text and version is not None and command not in CONNECTING:
            headers = _first_of(lines, version)
        return command, headers

    def _check_bounds(self, text: str, lines: int, octets: int) -> None:
        """Raise ProtocolError if the head is over a bound (STOMP-LIMIT-001, -002, -004)."""
        limits = self._limits
        if lines > limits.headers:
            raise ProtocolError("too many headers", f"A frame may have {limits.headers} header lines.")
        if octets <= limits.header_line_bytes and octets <= limits.header_bytes:
            return
        if octets > limits.header_bytes:
            raise self._head_too_large(text)
        if max(len(line.encode()) for line in text.split("\n")) > limits.header_line_bytes:
            advice = f"A line of the head may have {limits.header_line_bytes} octets."
            raise ProtocolError("header line too long", advice)

    def _head_too_large(self, text: str) -> ProtocolError:
        advice = f"Command and headers may have {self._limits.header_bytes} octets."
        return ProtocolError("head of the frame too large", advice, receipt=self._find_receipt(text))

    def _find_receipt(self, text: str) -> str | None:
        """Look for the receipt of an unreadable frame, so that its ERROR can name it (STOMP-ERROR-004)."""
        found = _RECEIPT.search(text)
        if found is None:
            return None
        receipt = found.group(1).removesuffix("\r")
        try:
            return unescape(receipt, self.version or "1.0")
        except ProtocolError:
            return None


def _first_of(lines: list[str], version: str) -> dict[str, str]:
    """Decode escaped header lines; the first of equal decoded names holds."""
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(unescape(name, version), unescape(value, version))
    return headers


def _without_cr(text: str) -> str:
    """Take the CRs before LFs away; raises ProtocolError if others are left (STOMP-FRAME-009).

    In 1.0 and 1.1, which have no CR LF, CR is an octet like others.
    """
    text = text.replace("\r\n", "\n").removesuffix("\r")
    if "\r" in text:
        raise ProtocolError("CR inside a line of the head", r"In STOMP 1.2 CR only precedes LF; write \r.")
    return text


def _read_length(length: str) -> int:
    """Read content-length, on any frame (STOMP-CLEN-008, STOMP-CLEN-010).

    Raises ProtocolError if it is no plain decimal number (STOMP-CLEN-009).
    """
    if not (length.isdigit() and length.isascii() and len(length) <= 18):
        advice = f"Expected the number of octets of the body; found {length[:100]!r}."
        raise ProtocolError("malformed content-length", advice)
    return int(length)


def _unterminated(headers: dict[str, str]) -> ProtocolError:
    # STOMP-CLEN-002
    advice = f"content-length announced {headers.get('content-length')} octets, which a NUL must follow."
    return ProtocolError("no NUL after the body", advice, receipt=headers.get("receipt"))


def encode(command: str, headers: Iterable[tuple[str, str]], body: bytes = b"", *, version: str) -> bytes:
    """Write a frame (STOMP-ABNF-001); headers that the version cannot express are left out."""
    lines = [command, *header_lines(headers, version)]
    return b"%b\n\n%b\0" % ("\n".join(lines).encode(), body)
