"""A small client of STOMP 1.2 over `websocket-client`, which reads as the text says."""

from __future__ import annotations

import re
from dataclasses import dataclass

import websocket

DEADLINE = 10.0
_PAIRS = {"\\n": "\n", "\\r": "\r", "\\c": ":", "\\\\": "\\"}


@dataclass(frozen=True)
class Frame:
    """A frame of the server; of repeated headers the first is kept, and all are in `lines`."""

    command: str
    headers: dict[str, str]
    body: bytes
    lines: list[str]


class Client:
    """A connection whose frames are read from one stream of octets, however messages divide it."""

    def __init__(self, url: str, **headers: str) -> None:
        self.link = websocket.create_connection(url, timeout=DEADLINE)
        self.messages: list[tuple[int, bytes]] = []
        self.octets = b""
        self.skipped = b""
        """Line ends between frames."""
        try:
            self.send("CONNECT", accept_version="1.2", host="localhost", **headers)
            self.connected = self.expect("CONNECTED")
        except BaseException:
            self.close()
            raise

    def send(self, command: str, body: str = "", **headers: str) -> None:
        """Send a frame; an underscore in a name is a hyphen."""
        lines = [f"{name.replace('_', '-')}:{_escaped(value)}\n" for name, value in headers.items()]
        if command == "CONNECT":
            lines = [line.replace("\\c", ":") for line in lines]
        self.link.send(f"{command}\n{''.join(lines)}\n{body}\0")

    def next(self) -> Frame:
        """Return the next frame."""
        while True:
            bare = self.octets.lstrip(b"\r\n")
            self.skipped += self.octets[: len(self.octets) - len(bare)]
            self.octets = bare
            found = re.match(rb"((?:[^\n]+\n)+?)\r?\n", bare)
            if found:
                lines = [line.removesuffix("\r") for line in found[1].decode().split("\n")[:-1]]
                frame = self._frame(lines, bare[found.end() :])
                if frame is not None:
                    return frame
            opcode, data = self.link.recv_data()
            assert opcode in (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY), (opcode, data)
            self.messages.append((opcode, data))
            self.octets += data

    def _frame(self, lines: list[str], rest: bytes) -> Frame | None:
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            if lines[0] != "CONNECTED":
                name, value = _decoded(name), _decoded(value)
            headers.setdefault(name, value)
        size = int(headers["content-length"]) if "content-length" in headers else rest.find(b"\0")
        if not 0 <= size < len(rest):
            return None
        assert rest[size] == 0
        self.octets = rest[size + 1 :]
        return Frame(lines[0], headers, rest[:size], lines)

    def expect(self, command: str) -> Frame:
        """Return the next frame, which has this command."""
        frame = self.next()
        assert frame.command == command, frame
        return frame

    def close(self) -> None:
        """Close the connection without a DISCONNECT."""
        self.link.shutdown()


def _escaped(value: str) -> str:
    pairs = {plain: pair for pair, plain in _PAIRS.items()}
    return "".join(pairs.get(character, character) for character in value)


def _decoded(text: str) -> str:
    return re.sub(r"\\.", lambda found: _PAIRS[found[0]], text)
