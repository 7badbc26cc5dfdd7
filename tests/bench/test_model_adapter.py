"""Connections over which the models' operations go."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from conformance.bench.model_adapter import CONNECTIONS, BenchQueueAdapter

if TYPE_CHECKING:
    from conformance.bench.bench import Bench


class _Queue:
    """Client that remembers the paths that it was called with."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def call(self, path: str, body: object) -> None:
        del body
        self.paths.append(path)


class _Bench:
    """Bench whose clients remember their calls."""

    def __init__(self, binding: str, extensions: set[str]) -> None:
        self.binding, self._extensions = binding, extensions
        self.queues: list[_Queue] = []
        self.target = SimpleNamespace(nodes=("the only one",))

    def queue(self) -> _Queue:
        self.queues.append(_Queue())
        return self.queues[-1]

    def http(self) -> None:
        """No test here reads over it."""

    def declares(self, extension: str) -> bool:
        return extension in self._extensions


def _used(binding: str, extensions: set[str], path: str) -> int:
    """Clients of a model that get one of six operations."""
    bench: Any = _Bench(binding, extensions)
    adapter = BenchQueueAdapter(cast("Bench", bench))
    for _ in range(2 * CONNECTIONS):
        adapter.call(path, {})
    return sum(bool(queue.paths) for queue in bench.queues)


@pytest.mark.parametrize("binding", ["queue-http", "stomp-publish"])
def test_acknowledged_records_go_over_one_session(binding: str) -> None:
    """Labels repeat: of several sessions none could tell which record an acknowledgement is for."""
    assert _used(binding, set(), "/producer/publish/t") == 1
    assert _used(binding, set(), "/consumer/poll") == CONNECTIONS


@pytest.mark.parametrize(
    ("binding", "extensions"), [("queue-http", {"http-publish"}), ("queue-stomp", set())]
)
def test_operations_with_replies_go_over_all_connections(binding: str, extensions: set[str]) -> None:
    assert _used(binding, extensions, "/producer/publish/t") == CONNECTIONS
