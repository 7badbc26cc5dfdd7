"""`python -m tests.stability`: runs the quick suite again and again, and counts the verdicts that change.

    python -m tests.stability                 some 30 runs, in about half an hour
    python -m tests.stability --runs 200      as many as that
    python -m tests.stability --only latency --class queue-http

Situations: `plain`; `hogs`, beside twice as many busy processes as there are cores; `octets`, through a proxy that
hands on single octets, the first 2,048 of what comes at once; `shuffled`, in another order each time; `together`, eight
at a time; `latency`, through a proxy that is 50 ms late each way, 100 ms both, eight at a time too, since they do
little but wait. All of them on one server, which is in use ever longer.

Exit status: 0 when all verdicts are those of the first run, else 1.
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
from tests.stability.proxy import proxied

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SERVER = f"{sys.executable} -m reference_server --port 0 --virtual-clock"
#: Longest time of one run, in seconds, before it counts as stuck.
RUN_SECONDS = 3600.0
LATENCY_SECONDS = 0.05
#: How many runs of a situation go on at a time; elsewhere one.
AT_A_TIME = {"together": 8, "latency": 8}
#: How the runs are shared among the situations: out of a hundred.
SHARES = {"plain": 4, "hogs": 12, "octets": 4, "shuffled": 20, "together": 56, "latency": 4}

#: What a clause came to, and what showed it where it failed.
Verdicts = dict[str, tuple[str, str]]
NONE = ("none", "")


def main() -> int:
    """Run, compare, print, and return the exit status."""
    values = _arguments()
    console = Console(highlight=False)
    table = Table("situation", "runs", "verdicts", "seconds a run", box=box.SIMPLE)
    changes = 0
    with running_server(SERVER) as url:
        expected = _judge(url, values.classes)
        console.print(f"first run: {len(expected)} verdicts")
        for name in values.only or SHARES:
            runs = max(1, round(SHARES[name] * values.runs / sum(SHARES.values())))
            began = time.monotonic()
            found = []
            for verdicts in _situation(name, url, runs, values.classes):
                found.append(difference := _difference(expected, verdicts))
                console.print(f"{name} {len(found)}: {_shown([difference])}", style="dim")
            seconds = (time.monotonic() - began) / len(found)
            changes += sum(map(len, found))
            table.add_row(name, str(len(found)), _shown(found), f"{seconds:.1f}")
    console.print(table)
    console.print(f"{changes} verdicts changed.")
    return 1 if changes else 0


def _situation(name: str, url: str, runs: int, classes: list[str]) -> Iterator[Verdicts]:
    at_a_time = AT_A_TIME.get(name, 1)
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(at_a_time) as pool:
        if name == "hogs":
            stack.enter_context(_hogs(2 * (os.cpu_count() or 1)))
        elif name in ("latency", "octets"):
            url = stack.enter_context(_worse(url, name))
        yield from pool.map(
            lambda number: _judge(url, classes, *_options(name, number)), range(max(runs, at_a_time))
        )


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
    """The verdicts of one quick run, by clause and binding; what kept it from its end stands for a verdict."""
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
    """What its first failure was; empty where nothing failed."""
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
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="so many runs in all (default: 20)")
    parser.add_argument(
        "--only",
        choices=list(SHARES),
        action="append",
        help="only this situation and its share of the runs; repeatable",
    )
    parser.add_argument("--class", dest="classes", action="append", default=[], metavar="CLASS")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
