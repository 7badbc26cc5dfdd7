"""A relay before a good server that declares other capabilities, or becomes slow: `python -m tests.hostile.relay`.

python -m tests.hostile.relay URL --timings '{"rebalance_timeout": 1e6}'
python -m tests.hostile.relay URL --slow-after 3 --delay 1
python -m tests.hostile.relay URL --slow-from 100 --delay 0.02 --octets 1
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import socket
import sys
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import urlopen

from tests.hostile.servers import NEVER, read_head, reply_of


@dataclass
class Slowness:
    """From `begins` on, in monotonic seconds, a server's octets take `delay` seconds for each piece of `octets`."""

    begins: float
    delay: float
    octets: int


NEVER_SLOW = Slowness(float("inf"), 0.0, 65536)


def main() -> None:
    """Relay until the process is killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument(
        "--timings", help="JSON in place of the timings of the capabilities; NaN is passed on"
    )
    parser.add_argument("--slow-after", type=float, default=float("inf"), help="seconds after the start")
    parser.add_argument("--slow-from", type=int, default=sys.maxsize, help="number of a connection")
    parser.add_argument(
        "--delay", type=float, default=1.0, help="seconds for each piece of the server from then on"
    )
    parser.add_argument("--octets", type=int, default=65536, help="octets of a piece from then on")
    values = parser.parse_args()
    parts = urlsplit(values.url)
    assert parts.hostname is not None
    assert parts.port is not None
    capabilities = None
    if values.timings is not None:
        with urlopen(f"http://{parts.hostname}:{parts.port}/capabilities") as reply:
            document = json.load(reply)
        document["timings"] = "@"
        capabilities = reply_of(json.dumps(document).replace('"@"', values.timings).encode())
    slow = Slowness(time.monotonic() + values.slow_after, values.delay, values.octets)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(f"ws://127.0.0.1:{listener.getsockname()[1]}/stomp", flush=True)
        for number in itertools.count():
            client, _ = listener.accept()
            if number == values.slow_from:
                slow.begins = time.monotonic()
            arguments = (client, (parts.hostname, parts.port), capabilities, slow)
            threading.Thread(target=_relay, args=arguments, daemon=True).start()


def _relay(client: socket.socket, where: tuple[str, int], capabilities: bytes | None, slow: Slowness) -> None:
    with contextlib.suppress(OSError), client:
        head = read_head(client)
        if capabilities is not None and head.startswith(b"GET /capabilities"):
            client.sendall(capabilities)
            return
        with socket.create_connection(where) as server:
            server.sendall(head)
            threading.Thread(target=_copy, args=(server, client, slow), daemon=True).start()
            _copy(client, server, NEVER_SLOW)


def _copy(source: socket.socket, sink: socket.socket, slow: Slowness) -> None:
    how = socket.SHUT_RDWR  # after a reset; its other side is reset or closed, too
    with contextlib.suppress(OSError):
        while octets := source.recv(65536):
            if time.monotonic() <= slow.begins:
                sink.sendall(octets)
                continue
            for start in range(0, len(octets), slow.octets):
                NEVER.wait(slow.delay)
                sink.sendall(octets[start : start + slow.octets])
        how = socket.SHUT_WR
    with contextlib.suppress(OSError):
        sink.shutdown(how)


if __name__ == "__main__":
    main()
