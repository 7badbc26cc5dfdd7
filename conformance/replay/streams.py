"""Answers of one connection, split from the octets that it brings in any grouping."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from websocket import ABNF

from conformance.replay.answers import (
    END,
    Answer,
    end_of_frame,
    end_of_reply,
    frame_answer,
    http_answer,
    octets_answer,
)

if TYPE_CHECKING:
    from conformance.wire.trace import Event

#: Octets kept of an incomplete answer.
BUFFER_LIMIT = 64 << 20


class Stream:
    """Splits the received events of one connection into answers; `token` is that of the run's names."""

    def __init__(self, token: str) -> None:
        self.answers: deque[Answer] = deque()
        """Whole answers that nobody has taken."""
        self.arrivals: list[float] = []
        """Times at which octets came, heart-beats included, in seconds since the start of the trace."""
        self.beats = 0
        """Heart-beats received."""
        self._token = token
        self._buffer = b""
        self._methods: deque[str] = deque()
        self._is_raw = False
        self._pieces = 0
        self._is_http = False

    def sent(self, event: Event) -> None:
        """Note a request, whose method says whether its reply has a body."""
        if event.kind == "http":
            self._methods.append(event.octets.split(b" ", 1)[0].decode("latin-1"))

    def feed(self, event: Event) -> None:
        """Take a received event: octets, the result of an upgrade, or the end of the connection."""
        self.arrivals.append(event.at)
        if event.what == "upgraded":
            protocol = event.facts.get("subprotocol") or ""
            self.answers.append(Answer(f"upgrade {event.facts.get('status')}", protocol))
        elif event.what == "end":
            self._split(ended=True)
            self.flush()
            self.answers.append(Answer(END, "broken frames" if event.facts.get("broken") else ""))
        elif event.kind == "ws":
            self._control(event)
        else:
            self._is_http = event.kind == "http"
            self._pieces += "opcode" in event.facts  # what TCP brings at once is chance
            self._buffer = (self._buffer + event.octets)[-BUFFER_LIMIT:]
            self._split(opcode=event.facts.get("opcode", 1))

    def flush(self) -> None:
        """Make an answer of incomplete octets, since no more are read."""
        if self._buffer.strip(b"\r\n"):
            self.answers.append(octets_answer(self._buffer, self._token))
        self._buffer = b""

    def has_part(self, octets: int) -> bool:
        """True if at least so many octets of an incomplete answer have come."""
        return len(self._buffer) >= octets > 0

    def _control(self, event: Event) -> None:
        if event.facts.get("opcode") == ABNF.OPCODE_CLOSE:
            self.flush()
            code = int.from_bytes(event.octets[:2], "big") if event.octets else 0
            self.answers.append(Answer(f"close {code}" if code else "close"))
        elif event.facts.get("opcode") == ABNF.OPCODE_PONG:
            self.answers.append(Answer("pong", octets=event.octets, form=event.octets.hex()))

    def _split(self, *, opcode: int = 1, ended: bool = False) -> None:
        while True:
            if self._is_http:
                method = self._methods[0] if self._methods else ""
                end = None if self._is_raw else end_of_reply(self._buffer, method, ended=ended)
            else:
                self._skip_line_ends()
                end = end_of_frame(self._buffer) if self._buffer else None
            if end is None:
                return
            octets, self._buffer = self._buffer[:end], self._buffer[end:]
            if self._is_http:
                self._reply(octets)
            else:
                self.answers.append(
                    frame_answer(octets, self._token, opcode=opcode, pieces=max(1, self._pieces))
                )
                self._pieces = 1 if self._buffer else 0

    def _skip_line_ends(self) -> None:
        kept = self._buffer.lstrip(b"\r\n")
        if not kept:
            self.beats += bool(self._buffer)
            self._pieces = 0
        self._buffer = kept

    def _reply(self, octets: bytes) -> None:
        answer = http_answer(octets, self._token)
        self.answers.append(answer)
        if answer.kind == "101":
            self._is_raw = True
        elif self._methods and not answer.kind.startswith("1"):
            self._methods.popleft()
