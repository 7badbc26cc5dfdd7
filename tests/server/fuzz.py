"""Mutated sessions against a whole server, over its sockets: it writes no traceback, hangs nowhere, keeps nothing.

    python -m tests.server.fuzz --sessions 100000 [--seed 7]

A session is a handful of STOMP frames over TCP, the same over WebSocket, or requests over HTTP; most are mutated, cut
in pieces, and end with a half-close or a reset at any octet. Eight go on at a time. The server has to end each
connection in time, to serve a well-formed client between any thousand of them, and to end on SIGTERM without a word on
stderr.

Exit status: 0 if nothing was found, 1 otherwise, with the seeds around the failure.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.server.test_command_line import ended, running
from tests.server.wire import (
    BINARY,
    DEADLINE,
    PING,
    TEXT,
    Ended,
    Http,
    Stomp,
    Wire,
    connect,
    eventually,
    frame,
    request,
    upgrade,
)
from tests.stomp.fuzz import compose, mutate, opening

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

AT_A_TIME = 8
#: Sessions between two looks at the server.
BATCH = 1000
#: Seconds within which a well-formed client is served beside the others.
SERVED_SECONDS = 5.0
_OPTIONS = ("--port", "0", "--stomp-port", "0", "--virtual-clock", "--retention", "acknowledged")
_BODIES = [
    ("/topic/add-topic", b'{"topicName":"t%d"}'),
    ("/topic/remove-topic", b'{"topicName":"t%d"}'),
    ("/producer/publish/t1", b'{"messageID":"1","message":"m","key":"k%d"}'),
    ("/consumer-group/add", b'{"consumer_group_name":"g%d"}'),
    ("/consumer/register-consumer", b'{"consumer_group_name":"g1","consumer_name":"c%d"}'),
    ("/consumer/subscribe-topic", b'{"consumer_name":"c1","topic_list":"t%d"}'),
    ("/consumer/poll", b'{"consumer_name":"c%d","wait_seconds":0.01}'),
    ("/consumer/acknowledge", b'{"consumer_name":"c1","message_id":%d}'),
    ("/consumer/heartbeat", b'{"consumer_name":"c%d"}'),
    ("/clock/advance", b'{"seconds":%d}'),
]


class _Port(NamedTuple):
    """TCP port on the loopback interface."""

    port: int


def _over_tcp(choose: random.Random) -> bytes:
    return opening(choose) + b"".join(compose(choose, []) for _ in range(2))


def _over_websocket(choose: random.Random) -> bytes:
    octets = _over_tcp(choose)
    frames = [upgrade()]
    while octets:
        size = choose.choice((5, 40, len(octets)))
        piece, octets = octets[:size], octets[size:]
        kind = choose.choice((TEXT, BINARY, BINARY, BINARY))
        at = choose.randrange(len(piece) + 1)
        whole = choose.random() < 0.8
        frames += (
            [frame(kind, piece)]
            if whole
            else [frame(kind, piece[:at], fin=False), frame(PING, b"p"), frame(0, piece[at:])]
        )
    return _perhaps_mutated(b"".join(frames), choose)


def _over_http(choose: random.Random) -> bytes:
    requests = []
    for _ in range(choose.randrange(1, 6)):
        path, body = choose.choice(_BODIES)
        requests.append(request("POST", path, body % choose.randrange(3)))
        requests.append(
            request("GET", choose.choice(("/topics", "/topics/t1", "/consumer-groups/g1", "/health")))
        )
    return _perhaps_mutated(b"".join(requests), choose)


def _perhaps_mutated(octets: bytes, choose: random.Random) -> bytes:
    mutated = bytearray(octets)
    for _ in range(choose.choice((0, 0, 1, 2, 5))):
        mutate(mutated, choose)
    return bytes(mutated)


class Fuzzer:
    """Sessions against a server that listens at two ports of this machine."""

    def __init__(self, port: int, stomp_port: int) -> None:
        self._kinds: list[tuple[int, Callable[[random.Random], bytes]]] = [
            (stomp_port, _over_tcp),
            (port, _over_websocket),
            (port, _over_http),
        ]
        self._main = _Port(port)

    def session(self, seed: int) -> None:
        """Play the session of a seed. Raises AssertionError if the server does not end it in time."""
        choose = random.Random(seed)
        port, compose_octets = choose.choice(self._kinds)
        octets = compose_octets(choose)
        if choose.random() < 0.2:
            octets = octets[: choose.randrange(len(octets) + 1)]
        with Wire(connect(_Port(port))) as wire:
            try:
                self._send(wire, octets, choose)
                if choose.random() < 0.2:
                    return  # The connection is closed with its output unread: by a reset, as a rule.
                wire.link.shutdown(socket.SHUT_WR)
                wire.wait_for_end()
            except TimeoutError:
                raise AssertionError(f"session {seed} is not ended within {DEADLINE:g} s") from None
            except OSError:
                pass  # The server ended it earlier.

    @staticmethod
    def _send(wire: Wire, octets: bytes, choose: random.Random) -> None:
        while octets:
            size = choose.choice((1, 100, 100, len(octets)))
            wire.send(octets[:size])
            octets = octets[size:]

    def look(self) -> None:
        """Ask for the health over HTTP, and for a receipt over WebSocket. Raises AssertionError if either is late."""
        began = time.monotonic()
        with Http.to(self._main) as client:
            assert client.get("/health").status == 200
        with Stomp.connected(self._main) as session:
            try:
                session.fence()
            except Ended as end:
                raise AssertionError("a well-formed session was ended") from end
        took = time.monotonic() - began
        assert took < SERVED_SECONDS, f"a well-formed client was served after {took:.1f} s"

    def open_connections(self) -> int:
        """Connections that the server has open, besides that of this question."""
        with Http.to(self._main) as client:
            text = client.get("/metrics").body.decode()
        found = re.search(r"^stompliance_open_connections (\d+)", text, re.MULTILINE)
        assert found
        return int(found[1]) - 1


def run(sessions: int, seed: int, show: Callable[[str], object] = print) -> None:
    """Play that many sessions on a server of their own. Raises AssertionError with what was found."""
    with running(*_OPTIONS) as server, ThreadPoolExecutor(AT_A_TIME) as pool:
        assert server.process.stdout is not None
        found = re.search(r":(\d+)\s*$", server.process.stdout.readline())
        assert found
        fuzzer = Fuzzer(server.port, int(found[1]))
        started = time.monotonic()
        for first in range(seed, seed + sessions, BATCH):
            batch = range(first, min(first + BATCH, seed + sessions))
            try:
                for _ in pool.map(fuzzer.session, batch):
                    pass
                fuzzer.look()
            except (AssertionError, OSError) as error:
                repeat = f"--seed {first} --sessions {len(batch)}"
                said = "" if server.process.poll() is None else f"; the server ended: {ended(server.process)}"
                raise AssertionError(f"{error}{said}; to repeat: {repeat}") from error
            seconds = time.monotonic() - started
            show(f"{batch.stop - seed} sessions, {seconds:.0f} s, {_resident(server.process.pid):.0f} MiB")
        eventually(lambda: fuzzer.open_connections() == 0, "connections are left open")
        server.process.send_signal(signal.SIGTERM)
        status, said = ended(server.process)
        assert (status, said) == (0, ""), f"the server ended with {status} and said: {said[-2000:]}"


def _resident(pid: int) -> float:
    """Resident memory of a process, in MiB; 0 where the system does not tell it."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except OSError:
        return 0.0
    return pages * resource.getpagesize() / 2**20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.server.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sessions", type=int, default=100_000, help="how many (default: 100000)")
    parser.add_argument("--seed", type=int, default=0, help="of the first; each session has the next")
    values = parser.parse_args(arguments)
    try:
        run(values.sessions, values.seed)
    except AssertionError as error:
        print(f"found: {error}", file=sys.stderr)
        return 1
    print("nothing found: no traceback, no hang, no connection left")
    return 0


if __name__ == "__main__":
    sys.exit(main())
