"""Broken twins of the server on a log, judged on Kafka, and their table."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from tests.brokers.installing import CannotInstall
from tests.brokers.running import CannotStart
from tests.kafka.cluster import why_not
from tests.kafka.judged_twins import judge_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from tests.kafka.judged_twins import Judged

HEADING = "Broken twins of the server on a log"


def names_of(parts: Sequence[str]) -> list[str]:
    """Names of the twins that contain one of these parts; of all for none. Raises CannotInstall."""
    if reason := why_not():
        raise CannotInstall(reason)
    # The twins import the client of Kafka, which is there.
    from tests.kafka.twins import TWINS

    return [name for name in TWINS if not parts or any(part in name for part in parts)]


def judge(console: Console, names: Sequence[str]) -> dict[str, int] | None:
    """Judge twins, and print their table; return how many there are and are caught, None where Kafka can't be had."""
    found: list[Judged] = []
    try:
        for each in judge_all(names):
            found.append(each)
            said = each.clause or f"NOT CAUGHT, status {each.status}: {each.said}"
            console.print(
                f"{len(found):4} of {len(names)}  {each.twin.name}: {said} in {each.seconds:.1f} s",
                style="dim",
            )
    except (CannotInstall, CannotStart) as error:
        print(f"{HEADING} were not judged: {error}", file=sys.stderr)
        return None
    _print(console, found)
    caught = sum(bool(each.clause) for each in found)
    console.print(f"{caught} of {len(found)} broken twins of the server on a log caught.")
    return {"twins": len(found), "caught": caught}


def _print(console: Console, found: Sequence[Judged]) -> None:
    table = Table(
        "fault",
        "what is wrong",
        "injected",
        "caught by",
        "seconds",
        title=HEADING,
        title_justify="left",
        box=box.SIMPLE,
        pad_edge=False,
    )
    for each in found:
        table.add_row(
            each.twin.name,
            each.twin.summary,
            each.twin.fault,
            each.clause or "[red]NO[/]",
            f"{each.seconds:.1f}",
        )
    console.print(table)
