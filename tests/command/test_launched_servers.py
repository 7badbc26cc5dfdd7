"""Commands of `--launch` as users have them, and signals: no process is left behind, and messages say what ended."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from conformance.targets.server_process import running_server
from tests.command.conftest import COMMAND_SECONDS, SERVER, clean_environment, run_conformance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLAUSE = ("--clause", "STOMP-CONNECT-001", "--class", "stomp-1.2")
#: Longest wait for a required event, in seconds.
DEADLINE = 20.0


def python(program: str) -> str:
    """Command line that runs a Python program."""
    return shlex.join([sys.executable, "-u", "-c", program])


def is_running(pid: int) -> bool:
    """True for a process that has not ended; one that only waits to be collected has."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def eventually(holds: Callable[[], object]) -> None:
    """Wait until the call returns something true. Raises AssertionError after DEADLINE."""
    deadline = time.monotonic() + DEADLINE
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < deadline
        pause.wait(0.02)


def listed(file: Path) -> list[int]:
    return [int(word) for word in file.read_text().split()] if file.exists() else []


@pytest.mark.parametrize(
    "shape",
    ["{server}; true", "{server} & wait", "({server}; true) | cat", "{server} & echo started; sleep 600"],
)
def test_a_server_behind_a_shell_is_stopped_with_it(tmp_path: Path, shape: str) -> None:
    """A shell that gets SIGTERM ends, and leaves the server that it started."""
    pids = tmp_path / "pids"
    program = tmp_path / "server.sh"
    program.write_text(f"echo $$ >> {pids}\nexec {SERVER}\n")
    ended = run_conformance("--launch", f"sh -c '{shape.format(server=f'sh {program}')}'", *CLAUSE)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(listed(pids)) == 1
    assert not any(map(is_running, listed(pids)))


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
@pytest.mark.parametrize("phase", ["launch", "contact", "run"])
def test_a_signal_ends_the_run_and_its_server(tmp_path: Path, phase: str, number: signal.Signals) -> None:
    """`timeout`, `docker stop` and a closed terminal end the suite by another signal than Ctrl-C."""
    pids = tmp_path / "pids"
    then = {
        "launch": "exec sleep 600",
        "contact": "echo ws://127.0.0.1:1/stomp; exec sleep 600",
        "run": f"exec {SERVER}",
    }[phase]
    program = tmp_path / "server.sh"
    program.write_text(f"echo $$ >> {pids}\n{then}\n")
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "conformance", "--launch", f"sh {program}", "--wait", "600"),
            *("--effort", "thorough", "--report", str(tmp_path / "report")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**clean_environment(), "TMPDIR": str(tmp_path)},
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    ) as run:
        assert run.stdout is not None
        try:
            if phase == "run":
                assert any("tests in " in line for line in run.stdout)
            eventually(lambda: listed(pids))
            run.send_signal(number)
            out, err = run.communicate(timeout=COMMAND_SECONDS)
        finally:
            run.kill()
    assert run.returncode == 4, out + err
    assert "nterrupted" in out + err
    assert "Traceback" not in out + err
    assert not any(map(is_running, listed(pids)))
    assert not list(tmp_path.glob("stompliance-*"))
    assert (tmp_path / "report" / "report.json").exists() == (phase == "run")


def test_a_second_ctrl_c_ends_at_once_what_the_first_one_prints(server_url: str) -> None:
    """An impatient user loses the results, and gets neither a traceback nor a verdict."""
    with subprocess.Popen(
        [sys.executable, "-m", "conformance", server_url, "--effort", "thorough", "--clause", "STOMP"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as run:
        assert run.stdout is not None
        try:
            assert any("tests in " in line for line in run.stdout)
            run.send_signal(signal.SIGINT)
            run.send_signal(signal.SIGINT)
            out, err = run.communicate(timeout=COMMAND_SECONDS)
        finally:
            run.kill()
    # Python itself ends by the signal once the suite handles it no longer.
    assert run.returncode in (4, -signal.SIGINT), out + err
    assert "Traceback" not in out + err


def test_an_ignored_signal_stays_ignored(tmp_path: Path, server_url: str) -> None:
    """A server that nohup starts goes on when its terminal is closed."""
    with subprocess.Popen(
        [sys.executable, "-m", "conformance", server_url, "--clause", "STOMP-CONNECT", "--effort", "quick"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=clean_environment(),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    ) as run:
        assert run.stdout is not None
        try:
            run.stdout.readline()
            run.send_signal(signal.SIGHUP)
            out, _ = run.communicate(timeout=COMMAND_SECONDS)
        finally:
            run.kill()
    assert run.returncode == 0, out


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("cd /tmp && ./server", "what needs a shell is written as sh -c"),
        ("PORT=1 ./server", "what needs a shell is written as sh -c"),
        ("/tmp", "'/tmp' is a folder: expected a program"),
        (
            python("print('bad option --port'); raise SystemExit(2)"),
            "ended before it listened. It printed:\nbad option",
        ),
        (
            python("raise SystemExit('ws://127.0.0.1:1/x cannot listen')"),
            "has ended with status 1. It printed:\nws://",
        ),
        (
            python("print('ws://127.0.0.1:1/x'); print('port taken')"),
            "has ended with status 0. It printed:\nws://127",
        ),
    ],
)
def test_a_command_that_starts_no_server(command: str, said: str) -> None:
    ended = run_conformance("--launch", command, *CLAUSE)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_server_that_prints_its_url_before_it_listens() -> None:
    """A log line often comes some moments before the port is open."""
    late = (
        "import socket, sys, threading, runpy\n"
        "with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]\n"
        "print(f'will listen at ws://127.0.0.1:{port}/stomp', flush=True)\n"
        "threading.Event().wait(1.5)\n"
        "sys.argv = ['x', '--port', str(port), '--virtual-clock']\n"
        "runpy.run_module('reference_server', run_name='__main__')\n"
    )
    ended = run_conformance("--launch", python(late), *CLAUSE)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_output_without_end_is_bounded() -> None:
    """A command that floods its output, in lines or in none, needs no memory here, and gets no answer."""
    for text in ("x" * 1000, "x\\n" * 500):
        program = f"import sys\nwhile True: sys.stdout.write({text!r}.replace('\\\\n', chr(10)))"
        code = (
            "import resource, conformance.targets.server_process as process\n"
            "process.START_SECONDS = 2.0\n"
            f"command = {python(program)!r}\n"
            "try:\n"
            "    with process.running_server(command): pass\n"
            "except process.LaunchFailed as error: print('no ws:// URL' in str(error))\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 200_000)\n"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.stdout.split() == ["True", "True"], ended.stdout + ended.stderr


def test_a_stubborn_child_is_killed() -> None:
    """A process that ignores SIGTERM behind a shell that has ended does not keep the run waiting without end."""
    stubborn = (
        "import os, signal, threading; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(f'ws://127.0.0.1:{os.getpid()}/', flush=True); threading.Event().wait()"
    )
    with running_server(f"sh -c {shlex.quote(python(stubborn) + '; true')}") as url:
        pid = int(url.split(":")[2].strip("/"))
        assert is_running(pid)
    eventually(lambda: not is_running(pid))
