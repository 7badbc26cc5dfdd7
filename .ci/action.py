"""Steps of the GitHub Action in action.yml: `install` the suite, `judge` a server. Standard library only."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import venv
from pathlib import Path

USAGE, FAILED = 2, 3
ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str]) -> int:
    """Run a step; returns its exit status."""
    steps = {"install": install, "judge": judge}
    if len(arguments) != 1 or arguments[0] not in steps:
        print(f"action.py: expected one of {', '.join(steps)}", file=sys.stderr)
        return USAGE
    return steps[arguments[0]]()


def install() -> int:
    """Install the suite of this repository into an environment of its own."""
    venv.create(_environment(), with_pip=True)
    pip = [str(_python()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(ROOT)]
    return subprocess.run(pip, check=False).returncode  # noqa: S603  no shell, and no input of the action


def judge() -> int:
    """Judge the server of the inputs, and write the outputs; returns the exit status of the suite."""
    report = Path(os.environ.get("INPUT_REPORT") or "stompliance-report")
    command = [str(_python()), "-m", "conformance", "--report", str(report)]
    for name in ("launch", "target"):
        if value := os.environ.get(f"INPUT_{name.upper()}", "").strip():
            command += [f"--{name}", value]
    try:
        command += shlex.split(os.environ.get("INPUT_ARGUMENTS", ""))
    except ValueError as error:
        print(f"::error::arguments: {error}; expected options quoted as for a shell")
        return USAGE
    if url := os.environ.get("INPUT_URL", "").strip():
        command.append(url)
    document = report / "report.json"
    if not _python().exists():
        print(f"::error::the suite is not installed in {_environment()}; run `action.py install` first")
        return FAILED
    with contextlib.suppress(OSError):
        document.unlink()  # one of an earlier run says nothing about this one
    status = subprocess.run(command, check=False).returncode  # noqa: S603  no shell
    sentence = json.loads(document.read_text("utf-8"))["exit"]["sentence"] if document.exists() else ""
    _write_outputs({"status": str(status), "sentence": " ".join(sentence.split()), "report": str(report)})
    if status:
        print(f"::error::{_escaped(sentence or f'the suite ended with status {status}')}")
    return status


def _environment() -> Path:
    return Path(os.environ.get("RUNNER_TEMP") or ROOT / ".venv") / "stompliance"


def _python() -> Path:
    folder, name = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return _environment() / folder / name


def _write_outputs(values: dict[str, str]) -> None:
    if file := os.environ.get("GITHUB_OUTPUT"):
        with Path(file).open("a", encoding="utf-8") as outputs:
            outputs.writelines(f"{name}={value}\n" for name, value in values.items())


def _escaped(text: str) -> str:
    """Text of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
