"""A relay before a good server that declares other capabilities, or becomes slow: `python -m tests.hostile.relay`.

python -m tests.hostile.relay URL --timings '{"rebalance_timeout": 1e6}'
python -m tests.hostile.relay URL --slow-after 3 --delay 1
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import threading
import time
from urllib.parse import urlsplit
from urllib.request import urlopen

from tests.hostile.servers import NEVER, read_head, reply_of


def main() -> None:
    """Relay until the process is killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument(
        "--timings", help="JSON in place of the timings of the capabilities; NaN is passed on"
    )
    parser.add_argument("--slow-after", type=float, default=float("inf"), help="seconds after the start")
    parser.add_argument(
        "--delay", type=float, default=1.0, help="seconds for each piece of the server from then on"
    )
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
    slow_from = time.monotonic() + values.slow_after
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(f"ws://127.0.0.1:{listener.getsockname()[1]}/stomp", flush=True)
        while True:
            client, _ = listener.accept()
            arguments = (client, (parts.hostname, parts.port), capabilities, slow_from, values.delay)
            threading.Thread(target=_relay, args=arguments, daemon=True).start()


def _relay(
    client: socket.socket, where: tuple[str, int], capabilities: bytes | None, slow_from: float, delay: float
) -> None:
    with contextlib.suppress(OSError), client:
        head = read_head(client)
        if capabilities is not None and head.startswith(b"GET /capabilities"):
            client.sendall(capabilities)
            return
        with socket.create_connection(where) as server:
            server.sendall(head)
            arguments = (server, client, slow_from, delay)
            threading.Thread(target=_copy, args=arguments, daemon=True).start()
            _copy(client, server, float("inf"), 0.0)


def _copy(source: socket.socket, sink: socket.socket, slow_from: float, delay: float) -> None:
    with contextlib.suppress(OSError):
        while octets := source.recv(65536):
            if time.monotonic() > slow_from:
                NEVER.wait(delay)
            sink.sendall(octets)
        sink.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
