"""A server inside a test: settings as keywords, and a look at its clients.

    with Server(heartbeat_timeout=2) as server:
        connect(server.url)

The server runs in threads of the test's own process, and listens on free ports of 127.0.0.1.
"""

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec

from reference_server.config import OPTIONS, ConfigError, build
from reference_server.server import running
from reference_server.server.application import Peer
from reference_server.stomp.frame import Frame
from reference_server.stomp.session import Parsed, Session
from reference_server.units import MIB

KEPT_FRAMES = 1000
KEPT_OCTETS = 16 * MIB
"""Bounds of `Server.received`."""
WAIT_SECONDS = 5.0


class ConnectedSession(msgspec.Struct, frozen=True):
    """A session between its CONNECT and its end; `name` is the `session` header of its CONNECTED."""

    name: str
    version: str
    subscriptions: dict[str, str]
    """Destinations by the id of the subscription."""


class ReceivedFrame(msgspec.Struct, frozen=True):
    """A frame of a client; `session` is the name of its session. Of repeated headers the first is kept."""

    session: str
    command: str
    headers: dict[str, str]
    body: bytes


class Server(running.Server):
    """A reference server for a test. `with Server() as server:` starts it and stops it again.

    `url` is the URL for WebSocket, `port` the TCP port, which also serves the operations of the queue over HTTP;
    `stomp_url` and `stomp_port` are those of STOMP over plain TCP.
    """

    goodbye_seconds = 0.05

    def __init__(self, *, users: Mapping[str, str] | None = None, **settings: Any) -> None:
        """Bind to free ports, or to `port` and `stomp_port`, which None leaves out; `users` are passcodes by login.

        `settings` are the flags of `python -m reference_server` with underscores, such as `heartbeat_timeout=2` in
        seconds, `virtual_clock=True` or `odd=["receipts-come-late"]`.

        Raises TypeError for an unknown setting or `users` of another kind, ConfigError for a bad value, OSError if the
        address is not available.
        """
        for name in settings.keys() - OPTIONS.keys():
            raise TypeError(f"there is no setting {name!r}. Expected one of {', '.join(OPTIONS)}.")
        if not isinstance(users, Mapping | None):
            raise TypeError(
                f"users: expected passcodes by login, as in {{'alice': 'secret'}}; found {type(users).__name__}."
            )
        user = [f"{login}:{passcode}" for login, passcode in (users or {}).items()]
        if any(":" in login for login in users or {}):
            raise ConfigError("users: a login must not contain a colon.")
        given = build(None, {}, {"port": 0, "stomp_port": 0, "user": user, **settings})
        try:
            super().__init__(given)
        except OSError as error:
            ports = " or ".join(str(each) for each in (given.port, given.stomp_port) if each)
            where = f"{given.host}, port {ports}" if ports else given.host
            said = f"cannot listen on {where}: {error.strerror}. Without port= and stomp_port=, free ones are taken"
            raise OSError(error.errno, said) from None
        self._changed = threading.Condition()
        self._frames: deque[ReceivedFrame] = deque()
        self._octets = 0
        self._errors: deque[str] = deque(maxlen=KEPT_FRAMES)
        self._write, self.application.write = self.application.write, self._send
        self.application.on_frames = self._keep

    def advance(self, seconds: float, group: str | None = None) -> float:
        """Advance the queue's time, or that of one consumer group; return the new time in seconds (CLOCK-1, CLOCK-3).

        All that is due by then has happened on return. Raises ValueError for negative seconds or an unknown group,
        RuntimeError if the server has no virtual clock.
        """
        if not self.settings.virtual_clock:
            raise RuntimeError("The clock runs by itself. Start the server with virtual_clock=True.")
        named = {} if group is None else {"consumer_group_name": group}
        outcome = self.application.advance(msgspec.json.encode({"seconds": seconds, **named}))
        answer = msgspec.json.decode(outcome.body)
        if outcome.status != 200:
            raise ValueError(answer["detail"])
        return float(answer["now"])

    def sessions(self) -> list[ConnectedSession]:
        """Return the connected sessions, in the order in which their connections were opened."""
        return self.application.look(lambda peers: [_described(session) for session in _connected(peers)])

    def received(self, command: str | None = None) -> list[ReceivedFrame]:
        """Return the frames that clients sent, in order, or those with one command; the newest 1000, up to 16 MiB.

        A frame whose RECEIPT or other answer was read by its client is among them.
        """
        with self._changed:
            return [frame for frame in self._frames if command in (None, frame.command)]

    def errors(self) -> list[str]:
        """Return the ERROR frames that clients were sent, as text with what was wrong and what was expected."""
        return list(self._errors)

    def wait_for(self, command: str, count: int = 1, timeout: float = WAIT_SECONDS) -> list[ReceivedFrame]:
        """Wait until clients have sent `count` frames with this command; return them.

        Raises TimeoutError after `timeout` seconds, with the commands that were received.
        """
        with self._changed:
            if self._changed.wait_for(lambda: len(self.received(command)) >= count, timeout):
                return self.received(command)
            seen = ", ".join(frame.command for frame in self._frames) or "nothing"
        raise TimeoutError(f"expected {count} of {command} within {timeout:g} s; received {seen}")

    def cut(self, session: ConnectedSession | str) -> None:
        """Cut the connection of a session, which is given as such or by name, without a word to its client.

        Raises ValueError if no such session is connected.
        """
        name = session if isinstance(session, str) else session.name
        connected = self.application.look(_connected)
        for found, peer in connected.items():
            if found.name == name:
                peer.cut()
                self.application.close_session(found)
                return
        names = ", ".join(each.name for each in connected) or "none"
        raise ValueError(f"There is no session {name!r}. Connected are: {names}.")

    def _send(self, session: Session, items: list[bytes]) -> list[bytes]:
        self._errors.extend(item[:-1].decode() for item in items if item.startswith(b"ERROR"))
        return self._write(session, items)

    def _keep(self, session: Session, items: Parsed) -> None:
        with self._changed:
            for item in items:
                if isinstance(item, Frame):
                    frame = ReceivedFrame(session.name, item.command, dict(item.headers), item.body)
                    self._frames.append(frame)
                    self._octets += len(item.body)
            while len(self._frames) > KEPT_FRAMES or self._octets > KEPT_OCTETS:
                self._octets -= len(self._frames.popleft().body)
            self._changed.notify_all()


def _connected(peers: Mapping[Session, Peer]) -> dict[Session, Peer]:
    return {each: peer for each, peer in peers.items() if each.liveness.begun and not each.closing}


def _described(session: Session) -> ConnectedSession:
    return ConnectedSession(session.name, session.version, session.subscriptions.destinations())
