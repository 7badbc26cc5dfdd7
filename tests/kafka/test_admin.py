"""Making and deleting of topics by a process beside the node, whose end is not that of the node."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reference_server.kafka.admin import Admin, AdminUnavailable, NewStore

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.kafka.client import Client
    from tests.kafka.cluster import Cluster
    from tests.kafka.nodes import Node


@pytest.fixture
def admin(cluster: Cluster) -> Iterator[Admin]:
    """Requests to Kafka, by a process of the test's own."""
    made = Admin({"bootstrap.servers": cluster.addresses, "socket.timeout.ms": 3000})
    yield made
    made.stop()


def _process_of(admin: Admin) -> subprocess.Popen[str]:
    assert admin._process is not None
    return admin._process._process


def test_a_topic_that_exists_is_no_error(admin: Admin) -> None:
    """Made once more, it stays as it is; bad ones have an error of their own."""
    name = f"t-{secrets.token_hex(4)}"
    good, bad = NewStore(name, 1, 1, {}), NewStore("no/name", 1, 1, {})
    assert admin.create([good], 10) == {}
    assert set(admin.create([good, bad], 10)) == {"no/name"}
    admin.delete([name, "nosuchtopic"], 10)


def test_requests_go_on_after_the_process_has_ended(admin: Admin) -> None:
    """As the client library ends it; another process takes its place."""
    name = f"t-{secrets.token_hex(4)}"
    assert admin.create([NewStore(name, 1, 1, {})], 10) == {}
    process = _process_of(admin)
    process.send_signal(signal.SIGABRT)
    process.wait()
    deadline = time.monotonic() + 20
    while True:
        try:
            assert admin.create([NewStore(name, 1, 1, {})], 10) == {}
        except AdminUnavailable:
            assert time.monotonic() < deadline
            continue
        break
    assert _process_of(admin) is not process


def test_a_request_that_gets_no_answer_ends(cluster: Cluster, admin: Admin) -> None:
    """Kafka is stopped: the request ends within its time and some, with an error, whatever its process does."""
    name = f"t-{secrets.token_hex(4)}"
    assert admin.create([NewStore(name, 1, 1, {})], 10) == {}
    cluster.brokers[0].send(signal.SIGSTOP)
    try:
        began = time.monotonic()
        with contextlib.suppress(AdminUnavailable):
            assert admin.create([NewStore(f"{name}-2", 1, 1, {})], 1)
        assert time.monotonic() - began < 10
    finally:
        cluster.brokers[0].send(signal.SIGCONT)


def test_the_process_ends_with_its_node(nodes: list[Node], clients: list[Client], name: str) -> None:
    """Also by SIGKILL: it holds nothing that outlives the node."""
    assert clients[1].post("/topic/add-topic", topicName=name).status == 200
    node = nodes[1].process
    assert node is not None
    tasks = Path(f"/proc/{node.pid}/task").glob("*/children")
    children = [int(each) for task in tasks for each in task.read_text().split()]
    found = [each for each in children if b"admin_process" in _command(each)]
    assert found
    os.kill(node.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while any(b"admin_process" in _command(each) for each in found):
        assert time.monotonic() < deadline
    nodes[1].kill()
    nodes[1].start()


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""
