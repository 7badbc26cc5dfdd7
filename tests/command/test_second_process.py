"""Runs whose models take turns in a process beside that of the other tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.command.conftest import COMMAND_SECONDS, clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.command.conftest import Command

MODULE = "conformance.runner.second_process"
#: A clause of which one model is nearly all of the run.
MODEL = ("--clause", "POLL-FAIR-1", "--class", "queue-http")
#: Topics by which a model is known to play, and seconds between two looks.
PLAYED, PAUSE = 20, 0.02
LOST = "Note: a process that ran models beside the other tests was lost"

pytestmark = pytest.mark.skipif(
    len(getattr(os, "sched_getaffinity", lambda _: "1")(0)) < 2, reason="one processor: models run in turn"
)


@contextlib.contextmanager
def begun(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A run in a process group of its own, as a shell starts one."""
    run = subprocess.Popen(
        [sys.executable, "-m", "conformance", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
        process_group=0,
        # Processes in the background of a shell ignore SIGINT, and pass that on to their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield run
    finally:
        run.kill()
        run.communicate()


def children(parent: int) -> list[int]:
    """Ids of the processes that `parent` has started to run its models."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    fields = [line.split(None, 2) for line in listed.splitlines()]
    return [int(pid) for pid, ppid, command in fields if int(ppid) == parent and MODULE in command]


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + COMMAND_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(PAUSE)


def topics_at(url: str) -> int:
    """Number of topics at the server: models add one or two in each example."""
    with urllib.request.urlopen(url.replace("ws:", "http:").removesuffix("/stomp") + "/topics") as reply:
        return len(json.load(reply)["topics"])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_process_that_is_killed_costs_no_verdict(server_url: str) -> None:
    """The system kills a process when memory runs out: its test runs in the other one, and the output says so."""
    with begun(server_url, *MODEL) as run:
        wait_for(lambda: children(run.pid) or run.poll() is not None)
        os.kill(children(run.pid)[0], signal.SIGKILL)
        out, err = run.communicate(timeout=COMMAND_SECONDS)
    assert run.returncode == 0, out + err
    assert "CONFORMING" in out
    assert f"{LOST} (it ended with status -9)" in err
    assert "Traceback" not in out + err


def test_ctrl_c_ends_both_processes(server_url: str) -> None:
    """A terminal sends SIGINT to both: the run says once that it was interrupted, and leaves no process."""
    there = topics_at(server_url)
    with begun(server_url, "--effort", "thorough", *MODEL) as run:
        wait_for(lambda: children(run.pid) or run.poll() is not None)
        (child,) = children(run.pid)
        wait_for(lambda: topics_at(server_url) > there + PLAYED or run.poll() is not None)
        os.killpg(run.pid, signal.SIGINT)
        out, err = run.communicate(timeout=COMMAND_SECONDS)
    assert run.returncode == 4, out + err
    assert "interrupted" in out, out
    assert "Traceback" not in out + err
    assert LOST not in err
    wait_for(lambda: not is_alive(child))


def test_a_run_that_is_killed_leaves_no_process(server_url: str) -> None:
    """The end of the run ends the process of its models, however it came."""
    with begun(server_url, "--effort", "thorough", *MODEL) as run:
        wait_for(lambda: children(run.pid) or run.poll() is not None)
        (child,) = children(run.pid)
        run.kill()
    wait_for(lambda: not is_alive(child))


def test_the_time_limit_ends_a_model_in_the_other_process(conformance: Command, server_url: str) -> None:
    """The reason of the end is that of the run; the clauses of the model were not judged."""
    ended = conformance(server_url, "--effort", "thorough", "--time-limit", "4", *MODEL)
    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert "not over within 4 s" in " ".join(ended.stdout.split())
    assert LOST not in ended.stderr


@pytest.mark.parametrize("parallel", ["1", "2"])
def test_a_failure_that_a_model_finds_has_its_program(
    conformance: Command, parallel: str, tmp_path: Path
) -> None:
    """The evidence is the same in either process: the steps of the shortest program, and a file to send again."""
    broker = f"{sys.executable} -m tests.mutants.serving anybody-may-acknowledge --virtual-clock"
    judged = ("--clause", "ACK-OTHER-1", "--class", "queue-http", "--parallel", parallel)
    ended = conformance("--launch", broker, *judged, "--report", str(tmp_path))
    assert ended.returncode == 1, ended.stdout + ended.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    failures = [failure for verdict in report["verdicts"] for failure in verdict.get("failures", ())]
    (found,) = [failure for failure in failures if failure["test"].startswith("test_models::")]
    assert 0 < len(found["steps"]) < 15, found["steps"]
    assert len(list((tmp_path / "failures").iterdir())) >= len(failures)
    assert LOST not in ended.stderr
