"""Command line `python -m tests.stability`: repeats quick runs of the suite, and counts verdicts that change.

    python -m tests.stability                 some 30 runs, in about half an hour
    python -m tests.stability --runs 200      about 200 runs
    python -m tests.stability --only latency --class queue-http

Situations: `plain`; `hogs`, beside twice as many busy processes as there are cores; `octets`, through a proxy that
forwards single octets, up to 2,048 of each chunk; `shuffled`, with the tests in another order each time; `together`,
eight runs at a time; `latency`, through a proxy with a delay of 50 ms each way, also eight runs at a time. Eight runs
share a server: the list of the topics of many more is longer than the suite reads, and is not judged then.

Exit status: 0 if all verdicts equal those of the first run, else 1.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rich import box
from rich.console import Console
from rich.table import Table

from conformance.targets.server_process import running_server
from tests.figures.store import own_command, record
from tests.stability.proxy import proxied

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SERVER = f"{sys.executable} -m reference_server --port 0 --virtual-clock"
#: Time limit of one run, in seconds, after which it counts as stuck.
RUN_SECONDS = 3600.0
LATENCY_SECONDS = 0.05
#: Runs on one server.
RUNS_OF_A_SERVER = 8
#: Concurrent runs of a situation; 1 for the others.
AT_A_TIME = {"together": 8, "latency": 8}
#: Share of each situation in the runs, in percent.
SHARES = {"plain": 4, "hogs": 12, "octets": 4, "shuffled": 20, "together": 56, "latency": 4}

#: Kind of verdict and first failure ("" if none), by clause and binding.
Verdicts = dict[str, tuple[str, str]]
NONE = ("none", "")


def main() -> int:
    """Run the situations, compare and print; returns the exit status."""
    values = _arguments()
    console = Console(highlight=False)
    table = Table("situation", "runs", "verdicts", "seconds a run", box=box.SIMPLE)
    changes = runs_in_all = unchanged = 0
    with running_server(SERVER) as url:
        expected = _judge(url, values.classes)
    console.print(f"first run: {len(expected)} verdicts")
    for name in values.only or SHARES:
        runs = max(1, round(SHARES[name] * values.runs / sum(SHARES.values())))
        began = time.monotonic()
        found = []
        for verdicts in _situation(name, runs, values.classes):
            found.append(difference := _difference(expected, verdicts))
            console.print(f"{name} {len(found)}: {_shown([difference])}", style="dim")
        seconds = (time.monotonic() - began) / len(found)
        changes += sum(map(len, found))
        runs_in_all += len(found)
        unchanged += sum(not difference for difference in found)
        table.add_row(name, str(len(found)), _shown(found), f"{seconds:.1f}")
    console.print(table)
    console.print(f"{changes} verdicts changed.")
    if values.record:
        figures = {"runs": runs_in_all, "unchanged": unchanged}
        record("stability", figures, own_command("tests.stability"))
    return 1 if changes else 0


def _situation(name: str, runs: int, classes: list[str]) -> Iterator[Verdicts]:
    at_a_time = AT_A_TIME.get(name, 1)
    numbers = range(max(runs, at_a_time))
    for first in numbers[::RUNS_OF_A_SERVER]:
        yield from _on_one_server(name, numbers[first : first + RUNS_OF_A_SERVER], at_a_time, classes)


def _on_one_server(name: str, numbers: range, at_a_time: int, classes: list[str]) -> Iterator[Verdicts]:
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(at_a_time) as pool:
        url = stack.enter_context(running_server(SERVER))
        if name == "hogs":
            stack.enter_context(_hogs(2 * (os.cpu_count() or 1)))
        elif name in ("latency", "octets"):
            url = stack.enter_context(_worse(url, name))
        yield from pool.map(lambda number: _judge(url, classes, *_options(name, number)), numbers)


def _options(name: str, number: int) -> list[str]:
    return ["--shuffle", "--seed", str(number)] if name == "shuffled" else []


@contextlib.contextmanager
def _worse(url: str, how: str) -> Iterator[str]:
    parts = urlsplit(url)
    delay = LATENCY_SECONDS if how == "latency" else None
    with proxied(parts.hostname or "", parts.port or 80, delay=delay) as port:
        yield f"ws://127.0.0.1:{port}{parts.path}"


@contextlib.contextmanager
def _hogs(count: int) -> Iterator[None]:
    hogs = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(count)]
    for hog in hogs:
        hog.start()
    try:
        yield
    finally:
        for hog in hogs:
            hog.terminate()
            hog.join()


def _spin() -> None:
    while True:
        pass


def _judge(url: str, classes: list[str], *more: str) -> Verdicts:
    """Verdicts of one quick run, by clause and binding; a run without a report gives one verdict on the run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "conformance",
            url,
            "--time-limit",
            "0",
            "--effort",
            "quick",
            "--report",
            folder,
            *more,
        ]
        command += [word for name in classes for word in ("--class", name)]
        try:
            run = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return {"the run": ("stuck", f"not ended after {RUN_SECONDS:g} s")}
        report = Path(folder, "report.json")
        if not report.exists():
            return {"the run": (f"exit {run.returncode}", (run.stderr or run.stdout)[-300:])}
        verdicts = json.loads(report.read_text("utf-8"))["verdicts"]
        return {
            f"{verdict['clause']} ({verdict['binding']})": (verdict["kind"], _why(verdict))
            for verdict in verdicts
        }


def _why(verdict: dict[str, Any]) -> str:
    """First failure of a verdict as text; empty if there is none."""
    for failure in verdict["failures"]:
        return f"{failure['test']} after {failure['at']:.1f} s: {failure['expected']}; came: {failure['observed']}"
    return ""


def _difference(expected: Verdicts, found: Verdicts) -> dict[str, str]:
    changed = {}
    for key in expected.keys() | found.keys():
        (before, _), (after, why) = expected.get(key, NONE), found.get(key, NONE)
        if before != after:
            changed[key] = f"{before} → {after}" + (f"\n    {why}" if why else "")
    return changed


def _shown(changed: list[dict[str, str]]) -> str:
    lines = {f"{key}: {change}" for difference in changed for key, change in difference.items()}
    return "\n".join(sorted(lines)[:12]) or "none changed"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.stability",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--runs", type=int, default=20, metavar="N", help="number of runs in all (default: 20)"
    )
    parser.add_argument(
        "--only",
        choices=list(SHARES),
        action="append",
        help="run only this situation, with its share of the runs; may be repeated",
    )
    parser.add_argument(
        "--class", dest="classes", action="append", default=[], metavar="CLASS", help="as in the suite"
    )
    parser.add_argument("--record", action="store_true", help="write the figures to docs/figures.json")
    values = parser.parse_args()
    if values.record and (values.only or values.classes):
        parser.error("--record is for all situations and classes")
    return values


if __name__ == "__main__":
    sys.exit(main())
