"""A fake broker for the tests of the runner: `python -m tests.brokers.fake PORT MODE`.

`answers` answers what comes with CONNECTED and stops on SIGTERM; `stubborn` ignores SIGTERM, and has a child that does
so too and whose process id it prints; `silent` accepts and says nothing; `ends` ends at once with status 7.
"""

from __future__ import annotations

import contextlib
import signal
import socketserver
import subprocess
import sys

_CHILD = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Answer the first octets with CONNECTED, or nothing in the mode `silent`, and wait for the client to go."""
        with contextlib.suppress(OSError):
            while self.request.recv(4096):
                if sys.argv[2] != "silent":
                    self.request.sendall(b"CONNECTED\nversion:1.2\n\n\0")


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main() -> None:
    """Serve until a signal ends the process."""
    if sys.argv[2] == "ends":
        print("no such port", flush=True)
        raise SystemExit(7)
    if sys.argv[2] == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", _CHILD])
        print(f"child {child.pid}", flush=True)
    with _Server(("127.0.0.1", int(sys.argv[1])), _Connection) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
