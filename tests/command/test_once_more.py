"""The printed "Once more" command: it is run as it stands, and fails again."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from conformance.command.arguments import options_of, parser
from conformance.command.once_more import once_more
from conformance.reporting.failure_text import command_words
from conformance.targets.server_process import running_server
from conformance.verdicts.verdicts import Failure
from tests.command.conftest import COMMAND_SECONDS, clean_environment

if TYPE_CHECKING:
    from tests.command.conftest import Command

FAILURE = Failure("CLOCK-1", "queue-http", "test_it", "an answer", "silence")
#: Options that change the verdict, with values that a shell would take apart.
ODD = {
    "--target": "./my targets/it's mine.toml",
    "--login": "bob & alice",
    "--host-header": "$HOME `x`",
    "--heartbeat-timeout": "2.5",
    "--seed": "7",
    "--parallel": "1",
}


def printed(output: str) -> str:
    """The first command that a run prints behind "Once more"."""
    found = re.search(r"Once more, this alone:\n((?:.*\\\n)*.*\n)", output)
    assert found, output
    return found[1].strip()


def in_shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command line as a user would paste it; `python` is the one that runs the tests."""
    path = f"{Path(sys.executable).parent}:{clean_environment()['PATH']}"
    return subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=folder,
        env={
            **clean_environment(),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PATH": path,
            **environment,
        },
    )


def test_every_option_that_matters_is_in_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my targets").mkdir()
    (tmp_path / "my targets" / "it's mine.toml").write_text('name = "mine"\n')
    odd = [word for pair in ODD.items() for word in pair]
    more = [
        "--insecure",
        "--no-waivers",
        "--exclude",
        "ACK-OK-1",
        "--effort",
        "quick",
        "--class",
        "virtual-clock",
    ]
    given = ["wss://127.0.0.1:1/a?b=c&d", *odd, *more]
    line = once_more(options_of(vars(parser().parse_args(given))), FAILURE)
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "conformance"]
    first, again = (vars(parser().parse_args(arguments)) for arguments in (given, words[3:]))
    changed = {name for name in first if first[name] != again[name]}
    assert changed == {"clauses", "classes"}
    assert (again["clauses"], again["classes"]) == (["CLOCK-1"], ["queue-http", "virtual-clock"])


def test_words_of_a_command_stay_as_they_are_quoted() -> None:
    line = shlex.join(["a", "it's", "", "x y", "$z", '"', "\\"]) + ' --passcode "$NAME"'
    assert " ".join(command_words(line)) == line
    assert command_words(line)[-1] == '"$NAME"'
    assert shlex.split(line)[:7] == ["a", "it's", "", "x y", "$z", '"', "\\"]


def test_the_passcode_is_named_and_not_shown() -> None:
    given = ["ws://127.0.0.1:1/", "--login", "bob", "--passcode", "open sesame"]
    line = once_more(options_of(vars(parser().parse_args(given))), FAILURE)
    assert "sesame" not in line
    assert line.endswith('--passcode "$STOMPLIANCE_PASSCODE"')


def test_the_printed_command_fails_again(conformance: Command, poor_broker_url: str, tmp_path: Path) -> None:
    """A target file in the working directory, a login with a passcode, timings: nothing of it gets lost."""
    (tmp_path / "my target.toml").write_text(
        'name = "mine"\ntitle = "A poor broker"\nclasses = ["stomp-1.2"]\n'
    )
    ended = in_shell(
        shlex.join(
            [
                *("python", "-m", "conformance", poor_broker_url, "--target", "./my target.toml"),
                *("--login", "bob", "--passcode", "it's", "--host-header", "a b", "--heartbeat-timeout", "3"),
                *("--class", "stomp-1.2", "--clause", "STOMP-RECEIPT-001", "--effort", "quick"),
            ]
        ),
        tmp_path,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "it's" not in ended.stdout
    again = in_shell(printed(ended.stdout), tmp_path, STOMPLIANCE_PASSCODE="it's")
    assert again.returncode == 1, again.stdout + again.stderr
    assert "A poor broker" in again.stdout
    assert "STOMP-RECEIPT-001" in again.stdout
    assert printed(again.stdout) == printed(ended.stdout)


def test_the_printed_command_starts_the_server_again(tmp_path: Path) -> None:
    """The URL of a server that the run itself started is gone with it."""
    launch = "python -m reference_server --port 0"
    ended = in_shell(
        shlex.join(
            [
                *("python", "-m", "conformance", "--launch", launch, "--class", "virtual-clock"),
                *("--class", "queue-http", "--clause", "CLOCK-1"),
            ]
        ),
        tmp_path,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    again = in_shell(printed(ended.stdout), tmp_path)
    assert again.returncode == 1, again.stdout + again.stderr
    assert "CLOCK-1" in again.stdout


@pytest.mark.parametrize("trust", ["--ca-file", "--insecure"])
def test_the_printed_command_trusts_the_server_again(tmp_path: Path, trust: str) -> None:
    """A server with a certificate of its own can be reached again only with the option that made it trusted."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "the ca.pem")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    trusted = [trust, "the ca.pem"] if trust == "--ca-file" else [trust]
    with running_server(
        f"{sys.executable} -m reference_server --port 0 --tls-cert {tmp_path / 'server.pem'} "
        f"--tls-key {tmp_path / 'server.pem'}"
    ) as url:
        judged = ["--class", "virtual-clock", "--class", "queue-http", "--clause", "CLOCK-1"]
        ended = in_shell(shlex.join(["python", "-m", "conformance", url, *trusted, *judged]), tmp_path)
        assert ended.returncode == 1, ended.stdout + ended.stderr
        again = in_shell(printed(ended.stdout), tmp_path)
        assert again.returncode == 1, again.stdout + again.stderr
        assert "CLOCK-1" in again.stdout
