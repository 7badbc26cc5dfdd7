"""The commands of the README, in its order, on a fresh broker: each does what the text around it says.

Programs that the commands name are found in a folder of stand-ins: `pip` installs nothing, `tox` runs the command of
the environment in tox.ini, and runs of the suite judge a few clauses. Ports are replaced by free ones.
"""

from __future__ import annotations

import configparser
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.history.files import write_history
from conformance.history.system_facts import facts_of
from tests.command.conftest import COMMAND_SECONDS, clean_environment
from tests.history.legal import some_history

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"(?:^    \S.*\n)+", re.MULTILINE)
#: Output after which a program that runs until Ctrl-C is at work.
AT_WORK = {"reference_server": "ws://", "consumer.py": "waiting for the topic", "producer.py": "acknowledged"}
SHORT = "--clause STOMP-CONNECT --effort quick"


def commands() -> list[str]:
    """Lines of the README's command blocks, without comments."""
    blocks = _BLOCK.findall(_FENCED.sub("", (ROOT / "README.md").read_text("utf-8")))
    return [" ".join(shlex.split(line, comments=True)) for block in blocks for line in block.splitlines()]


class Program:
    """A program of the README that runs until Ctrl-C."""

    def __init__(self, process: subprocess.Popen[str], line: str) -> None:
        self.line = line
        self.process = process
        self.output = ""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: str) -> None:
        """Wait until the output holds this text."""
        with self._changed:
            found = self._changed.wait_for(lambda: text in self.output, COMMAND_SECONDS)
        assert found, f"{self.line}: no {text!r} in {self.output}"

    def interrupt(self) -> int:
        """Send Ctrl-C; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(COMMAND_SECONDS)
        self._reader.join(COMMAND_SECONDS)
        return status

    def end(self) -> None:
        """Kill the program if it still runs."""
        self.process.kill()
        self.process.wait()
        self._reader.join(COMMAND_SECONDS)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with self._changed:
                    self.output += line
                    self._changed.notify_all()


class Terminal:
    """A user's terminals: the working directory, programs that still run, ports of this test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[Program] = []
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            second.bind(("127.0.0.1", 0))
            self._ports = {"8080": str(first.getsockname()[1]), "15674": str(second.getsockname()[1])}
        (folder / "scripts").symlink_to(ROOT / "scripts")
        (folder / "bin").mkdir()
        python = shlex.quote(sys.executable)
        tox = configparser.ConfigParser(interpolation=None)
        tox.read(ROOT / "tox.ini")
        in_tox = tox["testenv:conformance"]["commands"].replace("{posargs}", '"$@"')
        launch = (
            tox["testenv:conformance"]["set_env"].strip().replace("{env_python}", "python").split(" = ", 1)
        )
        self._stand_in("pip", 'test "$1" = install')
        self._stand_in(
            "python",
            f'case "$*" in "-m conformance compare "*|"-m conformance judge "*|*--list-*) exec {python} "$@";; '
            f'"-m conformance"*) exec {python} "$@" {SHORT};; *) exec {python} "$@";; esac',
        )
        self._stand_in(
            "pytest", f'exec {python} -m pytest -p no:cacheprovider "$@" --stompliance={shlex.quote(SHORT)}'
        )
        self._stand_in(
            "tox",
            f'test "$1 $2" = "run conformance" || exit 9; shift 2; test "$1" != -- || shift; '
            f"export {launch[0]}={shlex.quote(launch[1])}; exec {in_tox}",
        )

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            ["sh", "-c", self._with_ports(line)],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
            cwd=self.folder,
            env=self._environment(),
        )

    def start(self, line: str) -> Program:
        """Start a command that runs until Ctrl-C."""
        process = subprocess.Popen(
            shlex.split(f"{self.folder}/bin/{self._with_ports(line)}"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env=self._environment(),
            # Processes in the background of a shell ignore SIGINT, and pass that on to their children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.running.append(Program(process, line))
        return self.running[-1]

    def answers(self, line: str) -> bool:
        """True if the command names no URL, or one where somebody listens."""
        port = re.search(r"ws://127\.0\.0\.1:(\d+)", self._with_ports(line))
        if port is None:
            return True
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(port[1]))) == 0

    def _with_ports(self, line: str) -> str:
        for written, ours in self._ports.items():
            line = line.replace(written, ours)
        # The default port of the sample clients is 8080.
        return f"{line} --url ws://127.0.0.1:{self._ports['8080']}" if "scripts/" in line else line

    def _environment(self) -> dict[str, str]:
        path = f"{self.folder / 'bin'}:{clean_environment()['PATH']}"
        return {**clean_environment(), "PATH": path, "PYTHONPATH": str(ROOT)}

    def _stand_in(self, name: str, script: str) -> None:
        file = self.folder / "bin" / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """Terminals whose programs end with the test."""
    made = Terminal(tmp_path)
    yield made
    for program in made.running:
        program.end()


def test_every_command_of_the_readme_works_in_its_order(terminal: Terminal) -> None:
    history, parameters = some_history(1)
    write_history(terminal.folder / "run.jsonl", facts_of(parameters), history)
    lines = commands()
    assert len(lines) > 10
    for line in lines:
        program = next((name for name in AT_WORK if name in line), None)
        if program:
            terminal.start(line).wait_for(AT_WORK[program])
            continue
        # A URL where no server runs yet is an example for the reader: the suite says that nobody answers.
        expected = 0 if terminal.answers(line) else 2
        ended = terminal.run(line)
        assert ended.returncode == expected, f"{line}\n{ended.stdout}{ended.stderr}"
    server, consumer, producer = terminal.running
    consumer.wait_for("joined readers and reads news")
    consumer.wait_for("acknowledged")
    assert [program.interrupt() for program in (consumer, producer, server)] == [0, 0, 0], server.output
    assert [program.output.rstrip().endswith("leaving") for program in (consumer, producer)] == [True, True]
