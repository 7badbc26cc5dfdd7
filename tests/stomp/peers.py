"""A client's end of a pure session, a strict reader of its output, and a toy queue behind it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from reference_server.stomp import Hub, Session, StompLimits

_PAIRS = {"\\n": "\n", "\\c": ":", "\\\\": "\\", "\\r": "\r"}
_WAIT = re.compile(rb'"wait_seconds":([1-9][0-9]{0,2})\b')


@dataclass(frozen=True)
class Received:
    """One frame that the server sent."""

    command: str
    headers: dict[str, str]
    body: bytes

    def __getitem__(self, name: str) -> str:
        return self.headers[name]


def read(item: bytes, version: str) -> Received:
    """Parse one output item, which must be exactly one frame with nothing after its NUL."""
    head, empty, rest = item.partition(b"\n\n")
    assert empty, f"no empty line: {item!r}"
    assert rest.endswith(b"\0"), f"no NUL, or something after it: {item!r}"
    command, *lines = head.decode().split("\n")
    assert command in {"CONNECTED", "MESSAGE", "RECEIPT", "ERROR"}
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        assert colon, f"no colon: {line!r}"
        if command != "CONNECTED" and version != "1.0":
            assert ":" not in value, f"raw colon: {line!r}"
            name, value = (re.sub(r"\\.", lambda pair: _PAIRS[pair.group()], text) for text in (name, value))
        assert name not in headers, f"repeated: {name}"
        headers[name] = value
    body = rest[:-1]
    if "content-length" in headers:
        assert int(headers["content-length"]) == len(body)
    else:
        assert not body
    return Received(command, headers, body)


@dataclass
class Outcome:
    """The outcome of an operation of the toy queue."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    acknowledgement: Acknowledgement | None = None


@dataclass
class Acknowledgement:
    """A producer acknowledgement of the toy queue."""

    topic: str
    body: bytes


@dataclass
class ToyOperations:
    """One publish, one poll that can be parked, one operation that always refuses."""

    performed: list[tuple[str, bytes]] = field(default_factory=list)
    parked: dict[object, float] = field(default_factory=dict)
    ready: list[tuple[object, Outcome]] = field(default_factory=list)
    now: float = 1000.0

    @property
    def long_polls(self) -> ToyOperations:
        return self

    def is_operation(self, path: str) -> bool:
        return path.startswith("/producer/publish/") or path in {"/consumer/poll", "/topic/add-topic"}

    def perform(self, path: str, body: bytes, *, now: float, waiter: object = None) -> Outcome | None:
        self.performed.append((path, body))
        if path == "/topic/add-topic":
            return Outcome(409, b'{"title":"exists"}', "application/problem+json")
        if path == "/consumer/poll":
            wait = _WAIT.search(body)
            if waiter is None or wait is None:
                return Outcome(204)
            self.parked[waiter] = self.now + float(wait.group(1))
            return None
        topic = path.rsplit("/", 1)[1]
        if topic == "missing":
            failed = Acknowledgement(topic, b'{"acknowledgementMessage":"FAILED"}')
            return Outcome(404, b'{"title":"unknown"}', "application/problem+json", failed)
        return Outcome(200, b'{"offset":0}', acknowledgement=Acknowledgement(topic, b'{"ACK":1}'))

    def next_deadline(self) -> float:
        return min(self.parked.values(), default=math.inf)

    def cancel(self, waiter: object) -> None:
        self.parked.pop(waiter, None)

    def answered(self) -> list[tuple[object, Outcome]]:
        ready, self.ready = self.ready, []
        for waiter in [waiter for waiter, due in self.parked.items() if due <= self.now]:
            del self.parked[waiter]
            ready.append((waiter, Outcome(204)))
        return ready


class Broker:
    """A hub with a clock that tests advance."""

    def __init__(self, limits: StompLimits | None = None, users: dict[str, str] | None = None) -> None:
        self.operations = ToyOperations()
        self.hub: Hub[Session] = Hub(self.operations, limits or StompLimits(), users=users)
        self.now = 1000.0

    def pass_time(self, seconds: float) -> None:
        """Advance the clock; the timers run at their deadlines on the way, as in a timer thread."""
        end = self.now + seconds
        while (due := min(self.hub.deadlines.next, self.operations.next_deadline())) <= end:
            self._tick(max(self.now, due))
        self._tick(end)

    def _tick(self, now: float) -> None:
        self.now = self.operations.now = now
        self.hub.tick(now)
        assert not self.hub.operations_answered(now)

    def open(self, *, lenient: bool = False) -> Peer:
        """Open a connection without sending anything."""
        return Peer(self, lenient=lenient)

    def connect(self, version: str = "1.2", **headers: str) -> Peer:
        """Open a connection and CONNECT."""
        peer = self.open()
        accept = {"accept-version": version, "host": "broker"}
        peer.send("CONNECT", {**accept, **{name.replace("_", "-"): value for name, value in headers.items()}})
        peer.version = version
        assert peer.one("CONNECTED")["version"] == version
        return peer


class Peer:
    """A client's end of one session."""

    def __init__(self, broker: Broker, *, lenient: bool) -> None:
        self.broker = broker
        self.version = "1.0"
        self.session = Session(broker.hub, lenient=lenient, now=broker.now)
        self._frames: list[Received] = []
        self.beats = 0

    def octets(self, data: bytes) -> None:
        """Feed octets to the session."""
        self.session.handle(self.session.parse(data), self.broker.now, 0.0)
        for _ in self.broker.hub.operations_answered(self.broker.now):
            raise AssertionError("an answer for another binding")

    def send(self, command: str, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        """Send one frame without escaping its headers."""
        lines = "".join(f"{name}:{value}\n" for name, value in (headers or {}).items())
        self.octets(f"{command}\n{lines}\n".encode() + body + b"\0")

    def frames(self) -> list[Received]:
        """Return all frames since the last call."""
        self._take()
        frames, self._frames = self._frames, []
        return frames

    def one(self, command: str) -> Received:
        """Return the only frame since the last call."""
        frames = self.frames()
        assert [frame.command for frame in frames] == [command], frames
        return frames[0]

    def bodies(self) -> list[bytes]:
        """Return the bodies of all MESSAGEs since the last call; asserts that there is no other frame."""
        frames = self.frames()
        assert {frame.command for frame in frames} <= {"MESSAGE"}, frames
        return [frame.body for frame in frames]

    def refused(self, receipt: str | None = None) -> Received:
        """Assert that the last frame was an ERROR that ended the session."""
        frames = self.frames()
        assert frames, "no ERROR"
        assert [frame.command for frame in frames if frame.command == "ERROR"] == ["ERROR"]
        error = frames[-1]
        assert error.command == "ERROR"
        assert error["message"]
        assert error["content-type"] == "text/plain"
        assert error.headers.get("receipt-id") == receipt
        assert self.session.closing
        return error

    def _take(self) -> None:
        for item in self.session.take_output():
            if item == b"\n":
                self.beats += 1
            else:
                self._frames.append(read(item, self.version))
