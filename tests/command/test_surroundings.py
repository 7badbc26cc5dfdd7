"""Surroundings of the command: encodings, environment, installation, places for files. None may change a verdict."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.command.conftest import COMMAND_SECONDS, SERVER, clean_environment, run_conformance

if TYPE_CHECKING:
    from collections.abc import Callable

CLAUSE = ("--clause", "STOMP-CONNECT-001", "--class", "stomp-1.2")
ROOT = Path(__file__).parents[2]
#: Environments in which standard output takes few characters.
POOR = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "locale C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}


def run(
    arguments: list[str],
    environment: dict[str, str] | None = None,
    *,
    cwd: Path | None = None,
    first: Callable[[], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments to its end; `first` is called in the new process."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=cwd,
        env={**clean_environment(), **(environment or {})},
        preexec_fn=first,
    )


def files_of_at_most(octets: int) -> Callable[[], None]:
    """Call that lets no file of its process grow beyond so many octets, as a full disk does."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (octets, octets))


@pytest.mark.parametrize("name", POOR)
@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--list-clauses",), ("--list-targets",), ("judge", "--help"), ("replay", "--help")],
    ids=" ".join,
)
def test_texts_in_an_encoding_without_some_characters(name: str, arguments: tuple[str, ...]) -> None:
    ended = run(["-m", "conformance", *arguments], POOR[name])
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout


@pytest.mark.parametrize("name", POOR)
def test_a_run_in_an_encoding_without_some_characters(server_url: str, tmp_path: Path, name: str) -> None:
    """Paths of the report are printed too, whose letters the encoding may lack."""
    report = tmp_path / "Prüfung 日本"
    ended = run(["-m", "conformance", server_url, *CLAUSE, "--report", str(report)], POOR[name])
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "CONFORMING" in ended.stdout
    assert "report.json" in ended.stdout
    assert (report / "report.json").exists()


def test_a_path_that_is_no_text(server_url: str, tmp_path: Path) -> None:
    """A file name of octets that are no UTF-8 has lone surrogates in Python, which UTF-8 can't encode."""
    report = tmp_path / "r\udcff"
    ended = run(["-m", "conformance", server_url, *CLAUSE, "--report", str(report)])
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (report / "report.json").exists()


@pytest.mark.parametrize("columns", ["0", "1", "7", "40", "100000", "-3", "many"])
def test_any_width(server_url: str, columns: str) -> None:
    for arguments in ((server_url, *CLAUSE), ("--help",)):
        ended = run_conformance(*arguments, COLUMNS=columns)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "conformance" in ended.stdout or "stomp-1.2" in ended.stdout


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTEST_PLUGINS": "no_such_plugin"},
        {"PYTEST_ADDOPTS": "--no-such-option -x"},
        {"PYTHONWARNINGS": "error"},
        {"PYTHONOPTIMIZE": "1"},
        {"CI": "true", "GITHUB_ACTIONS": "true"},
        {"FORCE_COLOR": "1", "TERM": "xterm"},
        {"NO_COLOR": "1", "TERM": "dumb"},
        {
            "http_proxy": "http://127.0.0.1:1",
            "HTTPS_PROXY": "http://127.0.0.1:1",
            "all_proxy": "socks5://x:1",
        },
        {"HOME": "/nowhere", "TMPDIR": "/nowhere", "XDG_CACHE_HOME": "/nowhere"},
        {"HYPOTHESIS_STORAGE_DIRECTORY": "/proc/nowhere"},
    ],
    ids=lambda environment: " ".join(environment),
)
def test_an_environment_that_says_nothing_about_the_server(
    server_url: str, environment: dict[str, str]
) -> None:
    ended = run_conformance(server_url, *CLAUSE, **environment)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "flags", [("-O",), ("-I",), ("-W", "error"), ("-X", "dev"), ("-B", "-s")], ids=" ".join
)
def test_flags_of_python(flags: tuple[str, ...], poor_broker_url: str, server_url: str) -> None:
    """Verdicts rest on no `assert`, which -O leaves out."""
    broken = (poor_broker_url, "--class", "stomp-1.2", "--clause", "STOMP-RECEIPT-001")
    for arguments, status in (((server_url, *CLAUSE), 0), (broken, 1)):
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import runpy; runpy.run_module('conformance')"
        ended = run([*flags, "-c", code, *arguments])
        assert ended.returncode == status, ended.stdout + ended.stderr


@pytest.mark.parametrize("package", ["pytest", "rich", "websocket", "hypothesis"])
def test_a_package_that_is_not_installed(tmp_path: Path, package: str) -> None:
    """A checkout that nobody has installed is no mistake of the suite."""
    code = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv[0] = 'conformance'; "
        "from conformance.command.entry import main; sys.exit(main(['--list-clauses']))"
    )
    ended = run(["-c", code], {"PYTHONPATH": str(ROOT)}, cwd=tmp_path)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert f"the package {package} is not installed" in ended.stderr
    assert "pip install" in ended.stderr


def test_no_file_can_be_written(server_url: str) -> None:
    """A container whose disk is read-only or full has no folder for temporary files; a run needs none."""
    ended = run(["-m", "conformance", server_url, *CLAUSE], first=files_of_at_most(0))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""


def test_a_disk_that_is_full(server_url: str, tmp_path: Path) -> None:
    """A report that can't be written is refused before the run, and one that grows too long ends it with a sentence."""
    report = ("--clause", "STOMP-CONNECT", "--report", str(tmp_path / "report"))
    for octets, status, said in ((0, 2, "--report"), (5_000, 3, "could not be written to")):
        ended = run(["-m", "conformance", server_url, *CLAUSE, *report], first=files_of_at_most(octets))
        assert ended.returncode == status, ended.stdout + ended.stderr
        assert said in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_folder_with_blanks_and_letters(tmp_path: Path, server_url: str) -> None:
    """The suite runs from any folder: its second process too."""
    place = tmp_path / "with blanks, ü & 'quotes'"
    place.mkdir()
    for name in ("conformance", "spec", "reference_server"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    ended = run(["-m", "conformance", "--launch", SERVER, *CLAUSE, "--clause", "STOMP-ENC"], cwd=place)
    assert ended.returncode == 0, ended.stdout + ended.stderr
