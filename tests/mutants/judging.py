"""Runs of the suite against a patched server, over the wire and in separate processes."""

from __future__ import annotations

import inspect
import json
import re
import tempfile
import time
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.specification.clauses import book
from tests.mutants.patch_failures import patch_failure
from tests.mutants.processes import STUCK, NotServing, run_suite, served
from tests.mutants.registry import Fault, Variant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.specification.clauses import Book

#: Time limit of one run of the suite, in seconds, after which it counts as stuck.
RUN_SECONDS = 300.0
#: Names in patches of the WebSocket layer.
_WEBSOCKET = re.compile(r"\b(Channel|websocket)\b")


@dataclass(frozen=True)
class Outcome:
    """Outcome of a run of the suite against a patched server.

    `failed` are the broken MUSTs in the order in which they failed, `deviating` the broken SHOULDs. `first` is the
    broken clause that the report shows first, "" if there is none. `detected` is the time from the start of the run to
    the first failure, in seconds, `steps` the number of steps of that failure. `trouble` is the end of the output of a
    run that did not end normally, or the error by which the patch of the server fails itself.
    """

    name: str
    status: int
    seconds: float
    failed: tuple[str, ...] = ()
    deviating: tuple[str, ...] = ()
    first: str = ""
    detected: float | None = None
    steps: int = 0
    unjudged: tuple[str, ...] = ()
    trouble: str = ""
    transport: str = "websocket"
    report: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def found(self) -> tuple[str, ...]:
        """All broken clauses, MUST and SHOULD."""
        return self.failed + self.deviating


def judge(
    mutant: Fault | Variant,
    *,
    effort: str,
    seed: int | None = None,
    whole: bool = False,
    fail_fast: bool = False,
    transport: str = "websocket",
) -> Outcome:
    """Run the suite against a server with this fault or variant; `fail_fast` ends at the first broken requirement.

    `transport` is `websocket` or `tcp`; mutants of STOMP over TCP are judged over TCP in any case.

    A fault is judged by the chapters of the clauses that it breaks, a variant by the clauses in its `near` and in one
    version of STOMP; `whole` judges all clauses of all their bindings.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = [*mutant.options, "--time-limit", "0", "--effort", effort, "--report", str(folder)]
        transport = "tcp" if "tcp" in mutant.bindings else transport
        bindings = mutant.bindings if whole else judged_bindings(mutant)
        bindings = tuple(name for name in bindings if name != "websocket" or transport != "tcp")
        options += [word for binding in bindings for word in ("--class", binding)]
        if not whole:
            options += selection(mutant)
        if seed is not None:
            options += ["--seed", str(seed)]
        if fail_fast:
            options.append("--fail-fast")
        try:
            with served(mutant.name, mutant.flags, transport, log=folder / "log") as url:
                status = run_suite([url, *options], folder / "output", RUN_SECONDS)
        except NotServing as error:
            return Outcome(mutant.name, STUCK, time.monotonic() - began, trouble=str(error))
        report = folder / "report.json"
        document = json.loads(report.read_text("utf-8")) if report.exists() else {}
        said = (folder / "output").read_text("utf-8", "replace")
        trouble = patch_failure((folder / "log").read_text("utf-8", "replace"))
    if not trouble and not (document and status in (0, 1, 4)):
        trouble = said[-2000:] or f"exit status {status}"
    outcome = _outcome(mutant.name, status, time.monotonic() - began, document, trouble)
    return replace(outcome, transport=transport)


def judged_bindings(mutant: Fault | Variant) -> tuple[str, ...]:
    """Bindings to judge a mutant in, () for all; of a variant's STOMP versions only one, chosen by its name."""
    if isinstance(mutant, Fault):
        return () if mutant.scope == "server" else mutant.bindings
    versions = [binding for binding in mutant.bindings if binding.startswith("stomp-")]
    kept = versions[zlib.crc32(mutant.name.encode()) % len(versions)] if versions else None
    return tuple(binding for binding in mutant.bindings if binding == kept or binding not in versions)


def selection(mutant: Fault | Variant) -> list[str]:
    """Options that select the clauses a mutant is judged by; empty for whole bindings."""
    if isinstance(mutant, Variant):
        near = list(mutant.near)
    elif mutant.scope != "chapter":
        near = []
    else:
        chapters = {book()[clause].source for clause in mutant.breaks}
        near = [clause.id for clause in book() if clause.source in chapters]
    return [word for clause in near for word in ("--clause", clause)]


def speaks_stomp_alone(mutant: Fault | Variant) -> bool:
    """True for a mutant of the chapters on STOMP that shows over either transport."""
    if _WEBSOCKET.search(inspect.getsource(mutant.apply)):
        return False
    return any(name.startswith("stomp-1") for name in mutant.bindings) and all(
        name.startswith("stomp-1") or name in ("websocket", "tcp") for name in mutant.bindings
    )


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
        first=_reported_first(broken),
        detected=first["at"] if first else None,
        steps=len(first["steps"]) if first else 0,
        unjudged=tuple(dict.fromkeys(unjudged)),
        trouble=trouble,
        report=document,
    )


def _names(verdicts: Iterator[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(verdict["clause"] for verdict in verdicts))


def _reported_first(broken: list[dict[str, Any]]) -> str:
    """The clause at the head of the report: MUSTs before SHOULDs, roots before what rests on them, then text order."""
    order = {clause.id: place for place, clause in enumerate(book())}
    ranked = sorted(
        (verdict["kind"] != "fail", book().depth(verdict["clause"]), order[verdict["clause"]])
        for verdict in broken
    )
    clauses = list(order)
    return clauses[ranked[0][2]] if ranked else ""


def is_caught(fault: Fault, outcome: Outcome) -> bool:
    """True if a MUST failed or a SHOULD deviated in a run without trouble, or the fault shut the suite out."""
    return (bool(outcome.found) and not outcome.trouble) or _is_shut_out(fault, outcome)


def _is_shut_out(fault: Fault, outcome: Outcome) -> bool:
    """True if the first contact told the user of the refusal (exit status 2), as a fault of this kind has to end."""
    return fault.shuts_out and outcome.status == 2 and "refuses CONNECT" in outcome.trouble


def is_named(fault: Fault, outcome: Outcome, book: Book) -> bool:
    """True if the clause that is reported first is one that the fault breaks, or a declared root of one."""
    if _is_shut_out(fault, outcome):
        return True
    return outcome.first in _roots(fault, book)


def is_blamed(fault: Fault, outcome: Outcome, book: Book) -> bool:
    """True if a clause that the fault breaks, or a declared root of one, is among those reported."""
    return _is_shut_out(fault, outcome) or bool(_roots(fault, book).intersection(outcome.found))


def _roots(fault: Fault, book: Book) -> set[str]:
    return {root for clause in fault.breaks for root in (clause, *book.ancestors(clause))}


def is_left_alone(outcome: Outcome) -> bool:
    """True if an odd but conforming broker passed: no failure, no deviation, no unjudged MUST."""
    return outcome.status == 0 and not outcome.found and not outcome.unjudged and not outcome.trouble
