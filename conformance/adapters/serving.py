"""Adapters written in Python: the base class, and the loop that serves one on standard input and output.

`python -m conformance.adapters.serving MODULE:CLASS [ARGUMENT…]` serves a class of a module; the arguments go to it.
"""

import importlib
import inspect
import json
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any

from conformance.adapters.protocol import OPTIONAL, REQUIRED

#: Requests of one client that may wait; the suite sends one at a time.
MOST_WAITING = 100


class Refused(Exception):
    """The engine refused the request and changed nothing."""


class Closed(Refused):
    """The engine refused the request and closed the connection of the consumer, which is to join under another name."""


class Failed(Exception):
    """An error that leaves open whether the request was carried out."""


class NoAnswer(Exception):
    """The engine did not answer in time."""


class Unsupported(Exception):
    """The adapter or the engine can't do this."""


_OUTCOMES: Mapping[type[Exception], str] = {
    Closed: "refused",
    Refused: "refused",
    Failed: "failed",
    NoAnswer: "unknown",
    Unsupported: "unsupported",
}


class Adapter:
    """Base class of adapters in Python.

    A subclass defines the requests that it can carry out as methods, `give_back` for `give-back`, with the members of
    the request as arguments. A method returns the further members of its answer, as a dictionary, or None; it raises
    one of the exceptions of this module for another outcome than `ok`. Each client has a thread of its own.
    """

    name: str = ""
    version: str = ""
    #: Facts of the first line of a history, and `background_heartbeats`.
    facts: Mapping[str, Any] = {}

    def close(self) -> None:
        """Called once, when no more requests come."""


def carried_out(adapter: Adapter, request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of an adapter to a request, without its id."""
    op = request.get("op")
    if op == "hello":
        return {
            "outcome": "ok",
            "name": adapter.name,
            "version": adapter.version,
            "abilities": [one for one in (*REQUIRED, *OPTIONAL) if _method(adapter, one) is not None],
            "facts": dict(adapter.facts),
        }
    method = _method(adapter, op) if op in (*REQUIRED, *OPTIONAL) else None
    if method is None:
        return {"outcome": "unsupported"}
    taken = inspect.signature(method).parameters
    members = {name: value for name, value in request.items() if name in taken}
    try:
        return {"outcome": "ok", **(method(**members) or {})}
    except tuple(_OUTCOMES) as error:
        closed = {"closed": True} if isinstance(error, Closed) else {}
        return {"outcome": _OUTCOMES[type(error)], "reason": str(error), **closed}
    except Exception as error:  # noqa: BLE001  whatever a client library raises: nothing is known then
        return {"outcome": "failed", "reason": f"{type(error).__name__}: {error}"}


def _method(adapter: Adapter, op: object) -> Callable[..., Any] | None:
    method = getattr(adapter, str(op).replace("-", "_"), None)
    return method if callable(method) else None


def serve(adapter: Adapter, requests: IO[str] | None = None, answers: IO[str] | None = None) -> int:
    """Serve an adapter until its input ends; returns the exit status 0."""
    requests, output = requests or sys.stdin, answers or sys.stdout
    writing = threading.Lock()
    clients: dict[str, queue.Queue[Mapping[str, Any] | None]] = {}
    threads: list[threading.Thread] = []

    def answer(request: Mapping[str, Any]) -> None:
        line = json.dumps({"id": request.get("id"), **carried_out(adapter, request)})
        with writing:
            output.write(f"{line}\n")
            output.flush()

    def work(waiting: "queue.Queue[Mapping[str, Any] | None]") -> None:
        while (request := waiting.get()) is not None:
            answer(request)

    for line in requests:
        if not line.strip():
            continue
        request = json.loads(line)
        client = request.get("client")
        if not isinstance(client, str):
            answer(request)
            continue
        if client not in clients:
            clients[client] = queue.Queue(MOST_WAITING)
            threads.append(threading.Thread(target=work, args=(clients[client],), name=client, daemon=True))
            threads[-1].start()
        clients[client].put(request)
    for waiting in clients.values():
        waiting.put(None)
    for thread in threads:
        thread.join(5.0)
    adapter.close()
    return 0


class LocalAdapter:
    """An adapter of this process, for `conformance.adapters.scenario.drive`."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def ask(self, op: str, wait: float = 0.0, **members: Any) -> Mapping[str, Any] | None:
        """The answer to a request. Nothing bounds the time that the adapter takes."""
        if op == "poll":
            members["wait"] = wait
        return carried_out(self._adapter, {"op": op, **members})

    def close(self) -> None:
        """End the adapter."""
        self._adapter.close()


def main(arguments: list[str]) -> int:
    """Serve the class that the first argument names; returns the exit status, 2 for wrong usage."""
    module, _, name = arguments[0].partition(":") if arguments else ("", "", "")
    if not module or not name:
        print("usage: python -m conformance.adapters.serving MODULE:CLASS [ARGUMENT…]", file=sys.stderr)
        return 2
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        print(f"{arguments[0]}: expected a class of a module: {error}", file=sys.stderr)
        return 2
    return serve(kind(*arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
