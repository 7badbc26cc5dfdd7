"""`--fault` and `--heal`: the concurrent scenario while nodes are stopped, killed and restarted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from conformance.history import fault_injection
from conformance.history.client_runner import EventRecorder
from conformance.history.fault_injection import FaultInjector, FaultPlan, NotBack
from conformance.targets.commands import Command
from tests.command.conftest import clean_environment, run_conformance
from tests.faults.conftest import forgetful_server, port_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.history.workload.workload_state import WorkloadState
    from tests.faults.conftest import Door

PROGRAM = (sys.executable, "-m", "conformance")
QUICK = ("--effort", "quick", "--class", "queue-http")


def test_nodes_that_are_stopped_and_killed(doors: Callable[[int, int], list[Door]], tmp_path: Path) -> None:
    """A conforming server behind two doors conforms; report, history and picture have the faults."""
    with forgetful_server("nothing") as server:
        one, two = doors(port_of(server), 2)
        done = run_conformance(
            *(one.url, two.url, *QUICK, "--report", str(tmp_path / "report")),
            *("--fault", f"stop two={two.stop}", "--fault", f"kill two={two.kill}", "--heal", two.heal),
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 stop two" in done.stdout
    assert "1 kill two" in done.stdout
    assert "in flight when they came" in done.stdout
    report = json.loads((tmp_path / "report/report.json").read_text())
    (record,) = report["run"]["faults"]
    assert {each["name"] for each in record["injected"]} == {"stop two", "kill two"}
    assert all(each["in_flight"] > 0 for each in record["injected"])
    assert 0 < record["unknown"] < record["operations"]
    (history,) = (tmp_path / "report/histories").iterdir()
    events = [json.loads(line) for line in history.read_text().splitlines()[1:]]
    assert [event["op"] for event in events if event["op"] in {"fault", "heal"}] == ["fault", "heal"] * 2
    assert {event["name"] for event in events if event["op"] == "fault"} == {"stop two", "kill two"}
    assert '"faults": [[' in (tmp_path / "report/report.html").read_text()
    again = run_conformance("judge", str(history))
    assert again.returncode == 0, again.stdout


@pytest.mark.parametrize(
    ("kind", "promises"),
    [
        ("nothing", set()),
        ("commits", {"no-redelivery-after-acknowledgement"}),
        # A record that was skipped was in flight before, given up by its holder, or neither.
        ("skips", {"at-least-once", "redelivered-before-its-successors", "late-acknowledgement-refused"}),
        # Records that were lost leave their offsets to others.
        ("records", {"at-least-once", "true-marks"}),
        ("members", {"eviction-within-its-bound"}),
    ],
)
def test_what_a_server_forgets_is_found(kind: str, promises: set[str], tmp_path: Path) -> None:
    """A server that loses what it promised to keep breaks the promise; its history shows it once more.

    A loss may be hidden behind outcomes that are unknown; it is not in all of four runs.
    """
    with forgetful_server(kind) as server:
        url = f"http://127.0.0.1:{port_of(server)}"
        fault = f"restart=kill -USR1 {server.pid}"
        for seed in ("1", "2", "3", "4") if promises else "1":
            options = ("--seed", seed, "--fault", fault, "--report", str(tmp_path))
            done = run_conformance(url, *QUICK, *options)
            if done.returncode:
                break
    assert done.returncode == (1 if promises else 0), done.stdout + done.stderr
    if promises:
        once_more = " ".join(done.stdout.partition("Once more")[2].replace("\\\n", " ").split())
        assert f"--fault 'restart=kill -USR1 {server.pid}'" in once_more
        assert "--clause" not in once_more
        again = run_conformance("judge", *map(str, (tmp_path / "histories").iterdir()))
        broken = {line.split()[1] for line in again.stdout.splitlines() if line.startswith("  BROKEN ")}
        assert broken & promises, again.stdout


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            "sh -c 'echo the node is not here; exit 3'",
            "ended with status 3: expected 0. It printed:\nthe node is not here",
        ),
        ("false", "ended with status 1: expected 0. It printed nothing."),
    ],
)
def test_a_command_that_fails_ends_the_run(command: str, said: str, tmp_path: Path) -> None:
    """Status 4 with its output; the heal command has run."""
    healed = tmp_path / "healed"
    with forgetful_server("nothing") as server:
        url = f"http://127.0.0.1:{port_of(server)}"
        done = run_conformance(url, *QUICK, "--fault", f"kill={command}", "--heal", f"touch {healed}")
    assert done.returncode == 4, done.stdout + done.stderr
    assert " ".join(said.split()) in " ".join(done.stdout.split())
    assert "NOT CONFORMING" not in done.stdout
    assert healed.exists()


def test_a_heal_that_fails_ends_the_run() -> None:
    """Status 4, with the command."""
    with forgetful_server("nothing") as server:
        url = f"http://127.0.0.1:{port_of(server)}"
        done = run_conformance(url, *QUICK, "--fault", "nothing=true", "--heal", "false")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "--heal" in done.stdout


def test_a_server_that_is_gone_for_good_ends_the_run() -> None:
    """Its clients don't wait for it once the heal command has failed: status 4, long before the bound of the faults."""
    with forgetful_server("nothing") as server:
        url = f"http://127.0.0.1:{port_of(server)}"
        done = run_conformance(
            url, *QUICK, "--time-limit", "0", "--fault", f"kill=kill -9 {server.pid}", "--heal", "false"
        )
    assert done.returncode == 4, done.stdout + done.stderr
    assert "--heal" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_heals(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C or SIGTERM while a fault is in effect: the heal command runs, and the status is 4."""
    began, healed = tmp_path / "began", tmp_path / "healed"
    with forgetful_server("nothing") as server:
        url = f"http://127.0.0.1:{port_of(server)}"
        run = subprocess.Popen(
            [*PROGRAM, url, *QUICK, "--fault", f"a=touch {began}", "--heal", f"touch {healed}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=clean_environment(),
        )
        while run.poll() is None and not began.exists():
            pass
        assert not healed.exists()
        os.kill(run.pid, number)
        printed, _ = run.communicate(timeout=60)
    assert run.returncode == 4, printed
    assert healed.exists()
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fault", "kill"], "expected a name of at most 40 characters, = and a command"),
        (["--fault", "=true"], "expected a name"),
        (["--fault", "kill=nosuchprogram 1"], "there is no program 'nosuchprogram'"),
        (["--fault", "kill='"], "No closing quotation"),
        (["--fault", "a=true", "--fault", "a=false"], "--fault a is given twice"),
        (["--heal", "true"], "--heal undoes a fault: expected --fault"),
        (["--restart", "nosuchprogram"], "there is no program 'nosuchprogram'"),
    ],
)
def test_wrong_usage(words: list[str], said: str) -> None:
    """Status 2 before anything is sent, with what was expected."""
    done = run_conformance("http://127.0.0.1:9", *words)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr


@pytest.mark.parametrize("option", ["--restart", "--fault"])
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("{folder}/restart.sh", "is not executable: expected a program, as after chmod +x"),
        ("{folder}", "is a folder: expected a program"),
        ("sh {folder}/gone.sh now", "there is no script '{folder}/gone.sh' for sh"),
        ("python3 gone.py", "there is no script 'gone.py' for python3"),
        ("'' now", "there is no program ''"),
    ],
)
def test_a_command_that_cannot_work_is_wrong_usage(
    tmp_path: Path, option: str, command: str, said: str
) -> None:
    """A file that can't be run, and a script that is not there, are found before anything is judged."""
    (tmp_path / "restart.sh").write_text("exit 0")
    line = command.format(folder=tmp_path)
    done = run_conformance("http://127.0.0.1:9", option, f"kill={line}" if option == "--fault" else line)
    assert done.returncode == 2, done.stdout
    assert said.format(folder=tmp_path) in done.stderr


def test_commands_that_may_work_are_tried(tmp_path: Path) -> None:
    """Options of an interpreter, and scripts with odd names, are nobody's mistake."""
    script = tmp_path / "without an ending"
    script.write_text("exit 0")
    for line in (
        f"sh '{script}'",
        "sh -c 'exit 0'",
        "python3 -c pass",
        "python3 -m this",
        "env sh -c 'exit 0'",
        "true",
    ):
        Command("--restart", line).run()


def test_faults_take_real_time() -> None:
    """A server with a virtual clock is not judged, with the reason: status 4."""
    server = f"{sys.executable} -m reference_server --port 0 --virtual-clock"
    done = run_conformance("--launch", server, *QUICK, "--fault", "a=true", "--verbose")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "start the server without a virtual clock" in " ".join(done.stdout.split())


def test_the_help_teaches_it() -> None:
    """`--help` has an example with several nodes."""
    done = run_conformance("--help")
    assert "--fault 'kill=" in done.stdout
    assert "--heal" in done.stdout


def test_a_fault_that_nothing_undoes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of the run names --heal where it was not given, and only there."""
    monkeypatch.setattr(fault_injection, "BACK_SECONDS", 0.0)
    monkeypatch.setattr(fault_injection, "AT_WORK_SECONDS", 0.0)
    idle = SimpleNamespace(aborted=False, deliveries=0, in_flight=lambda: 0)
    said = []
    for heal in (None, lambda: None):
        plan = FaultPlan(faults={"pause": lambda: None}, heal=heal, is_back=lambda: False, long=0.0)
        injector = FaultInjector(plan, cast("WorkloadState", idle), EventRecorder())
        with pytest.raises(NotBack) as raised:
            injector.run()
        said.append(str(raised.value))
    assert "expected one as --heal" in said[0]
    assert "--heal" not in said[1]
