"""Lists, version and completion: answers of the command without a run."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from conformance.reporting.plan import suite_version
from conformance.specification.clauses import book
from conformance.targets.files import known_targets

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Command


def test_clauses_are_listed_as_json(conformance: Command) -> None:
    ended = conformance("--list-clauses", "--json")
    assert ended.returncode == 0
    listed = json.loads(ended.stdout)
    assert [clause["id"] for clause in listed] == [clause.id for clause in book()]
    assert {"id", "level", "text", "classes", "depends_on", "chapter", "source"} <= listed[0].keys()


def test_some_clauses_are_listed_as_json(conformance: Command) -> None:
    listed = json.loads(conformance("--list-clauses", "--json", "--clause", "ACK-OK-1").stdout)
    assert [clause["id"] for clause in listed] == ["ACK-OK-1"]


def test_targets_are_listed_as_json_without_passcodes(conformance: Command) -> None:
    ended = conformance("--list-targets", "--json")
    assert ended.returncode == 0
    listed = json.loads(ended.stdout)
    assert [target["name"] for target in listed] == [file.name for file in known_targets()]
    assert all("passcode" not in target for target in listed)
    assert all({"clause", "reason"} <= waiver.keys() for target in listed for waiver in target["waivers"])


def test_json_without_a_list_is_wrong_usage(conformance: Command) -> None:
    ended = conformance("ws://127.0.0.1:1/", "--json")
    assert ended.returncode == 2
    assert "--report" in ended.stderr


def test_the_version_is_that_of_the_package(conformance: Command) -> None:
    ended = conformance("--version")
    assert (ended.returncode, ended.stdout.strip()) == (0, f"stompliance {suite_version()}")


@pytest.mark.skipif(importlib.util.find_spec("shtab") is None, reason="shtab is not installed")
@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_is_printed(conformance: Command, tmp_path: Path, shell: str) -> None:
    """The script completes options and ids, and the shell itself, where there is one, finds no mistake in it."""
    ended = conformance("--print-completion", shell)
    assert ended.returncode == 0, ended.stderr
    assert all(word in ended.stdout for word in ("stompliance", "strict-waivers", "ACK-OK-1", "rabbitmq"))
    if shell != "tcsh" and shutil.which(shell):
        script = tmp_path / "completion"
        script.write_text(ended.stdout)
        subprocess.run([shell, "-n", str(script)], check=True)


def test_completion_without_its_extra_says_what_to_install(conformance: Command, tmp_path: Path) -> None:
    (tmp_path / "shtab.py").write_text("raise ImportError('not here')\n")
    ended = conformance("--print-completion", "bash", PYTHONPATH=str(tmp_path))
    assert ended.returncode == 2
    assert "stompliance[completion]" in ended.stderr


@pytest.mark.skipif(importlib.util.find_spec("shtab") is None, reason="shtab is not installed")
def test_an_unknown_shell_is_wrong_usage(conformance: Command) -> None:
    ended = conformance("--print-completion", "cmd.exe")
    assert ended.returncode == 2
    assert "bash" in ended.stderr
