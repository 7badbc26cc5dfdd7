"""Exit status and messages of the command, for each way in which a run can end."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.command.conftest import COMMAND_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Command

CLAUSE = ("--clause", "STOMP-CONNECT-001", "--class", "stomp-1.2")


def test_a_clause_that_holds_is_conforming(conformance: Command, server_url: str) -> None:
    ended = conformance(server_url, *CLAUSE)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "STOMP-CONNECT-001" in ended.stdout
    assert "CONFORMING" in ended.stdout


def test_an_extension_that_is_claimed_in_vain_is_not_conforming(conformance: Command) -> None:
    # A server without a virtual clock breaks the clauses of that extension.
    ended = conformance(
        "--launch",
        f"{sys.executable} -m reference_server --port 0",
        "--class",
        "virtual-clock",
        "--class",
        "queue-http",
        "--clause",
        "CLOCK-1",
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "CLOCK-1" in ended.stdout
    assert "NOT CONFORMING" in ended.stdout


def test_the_first_broken_requirement_may_end_the_run(conformance: Command, poor_broker_url: str) -> None:
    arguments = (poor_broker_url, "--class", "stomp-1.2", "--clause", "STOMP-FRAME", "--parallel", "1")
    whole, cut = conformance(*arguments), conformance(*arguments, "--fail-fast")
    assert (whole.returncode, cut.returncode) == (1, 1), cut.stdout + cut.stderr
    assert "ended early: --fail-fast" in " ".join(cut.stdout.split())
    assert "1 requirement broken" in cut.stdout
    assert "1 requirement broken" not in whole.stdout


def test_a_known_deviation_ends_no_run(conformance: Command, poor_broker_url: str, tmp_path: Path) -> None:
    # Tests run side by side: each of the two may be the first to fail.
    known = "".join(
        f'[[waivers]]\nclause = "{clause}"\nreason = "a poor broker"\n'
        for clause in ("STOMP-RECEIPT-001", "STOMP-SUB-001")
    )
    file = tmp_path / "known.toml"
    file.write_text(f'name = "known"\ntitle = "A poor broker"\nclasses = ["stomp-1.2"]\n{known}')
    some = [word for number in (1, 2, 3) for word in ("--clause", f"STOMP-FRAME-00{number}")]
    ended = conformance(
        poor_broker_url, "--target", str(file), "--clause", "STOMP-RECEIPT-001", *some, "--fail-fast"
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "ended early" not in " ".join(ended.stdout.split())


def test_nobody_at_the_address_is_one_sentence(conformance: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        ended = conformance(f"ws://127.0.0.1:{taken.getsockname()[1]}/stomp")
    assert ended.returncode == 2
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "nobody answers" in ended.stderr


def test_a_plain_web_server_is_wrong_usage(conformance: Command, web_server_url: str) -> None:
    ended = conformance(web_server_url)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr + ended.stdout
    assert "--class" in ended.stderr


def test_a_plain_web_server_is_wrong_usage_where_a_class_is_asked_for(
    conformance: Command, web_server_url: str
) -> None:
    ended = conformance(web_server_url, "--class", "stomp-1.2", "--clause", "STOMP-CONNECT-001")
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "there is no WebSocket" in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


def test_a_plain_web_server_is_not_conforming_where_its_http_is_asked_for(
    conformance: Command, web_server_url: str
) -> None:
    ended = conformance(web_server_url, "--class", "queue-http", "--clause", "GROUP-ADD-1")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "which server"),
        (("http://127.0.0.1:0/",), "expected something like"),
        (("127.0.0.1:8080",), "expected something like"),
        (("ws://127.0.0.1:1/", "--clause", "NO-SUCH-CLAUSE"), "NO-SUCH-CLAUSE"),
        (("ws://127.0.0.1:1/", "--class", "no-such-class"), "no-such-class"),
        (("ws://127.0.0.1:1/", "--target", "no-such-target"), "no-such-target"),
        (("ws://127.0.0.1:1/", "--target", ""), "an empty name"),
        (("ws://127.0.0.1:1/", "--heartbeat-timeout", "soon"), "soon"),
        (("ws://127.0.0.1:1/", "--seed", "-1"), "seed"),
        (("--launch", "no-such-command-anywhere"), "no-such-command-anywhere"),
        (("--launch", f"{sys.executable} -c pass"), "ended before it listened"),
    ],
)
def test_wrong_usage_says_what_was_wrong(conformance: Command, arguments: tuple[str, ...], said: str) -> None:
    ended = conformance(*arguments)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_nothing_selected_is_inconclusive(conformance: Command, server_url: str) -> None:
    ended = conformance(server_url, "--clause", "ACK-OK-1", "--class", "stomp-1.2")
    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert "No clause is selected" in ended.stderr


def test_ctrl_c_ends_the_run_with_what_was_judged(server_url: str) -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "conformance", server_url, "--effort", "thorough"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Processes in the background of a shell ignore SIGINT, and pass that on to their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert run.stdout is not None
    for line in run.stdout:
        if re.search(
            r"\d+ of \d+ tests in ", line
        ):  # a line of progress: before it, there may be no verdict yet
            break
    run.send_signal(signal.SIGINT)
    try:
        out, err = run.communicate(timeout=COMMAND_SECONDS)
    finally:
        run.kill()
    assert run.returncode == 4, out + err
    assert "Traceback" not in out + err
    assert re.search(r"interrupted.* after [1-9]\d* clauses were judged", " ".join(out.split())), out


def test_the_server_can_be_launched_and_is_stopped(conformance: Command) -> None:
    ended = conformance("--launch", f"{sys.executable} -m reference_server --port 0 --virtual-clock", *CLAUSE)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_environment_names_the_command_to_launch(conformance: Command) -> None:
    command = f"{sys.executable} -m reference_server --port 0 --virtual-clock"
    ended = conformance(*CLAUSE, STOMPLIANCE_LAUNCH=command)
    assert ended.returncode == 0, ended.stdout + ended.stderr
