"""The fixtures `stomp_broker` and `stomp_broker_factory` in a project of others, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.command.conftest import COMMAND_SECONDS, clean_environment

if TYPE_CHECKING:
    from pathlib import Path

USES = """
import websocket

def connect(url):
    link = websocket.create_connection(url, timeout=10)
    link.send("CONNECT\\naccept-version:1.2\\nhost:localhost\\n\\n\\0")
    return link

def test_one(stomp_broker):
    link = connect(stomp_broker.url)
    assert link.recv().startswith("CONNECTED")
    assert [session.version for session in stomp_broker.sessions()] == ["1.2"]
    link.close()

def test_several(stomp_broker_factory):
    first, second = stomp_broker_factory(), stomp_broker_factory(odd=["every-message-is-binary"])
    for broker in (first, second):
        link = connect(broker.url)
        assert type(link.recv()) is (bytes if broker is second else str)
        link.close()

def test_another(stomp_broker, stomp_broker_factory):
    assert stomp_broker.port != stomp_broker_factory().port
"""
USES_NOT = """
import sys

def test_it():
    ours = {name for name in sys.modules if name.split(".")[0] in ("reference_server", "websockets", "msgspec")}
    assert ours == {"reference_server", "reference_server.pytest_plugin"}
"""
INI = """
[pytest]
addopts = --strict-markers --strict-config
filterwarnings = error
"""


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a project that sees this one only as an installed distribution."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=folder,
        env={name: value for name, value in clean_environment().items() if name != "PYTHONPATH"},
    )


@pytest.mark.parametrize("spread", [(), ("-n", "2")])
def test_fixtures_work_in_a_strict_project(tmp_path: Path, spread: tuple[str, ...]) -> None:
    (tmp_path / "pytest.ini").write_text(INI)
    (tmp_path / "test_theirs.py").write_text(USES)
    ended = run_pytest(tmp_path, *spread)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "3 passed" in ended.stdout


def test_a_project_without_them_imports_no_server(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(USES_NOT)
    ended = run_pytest(tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_fixtures_say_what_they_are_for(tmp_path: Path) -> None:
    ended = run_pytest(tmp_path, "--fixtures")
    said = " ".join(ended.stdout.split())
    assert "A strict STOMP broker with default settings" in said
    assert "Function that starts a `reference_server.Server`" in said


def test_wrong_settings_fail_that_test_alone(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(
        "def test_wrong(stomp_broker_factory):\n    stomp_broker_factory(heartbeat=1)\n\n"
        "def test_right(stomp_broker):\n    assert stomp_broker.url\n"
    )
    ended = run_pytest(tmp_path)
    assert "1 failed, 1 passed" in ended.stdout, ended.stdout
    assert "there is no setting 'heartbeat'" in ended.stdout
