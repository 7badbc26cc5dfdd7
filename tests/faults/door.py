"""A process that passes octets on between clients and a server.

    python -m tests.faults.door PORT SERVER-PORT PID-FILE

It is stopped and killed in place of a node. It writes its process id to the file once it listens.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from pathlib import Path

_PIECE = 64 << 10


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while octets := one.recv(_PIECE):
            other.sendall(octets)
    for each in (one, other):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _serve(client: socket.socket, port: int) -> None:
    with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
        back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
        back.start()
        _pass_on(client, server)
        back.join()


def main(port: int, server: int, file: Path) -> None:
    """Pass octets on until the process is killed."""
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    written = file.with_suffix(".new")
    written.write_text(str(os.getpid()))
    written.replace(file)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=_serve, args=(client, server), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
