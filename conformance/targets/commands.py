"""Commands of the user that change the server under test: those of `--fault`, `--heal` and `--restart`.

A command is split into words without a shell, runs in a session of its own, and may leave processes behind, such as a
server that it starts.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

#: Longest time that a command may take, in seconds.
COMMAND_SECONDS = 60.0
#: Octets of a command's output that a message shows, its last ones.
SHOWN_OCTETS = 2000
_SLICE = 0.05
#: Names of programs whose first word, unless it is an option, is the path of a script.
_INTERPRETER = re.compile(r"(ba|da|z|k)?sh|python(\d(\.\d+)?)?|perl|ruby")


class CommandFailed(Exception):
    """A command did not end with status 0 in time; the message holds the end of its output."""


@dataclass(frozen=True)
class Command:
    """A command line with the option that gave it, and the name of the fault, "" for other commands."""

    option: str
    line: str
    name: str = ""

    @property
    def title(self) -> str:
        """The command in a message."""
        return f"the command of {self.option}{f' {self.name}' if self.name else ''}, {self.line!r},"

    def words(self) -> list[str]:
        """The words of the command line. Raises ValueError if there are none, or no such program or script."""
        try:
            words = shlex.split(self.line)
        except ValueError as error:
            raise ValueError(f"{self.option} {self.line!r}: {error}") from error
        if not words:
            raise ValueError(f"{self.option}: expected a command, found none")
        if problem := missing_program(words):
            raise ValueError(f"{self.option} {self.line!r}: {problem}")
        return words

    def run(self, interrupted: threading.Event | None = None) -> None:
        """Run the command to its end.

        Raises CommandFailed if it can't be started, ends with another status than 0, takes longer than COMMAND_SECONDS,
        or is running when `interrupted` is set.
        """
        with tempfile.TemporaryFile() as output:
            try:
                process = subprocess.Popen(  # noqa: S603  the user's own command line, split without a shell
                    self.words(),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                raise CommandFailed(f"{self.title} could not be started: {error}") from error
            problem = _problem(process, interrupted)
            if problem:
                raise CommandFailed(f"{self.title} {problem}{_last_of(output.fileno())}")


def missing_program(words: Sequence[str]) -> str:
    """Clause on a program that can't be started, or on a script that its interpreter would not find; else ""."""
    program = words[0]
    if shutil.which(program) is None:
        if program and Path(program).is_dir():
            return f"{program!r} is a folder: expected a program"
        if Path(program).is_file() and os.sep not in program:
            return (
                f"{program!r} is not looked for in the working directory: expected a path, as in ./{program}"
            )
        if Path(program).is_file():
            return (
                f"{program!r} is not executable: expected a program, as after chmod +x, or sh before a script"
            )
        return f"there is no program {program!r}; what needs a shell is written as sh -c '…'"
    script = words[1] if len(words) > 1 and _INTERPRETER.fullmatch(Path(program).name) else "-"
    # A shell looks for a script without a slash on PATH, too.
    if not script.startswith("-") and not Path(script).exists() and shutil.which(script) is None:
        return (
            f"there is no script {script!r} for {program}: expected its path, absolute or from {Path.cwd()}"
        )
    return ""


def _problem(process: subprocess.Popen[bytes], interrupted: threading.Event | None) -> str:
    """End of a sentence on a command that failed, "" if it ended well."""
    deadline = time.monotonic() + COMMAND_SECONDS
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(_SLICE)
            return f"ended with status {status}: expected 0." if status else ""
        is_interrupted = interrupted is not None and interrupted.is_set()
        if is_interrupted or time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return (
                "was running when the run ended."
                if is_interrupted
                else f"did not end within {COMMAND_SECONDS:g} s: a server that it starts must go on in the background."
            )


def _last_of(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    text = os.pread(descriptor, SHOWN_OCTETS, max(0, size - SHOWN_OCTETS)).decode("utf-8", "replace").rstrip()
    return f" It printed:\n{text}" if text else " It printed nothing."
