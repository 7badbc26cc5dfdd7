"""Has the suite judge a patched server, over the wire and in processes of their own, as a user would."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.mutants.registry import Fault, Variant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.clauses import Book

ROOT = Path(__file__).resolve().parents[2]
#: Longest time that one run of the suite may take, in seconds, before it counts as stuck.
RUN_SECONDS = 300.0
_STOP_SECONDS = 5.0
_URL = re.compile(r"ws://\S+")


@dataclass(frozen=True)
class Outcome:
    """What a run of the suite said about a patched server.

    `failed` are the clauses that count against it, in the order in which they failed; `deviating` the SHOULDs.
    `detected` is the time from the start of the run to the first failure, in seconds, and `steps` the length of its
    program. `trouble` is what kept the run from ending as runs end.
    """

    name: str
    status: int
    seconds: float
    failed: tuple[str, ...] = ()
    deviating: tuple[str, ...] = ()
    detected: float | None = None
    steps: int = 0
    unjudged: tuple[str, ...] = ()
    trouble: str = ""
    report: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def found(self) -> tuple[str, ...]:
        """All clauses that are not obeyed, MUST and SHOULD."""
        return self.failed + self.deviating


@contextlib.contextmanager
def served(name: str, flags: tuple[str, ...]) -> Iterator[str]:
    """The URL of a patched server, which ends with the context. Raises RuntimeError where it does not start."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.mutants.serving", name, *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        match = _URL.search(line)
        if match is None:
            raise RuntimeError(f"the server with {name} printed no URL but {line!r}")
        yield match.group()
    finally:
        server.terminate()
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def judge(mutant: Fault | Variant, *, effort: str, seed: int | None = None) -> Outcome:
    """Run the suite against a server with this fault or oddity."""
    began = time.monotonic()
    try:
        with served(mutant.name, mutant.flags) as url, tempfile.TemporaryDirectory() as folder:
            options = [*mutant.options, "--effort", effort, "--report", folder]
            if isinstance(mutant, Fault):
                options += [word for binding in mutant.bindings for word in ("--class", binding)]
            if seed is not None:
                options += ["--seed", str(seed)]
            run = subprocess.run(
                [sys.executable, "-m", "conformance", url, *options],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=RUN_SECONDS,
                check=False,
            )
            report = Path(folder, "report.json")
            document = json.loads(report.read_text("utf-8")) if report.exists() else {}
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return Outcome(mutant.name, -1, time.monotonic() - began, trouble=str(error))
    trouble = "" if document and run.returncode in (0, 1, 4) else (run.stderr or run.stdout)[-2000:]
    return _outcome(mutant.name, run.returncode, time.monotonic() - began, document, trouble)


def _outcome(name: str, status: int, seconds: float, document: dict[str, Any], trouble: str) -> Outcome:
    verdicts = document.get("verdicts", [])
    broken = [
        verdict for verdict in verdicts if verdict["kind"] in ("fail", "deviation") and not verdict["waiver"]
    ]
    broken.sort(key=lambda verdict: min(failure["at"] for failure in verdict["failures"]))
    first = broken[0]["failures"][0] if broken else None
    unjudged = [
        v["clause"]
        for v in verdicts
        if v["level"].startswith("MUST") and v["kind"] in ("inconclusive", "error")
    ]
    return Outcome(
        name=name,
        status=status,
        seconds=seconds,
        failed=_names(verdict for verdict in broken if verdict["kind"] == "fail"),
        deviating=_names(verdict for verdict in broken if verdict["kind"] == "deviation"),
        detected=first["at"] if first else None,
        steps=len(first["steps"]) if first else 0,
        unjudged=tuple(dict.fromkeys(unjudged)),
        trouble=trouble,
        report=document,
    )


def _names(verdicts: Iterator[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(verdict["clause"] for verdict in verdicts))


def is_caught(fault: Fault, outcome: Outcome) -> bool:
    """Whether the suite noticed the fault at all: by a failed MUST, or a deviation where a SHOULD is broken."""
    return bool(outcome.found) and not outcome.trouble


def is_named(fault: Fault, outcome: Outcome, book: Book) -> bool:
    """Whether a clause that the fault breaks, or one that such a clause depends on, is among those that failed."""
    named = {root for clause in fault.breaks for root in (clause, *book.ancestors(clause))}
    return any(clause in named for clause in outcome.found)


def is_left_alone(outcome: Outcome) -> bool:
    """Whether an odd but conforming broker passed: nothing failed, nothing deviated, no MUST is unjudged."""
    return outcome.status == 0 and not outcome.found and not outcome.unjudged and not outcome.trouble
