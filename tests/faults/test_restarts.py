"""`--restart`: the class durable, on servers that keep all and on servers that forget."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from conformance.specification.clauses import book
from tests.brokers.running import free_ports
from tests.command.conftest import run_conformance
from tests.faults.conftest import forgetful_server, port_of

if TYPE_CHECKING:
    from pathlib import Path

DURABLE = ("--class", "queue-http", "--class", "durable", "--effort", "quick")
#: Heartbeat timeout, in seconds: longer than a restart takes on a busy machine.
TIMEOUT = 20
BROKEN = {
    "commits": "DURABLE-COMMIT-1",
    "skips": "DURABLE-RECORD-1",
    "records": "DURABLE-POSITION-1",
    "members": "DURABLE-MEMBER-1",
    "names": "DURABLE-NAME-1",
}


def test_a_server_that_keeps_all_is_durable() -> None:
    """Each clause is judged, and holds, over HTTP and over STOMP."""
    with forgetful_server("nothing", TIMEOUT) as server:
        url = f"http://127.0.0.1:{port_of(server)}"
        restart = f"kill -USR2 {server.pid}"
        done = run_conformance(url, "--class", "queue-stomp", *DURABLE, "--restart", restart)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "queue-http   ✓ 5" in done.stdout
    assert "queue-stomp  ✓ 5" in done.stdout


def test_a_command_may_end_before_the_servers() -> None:
    """The restart is waited for, as for that of a service manager, which only asks for it."""
    with forgetful_server("nothing", TIMEOUT) as server:
        url = f"http://127.0.0.1:{port_of(server)}"
        restart = f"sh -c '(sleep 0.7; kill -USR2 {server.pid}) >/dev/null 2>&1 &'"
        done = run_conformance(url, *DURABLE, "--restart", restart)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "queue-http  ✓ 5" in done.stdout


@pytest.mark.parametrize("kind", BROKEN)
def test_what_a_restart_loses_is_found(kind: str) -> None:
    """The clause is the one that says so."""
    with forgetful_server(kind, TIMEOUT) as server:
        url = f"http://127.0.0.1:{port_of(server)}"
        done = run_conformance(url, *DURABLE, "--restart", f"kill -USR2 {server.pid}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"requirement broken ({BROKEN[kind]})" in " ".join(done.stdout.split())


def test_each_clause_is_broken_by_a_server() -> None:
    """The servers here stand for faulty brokers, which know no restart."""
    assert set(BROKEN.values()) == {clause.id for clause in book() if "durable" in clause.classes}


def test_a_server_in_memory_is_not_durable(tmp_path: Path) -> None:
    """Killed by SIGKILL and started again in real life, it has lost the topic. It claims nothing else by default."""
    (port,) = free_ports(1)
    file = tmp_path / "pid"
    words = shlex.join([sys.executable, "-m", "reference_server", "--port", str(port)])
    start = f"{words} </dev/null >/dev/null 2>&1 & echo $! > {shlex.quote(str(file))}"
    subprocess.run(["sh", "-c", start], check=True)
    try:
        restart = f"sh -c {shlex.quote(f'kill -9 $(cat {shlex.quote(str(file))}); {start}')}"
        url = f"http://127.0.0.1:{port}"
        done = run_conformance(url, *DURABLE, "--restart", restart, "--wait", "20")
        assert done.returncode == 1, done.stdout + done.stderr
        assert "DURABLE-NAME-1" in done.stdout
        done = run_conformance(
            *(url, "--class", "queue-http", "--clause", "DURABLE", "--effort", "quick", "--restart", restart)
        )
        assert done.returncode == 4, done.stdout + done.stderr
    finally:
        subprocess.run(["kill", f"-{signal.SIGKILL.value}", file.read_text().strip()], check=False)


def test_a_command_that_restarts_nothing_shows_nothing() -> None:
    """Without a restart nothing is judged: status 4, with what was expected."""
    with forgetful_server("nothing", TIMEOUT) as server:
        url = f"http://127.0.0.1:{port_of(server)}"
        done = run_conformance(
            url, "--class", "queue-http", "--clause", "DURABLE", *DURABLE[2:], "--restart", "true"
        )
    assert done.returncode == 4, done.stdout + done.stderr
    assert "a connection from before it is still open" in " ".join(done.stdout.split())


def test_a_restart_that_fails_ends_the_run() -> None:
    """Status 4, with its output."""
    with forgetful_server("nothing", TIMEOUT) as server:
        url = f"http://127.0.0.1:{port_of(server)}"
        done = run_conformance(url, *DURABLE, "--restart", "sh -c 'echo no such unit; exit 5'")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "no such unit" in done.stdout


def test_without_a_restart_nothing_is_judged() -> None:
    """The reason says which option to give."""
    with forgetful_server("nothing", TIMEOUT) as server:
        done = run_conformance(f"http://127.0.0.1:{port_of(server)}", *DURABLE, "--verbose")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "--restart COMMAND" in done.stdout
