"""Faults of nodes and brokers, carried out at requests over HTTP, which the commands of `--fault` send."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import shlex
import signal
import sys
import threading
from typing import TYPE_CHECKING, Self

from tests.brokers.running import CannotStart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.kafka.cluster import Cluster, KafkaBroker
    from tests.kafka.nodes import Node

#: Attempts to start a node.
STARTS = 3
#: Sends a request, and fails with the answer's text if that is no success.
_ASK = """\
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], data=b"", timeout=300)
except urllib.error.HTTPError as error:
    sys.exit(error.read().decode())
"""


class Control:
    """Kills, stops and heals the nodes and brokers of a cluster, one request at a time."""

    def __init__(self, cluster: Cluster, nodes: Sequence[Node]) -> None:
        self._cluster, self._nodes = cluster, nodes
        self._node, self._broker = itertools.cycle(nodes), itertools.cycle(cluster.brokers)
        self._lock = threading.Lock()
        self.faults: dict[str, Callable[[], None]] = {
            "kill a node": lambda: self._kill_nodes([next(self._node)]),
            "stop a node": lambda: next(self._node).send(signal.SIGSTOP),
            "kill a broker": lambda: self._kill_brokers([next(self._broker)]),
            "stop a broker": lambda: next(self._broker).send(signal.SIGSTOP),
            "kill all nodes": lambda: self._kill_nodes(nodes),
            "kill everything": self._kill_everything,
        }
        self._actions = {
            **self.faults,
            "heal": self.heal,
            "restart all nodes": self._restart_nodes,
            "restart everything": self._restart_everything,
        }
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._carry_out))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def command(self, action: str) -> str:
        """The command line that carries out a fault, `heal`, `restart all nodes`, or `restart everything`."""
        url = f"http://127.0.0.1:{self._server.server_address[1]}/{action.replace(' ', '-')}"
        return shlex.join([sys.executable, "-c", _ASK, url])

    def heal(self) -> None:
        """Continue what is stopped, and start what has ended: brokers first. Raises CannotStart."""
        for process in (*self._cluster.brokers, *self._nodes):
            process.send(signal.SIGCONT)
        for broker in self._cluster.brokers:
            if broker.process is None:
                broker.start()
        self._cluster.wait()
        for node in self._nodes:
            if node.process is not None and node.process.poll() is not None:
                status = node.process.returncode
                node.kill()
                raise CannotStart(f"a node ended by itself with status {status}")
            if node.process is None:
                self._start(node)

    def _start(self, node: Node) -> None:
        """Start a node; one that ends, since a broker is not ready, is started again as a supervisor would."""
        for left in reversed(range(STARTS)):
            try:
                node.start()
            except CannotStart:
                if not left:
                    raise
            else:
                return

    def _kill_nodes(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            node.kill()

    def _kill_brokers(self, brokers: Sequence[KafkaBroker]) -> None:
        for broker in brokers:
            broker.stop(signal.SIGKILL)

    def _restart_nodes(self) -> None:
        self._kill_nodes(self._nodes)
        self.heal()

    def _kill_everything(self) -> None:
        self._kill_nodes(self._nodes)
        self._kill_brokers(self._cluster.brokers)

    def _restart_everything(self) -> None:
        self._kill_everything()
        self.heal()

    def _carry_out(self, path: str) -> str:
        """Carry out the action of a path; returns the reason why it failed, "" if it went well."""
        with self._lock:
            try:
                self._actions[path.strip("/").replace("-", " ")]()
            except (CannotStart, KeyError) as error:
                return f"{path}: {error}"
        return ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(carry_out: Callable[[str], str]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Carry out the action, then answer."""
            said = carry_out(self.path)
            with contextlib.suppress(OSError):
                self.send_response(500 if said else 200)
                self.end_headers()
                self.wfile.write(said.encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    return Handler
