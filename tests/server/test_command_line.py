"""`python -m reference_server` as a process: its start, its messages, its end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from reference_server.__main__ import main
from tests.server.wire import DEADLINE, Http, Stomp, request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-m", "reference_server"]


class Running:
    """A server in a process of its own, with the attributes that `Http.to` and `Stomp.to` need."""

    def __init__(self, process: subprocess.Popen[str], line: str) -> None:
        self.process = process
        self.line = line
        found = re.search(r"wss?://[^ :]+:([0-9]+)/stomp", line)
        assert found, line
        self.port = int(found.group(1))


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[Running]:
    """Start a server, on a free port by default; kills it at the end of the test if it is still running."""
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ) as process:
        try:
            assert process.stdout is not None
            yield Running(process, process.stdout.readline())
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end; returns the status and stderr."""
    status = process.wait(DEADLINE)
    assert process.stderr is not None
    return status, process.stderr.read()


def refused(*arguments: str, **environment: str) -> str:
    """Run a command that cannot start; returns its one sentence."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        env=os.environ | environment,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_it(how: signal.Signals) -> None:
    """A signal ends the server with status 0 within a second, and connected clients get an ERROR."""
    with running("--port", "0") as server, Stomp.connected(server) as client, Http.to(server) as idle:
        assert idle.get("/topics").status == 200
        begun = time.monotonic()
        server.process.send_signal(how)
        assert client.expect("ERROR")["message"] == "server is stopping"
        status, said = ended(server.process)
        assert (status, said) == (0, "")
        assert time.monotonic() - begun < 5  # The requirement is one second; a busy machine may take longer.


def test_many_signals_end_it_once() -> None:
    """Repeated signals, as of an impatient Ctrl-C or a supervisor that signals the process and its group."""
    for _ in range(5):
        with running("--port", "0") as server:
            deadline = time.monotonic() + DEADLINE
            while server.process.poll() is None and time.monotonic() < deadline:
                server.process.send_signal(signal.SIGTERM)
            assert ended(server.process) == (0, "")


def test_help_and_version() -> None:
    """`--help` explains the flags, and `--version` prints the name and version."""
    shown = subprocess.run(
        [*COMMAND, "--help"], capture_output=True, text=True, timeout=DEADLINE, check=True
    ).stdout
    for flag in ("--port", "--config", "--virtual-clock", "--user", "--tls-cert", "--heartbeat-timeout"):
        assert flag in shown
    version = subprocess.run(
        [*COMMAND, "--version"], capture_output=True, text=True, timeout=DEADLINE, check=True
    )
    assert re.fullmatch(r"stompliance reference server \S+\n", version.stdout)


def test_flags_environment_and_file(tmp_path: Path) -> None:
    """Settings from all three sources reach the server."""
    file = tmp_path / "application.properties"
    file.write_text("server.port=0\nbrokers=7\npartitions=5\nheartbeat.timeout=12\n")
    with running("--config", str(file), "--virtual-clock", STOMPLIANCE_PARTITIONS="6") as server:
        with Http.to(server) as client:
            declared = client.get("/capabilities").json
        assert declared["defaults"] == {"brokers": 7, "partitions": 6}
        assert declared["timings"]["heartbeat_timeout"] == 12
        assert "virtual-clock" in declared["extensions"]
        server.process.send_signal(signal.SIGTERM)
        assert ended(server.process) == (0, "")


def test_a_port_in_use() -> None:
    """A server that cannot start prints one clear sentence and exits with 2."""
    with running("--port", "0") as server:
        said = refused("--port", str(server.port))
        assert (
            said == f"127.0.0.1:{server.port} is in use: stop what listens there, or choose another --port.\n"
        )
        with Http.to(server) as client:
            assert client.exchange(request("GET", "/topics")).status == 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "x"], "--port"),
        (["--tls-cert", "/missing.pem"], "/missing.pem"),
        (["--host", "no host"], "Check --host"),
    ],
)
def test_what_cannot_be_used(arguments: list[str], said: str) -> None:
    """A bad setting is named in one sentence; the exit status is 2."""
    message = refused(*arguments)
    assert said in message
    assert message.count("\n") == 1


def test_flags_that_are_none() -> None:
    """argparse refuses abbreviated flags, with status 2."""
    assert "--por" in refused("--por", "1")


def test_a_system_without_posix_signals_is_told(monkeypatch, capsys):
    monkeypatch.delattr(signal, "pthread_sigmask")
    assert main(["--port", "0"]) == 2
    assert "needs a POSIX system" in capsys.readouterr().err
