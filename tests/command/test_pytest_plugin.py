"""The suite on pytest's own command line, and other projects in the same environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.command.conftest import COMMAND_SECONDS, clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable

CLAUSE = "--clause STOMP-CONNECT-001 --class stomp-1.2"
#: Options that belong to the projects of users: `--url` is that of pytest-base-url and of many a conftest.
COMMON = ("--url", "--target", "--report", "--login", "--seed", "--level", "--clause", "--class", "--launch")


@pytest.fixture
def pytest_in(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Function that runs pytest in a project of its own."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
            cwd=tmp_path,
            env={**clean_environment(), "PYTHONPATH": str(Path(__file__).parents[2])},
        )

    return run


def test_the_options_of_another_project_are_left_alone(
    pytest_in: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """A conftest in the same environment may add any option of a common name."""
    added = "\n".join(f"    parser.addoption({name!r}, default='none')" for name in COMMON)
    (tmp_path / "conftest.py").write_text(f"def pytest_addoption(parser):\n{added}\n")
    (tmp_path / "test_theirs.py").write_text(
        "def test_it(request):\n    assert request.config.getoption('--url') == 'http://theirs'\n"
    )
    ended = pytest_in("--url", "http://theirs", "test_theirs.py")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_option_of_the_plugin_has_a_name_of_its_own() -> None:
    from conformance import plugin

    parser = pytest.Parser(_ispytest=True)
    plugin.pytest_addoption(parser)
    names = [name for group in parser._groups for option in group.options for name in option.names()]
    assert names
    assert all(name.startswith("--stompliance") for name in names)


@pytest.mark.parametrize("spread", [("-n", "2"), ("-n", "1"), ("--dist", "load", "--tx", "2*popen")])
def test_xdist_is_refused(
    pytest_in: Callable[..., subprocess.CompletedProcess[str]], server_url: str, spread: tuple[str, ...]
) -> None:
    """Each worker would judge a part of the tests, and the controller none."""
    ended = pytest_in(
        "--pyargs", "conformance", "--stompliance-url", server_url, f"--stompliance={CLAUSE}", *spread
    )
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "leave out -n" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("spread", [("-n", "0"), ("-p", "no:xdist")])
def test_xdist_that_spreads_nothing_is_no_hindrance(
    pytest_in: Callable[..., subprocess.CompletedProcess[str]],
    server_url: str,
    spread: tuple[str, ...],
    tmp_path: Path,
) -> None:
    ended = pytest_in(
        "--pyargs", "conformance", "--stompliance-url", server_url, f"--stompliance={CLAUSE}", *spread
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "STOMP-CONNECT-001" in ended.stdout
    assert list(tmp_path.iterdir()) == []


def test_another_project_may_use_xdist(
    pytest_in: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "test_theirs.py").write_text("def test_it():\n    pass\n")
    ended = pytest_in("-n", "2", "test_theirs.py")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("url", "more", "status", "said"),
    [
        ("ws://127.0.0.1:1/", "", 2, "nobody answers"),
        ("no URL", "", 2, "expected something like"),
        ("ws://127.0.0.1:1/", "--clause STMP", 2, "STOMP"),
        ("{server}", "--clause ACK-OK-1 --class stomp-1.2", 4, "No clause is selected"),
        ("{server}", "--no-such-option", 2, "unrecognized arguments: --no-such-option"),
        ("{server}", "--effort enormous", 2, "invalid choice: 'enormous'"),
        ("{server}", "--clause 'ACK", 2, "No closing quotation"),
        ("{server}", "--launch some-server", 2, "leave them out of --stompliance"),
        ("{server}", "--list-clauses", 2, "leave them out of --stompliance"),
        ("{server}", "--help", 0, "exit status:"),
    ],
)
def test_statuses_are_those_of_the_command(
    pytest_in: Callable[..., subprocess.CompletedProcess[str]],
    server_url: str,
    url: str,
    more: str,
    status: int,
    said: str,
) -> None:
    """Pytest's own status for wrong usage, 4, would say that the run is inconclusive."""
    ended = pytest_in(
        "--pyargs", "conformance", "--stompliance-url", url.format(server=server_url), f"--stompliance={more}"
    )
    assert ended.returncode == status, ended.stdout + ended.stderr
    assert said in " ".join((ended.stdout + ended.stderr).split())


def test_a_report_that_cannot_be_written_is_told_before_the_run(
    pytest_in: Callable[..., subprocess.CompletedProcess[str]], server_url: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    ended = pytest_in(
        "--pyargs", "conformance", "--stompliance-url", server_url, f"--stompliance={CLAUSE} --report file"
    )
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "--report file" in ended.stdout + ended.stderr


def test_a_report_is_written_also_where_pytest_prints_nothing(
    pytest_in: Callable[..., subprocess.CompletedProcess[str]], server_url: str, tmp_path: Path
) -> None:
    """Without pytest's terminal there is no summary of pytest's that ours could be a part of."""
    options = f"--stompliance={CLAUSE} --report made"
    ended = pytest_in(
        "-p", "no:terminal", "--pyargs", "conformance", "--stompliance-url", server_url, options
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "CONFORMING" in ended.stdout
    assert (tmp_path / "made" / "report.json").exists()
