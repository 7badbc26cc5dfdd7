"""Files and folders of the command line, its working directory and its streams: wrong ones are status 2, never 1."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.command.conftest import COMMAND_SECONDS, SERVER, clean_environment

if TYPE_CHECKING:
    from tests.command.conftest import Command

CLAUSE = ("--clause", "STOMP-CONNECT-001", "--class", "stomp-1.2")


def is_one_sentence(text: str, *words: str) -> bool:
    """True if the text is one line with all these words."""
    return len(text.strip().splitlines()) == 1 and all(word in text for word in words)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file"), ("", "PEM"), ("no certificate", "PEM"), (b"\x30\x82\xff\x00", "PEM")],
    ids=["missing", "empty", "text", "binary"],
)
def test_a_ca_file_is_read_before_the_run(
    conformance: Command, server_url: str, tmp_path: Path, content: str | bytes | None, said: str
) -> None:
    """A CA file that can't be used is wrong usage, also where the URL needs no TLS."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    ended = conformance(server_url, *CLAUSE, "--ca-file", str(file))
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert is_one_sentence(ended.stderr, "--ca-file", str(file), said)
    assert not ended.stdout


def test_a_ca_file_may_not_be_a_folder(conformance: Command, server_url: str, tmp_path: Path) -> None:
    ended = conformance(server_url, *CLAUSE, "--ca-file", str(tmp_path))
    assert ended.returncode == 2
    assert is_one_sentence(ended.stderr, "--ca-file", "directory")


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/no-such/report", "taken"])
def test_a_report_that_cannot_be_written_is_told_before_the_run(
    conformance: Command, server_url: str, tmp_path: Path, place: str
) -> None:
    """Nothing is judged where the report would be lost at the end."""
    (tmp_path / "file").write_text("kept")
    (tmp_path / "taken" / "report.json").mkdir(parents=True)
    ended = conformance(server_url, *CLAUSE, "--report", str(tmp_path / place))
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert is_one_sentence(ended.stderr, "--report")
    assert not ended.stdout
    assert (tmp_path / "file").read_text() == "kept"


def test_waivers_that_cannot_be_written_are_told_before_the_run(
    conformance: Command, server_url: str, tmp_path: Path
) -> None:
    ended = conformance(server_url, *CLAUSE, "--write-waivers", str(tmp_path / "no-folder" / "known.toml"))
    assert ended.returncode == 2
    assert is_one_sentence(ended.stderr, "--write-waivers")
    assert not ended.stdout


def test_a_working_directory_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    """Python itself, pytest and Hypothesis would raise FileNotFoundError, which ends with status 1."""
    gone = tmp_path / "gone"
    gone.mkdir()
    ended = subprocess.run(
        [
            "sh",
            "-c",
            f'cd "$1" && rmdir "$1" && exec "{sys.executable}" -m conformance ws://127.0.0.1:1/',
            "",
            gone,
        ],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        # The suite must be found by its installation or by an absolute path, not by the working directory.
        env={**clean_environment(), "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "working directory" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_mistake_of_the_suite_is_status_3(tmp_path: Path) -> None:
    """An exception that nothing handles, even while the suite is imported, must not look like a verdict."""
    (tmp_path / "rich").mkdir()
    (tmp_path / "rich" / "__init__.py").write_text("raise RuntimeError('broken installation')\n")
    ended = subprocess.run(
        [sys.executable, "-m", "conformance", "--list-clauses"],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        env={**clean_environment(), "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}"},
    )
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert "broken installation" in ended.stderr
    assert "please report" in ended.stderr


@pytest.mark.parametrize("lines", [0, 1, 3])
def test_a_reader_that_goes_away_changes_no_status(lines: int) -> None:
    """The status of `… | head` is that of the verdicts, and nobody sees a traceback."""
    command = [sys.executable, "-m", "conformance", "--launch", SERVER, "--effort", "quick"]
    with subprocess.Popen(
        [*command, "--clause", "STOMP-CONNECT", "--verbose"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        for _ in range(lines):
            run.stdout.readline()
        run.stdout.close()
        said = run.stderr.read()
        try:
            assert run.wait(COMMAND_SECONDS) == 0, said
        finally:
            run.kill()
    assert said == ""


def test_a_reader_that_goes_away_does_not_hide_what_is_broken() -> None:
    run = subprocess.Popen(
        [
            *(sys.executable, "-m", "conformance", "--class", "virtual-clock", "--clause", "CLOCK-1"),
            *("--launch", f"{sys.executable} -m reference_server --port 0"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=clean_environment(),
    )
    assert run.stdout is not None
    run.stdout.close()
    try:
        assert run.wait(COMMAND_SECONDS) == 1
    finally:
        run.kill()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_output_that_is_lost_is_a_failure_of_the_run() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "conformance", "--list-clauses"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
            env=clean_environment(),
        )
    assert ended.returncode == 3
    assert is_one_sentence(ended.stderr, "could not be written")


def test_nothing_is_left_behind_but_the_report(tmp_path: Path) -> None:
    """Neither the command nor the pytest plugin leaves Hypothesis' folder in the working directory."""
    ended = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "conformance",
                "--launch",
                SERVER,
                "--effort",
                "quick",
                "--report",
                "made",
            ),
            *("--clause", "STOMP-ENC", "--clause", "ACK"),
        ],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=tmp_path,
        env={**clean_environment(), "PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(tmp_path)},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert re.search(r"Written: made/report\.json", ended.stdout)
