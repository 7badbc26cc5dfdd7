"""The GitHub Action: its steps are run as a runner would, from action.yml."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command.conftest import COMMAND_SECONDS, SERVER, clean_environment

ROOT = Path(__file__).resolve().parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEPS = {step["id"]: step for step in ACTION["runs"]["steps"]}
QUICK = "--class stomp-1.2 --clause STOMP-CONNECT-001"


def run_step(name: str, folder: Path, **inputs: str) -> tuple[int, str, dict[str, str]]:
    """Run a step with these inputs; returns its exit status, its output and its outputs."""
    step, given = STEPS[name], {key: entry["default"] for key, entry in ACTION["inputs"].items()} | inputs
    outputs = folder / "outputs"
    outputs.touch()
    python = folder / "stompliance" / "bin" / "python"
    if not python.exists():  # in place of the step `install`
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
        python.chmod(0o755)
    ended = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=folder,
        env={
            **clean_environment(),
            **{variable: _evaluated(text, given) for variable, text in step.get("env", {}).items()},
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_OUTPUT": str(outputs),
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
            "PYTHONPATH": str(ROOT),
            "RUNNER_TEMP": str(folder),
        },
    )
    return (
        ended.returncode,
        ended.stdout,
        dict(line.split("=", 1) for line in outputs.read_text().splitlines()),
    )


def _evaluated(text: str, inputs: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda found: inputs[found[1]], text)


def test_every_input_and_output_is_used() -> None:
    text = (ROOT / "action.yml").read_text("utf-8")
    assert set(re.findall(r"inputs\.([a-z-]+)", text)) == set(ACTION["inputs"])
    assert all(entry["value"].startswith("${{ steps.judge.outputs.") for entry in ACTION["outputs"].values())
    assert not any("${{" in step["run"] for step in STEPS.values()), (
        "an input in a script is run by the shell"
    )


def test_a_conforming_server_passes(tmp_path: Path) -> None:
    status, said, outputs = run_step("judge", tmp_path, launch=SERVER, arguments=QUICK)
    assert status == 0, said
    assert outputs["status"] == "0"
    assert outputs["sentence"].startswith("CONFORMING")
    assert set(outputs) == set(ACTION["outputs"])
    document = json.loads((tmp_path / outputs["report"] / "report.json").read_text("utf-8"))
    assert document["exit"]["status"] == 0
    assert "CONFORMING" in (tmp_path / "summary.md").read_text("utf-8")


def test_a_broken_server_fails_with_a_note(tmp_path: Path) -> None:
    status, said, outputs = run_step(
        "judge",
        tmp_path,
        launch=f"{sys.executable} -m reference_server --port 0",
        arguments="--class virtual-clock --class queue-http --clause CLOCK-1",
        report="made here",
    )
    assert (status, outputs["status"]) == (1, "1"), said
    assert "::error::NOT CONFORMING" in said
    assert (tmp_path / "made here" / "junit.xml").exists()


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "which server"),
        ({"url": "ws://127.0.0.1:1/"}, "nobody answers"),
        ({"url": "$(touch hacked)"}, "is no URL"),
        ({"arguments": "--class 'stomp"}, "quoted as for a shell"),
        ({"url": "ws://127.0.0.1:1/", "target": "no such target"}, "no such target"),
    ],
)
def test_wrong_inputs_are_wrong_usage(tmp_path: Path, inputs: dict[str, str], said: str) -> None:
    status, output, _ = run_step("judge", tmp_path, **inputs)
    assert status == 2, output
    assert said in output
    assert not (tmp_path / "hacked").exists()


def test_the_passcode_goes_by_the_environment(tmp_path: Path) -> None:
    """A secret on a command line could be read by other processes of the runner."""
    status, said, outputs = run_step(
        "judge", tmp_path, launch=SERVER, arguments=QUICK, passcode="open sesame"
    )
    assert status == 0, said
    assert "sesame" not in said
    assert "sesame" not in (tmp_path / outputs["report"] / "report.json").read_text("utf-8")
