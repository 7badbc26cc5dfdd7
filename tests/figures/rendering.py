"""Sections of the README that hold figures, written from measurements and counts."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any

from tests.load.workloads import BODY_BYTES, DELIVERY_RATE, PUBLISH_WINDOW, QUEUE_WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.figures.counts import Counts

#: Measurements by name, see tests.figures.store.
Measured = dict[str, dict[str, Any]]

#: Name of the measurement of the twins of the server on a log, which not every machine can make.
LOG_TWINS = "log twins"
#: Longest line of a paragraph, in characters.
WIDTH = 118
END = "<!-- end of figures -->"
_SECTION = re.compile(rf"(<!-- figures: (\w+) -->\n)(.*?)({END})", re.DOTALL)


class BadReadme(Exception):
    """A section of figures is not in the README, or not known, or there twice."""


def rendered(readme: str, measured: Measured, counts: Counts) -> str:
    """The README with its sections of figures written anew; raises BadReadme."""
    sections = {"verdicts": verdicts(measured, counts), "speed": speed(measured)}
    found = [match[2] for match in _SECTION.finditer(readme)]
    if sorted(found) != sorted(sections):
        raise BadReadme(f"sections of figures: {', '.join(found) or 'none'}; expected: {', '.join(sections)}")
    return _SECTION.sub(lambda match: f"{match[1]}{sections[match[2]]}{match[4]}", readme)


def verdicts(measured: Measured, counts: Counts) -> str:
    """The section on the tests of the suite."""
    mutants, hard = measured["mutants"]["figures"], measured["hard faults"]["figures"]
    legal, stability = measured["legal histories"]["figures"], measured["stability"]["figures"]
    named = f"{_all_or(mutants['named'], mutants['faults'])} on their clause or one that it rests on"
    median = f"half of them failing {_clauses(mutants['median_clauses'])}"
    situations = (
        f"beside busy processes, on bad networks, in any order, {counts.runs_at_a_time} runs at a time"
    )
    rows = [
        (
            "`tox run mutants`",
            f"{counts.faults} brokers with one seeded fault each are caught, on the clause that they break",
            f"{_of(mutants['caught'], mutants['faults'])}, {named}, {median}",
            source(measured["mutants"]),
        ),
        (
            "",
            f"{counts.odd_brokers} brokers that use a freedom of the text are left alone",
            f"{_of(mutants['left_alone'], mutants['variants'])}, those of STOMP in one version each",
            source(measured["mutants"]),
        ),
        (
            f"`tox run mutants -- --hard --seeds {hard['seeds']}`",
            f"{counts.hard_faults} faults that show rarely or in few states are found with every seed",
            f"{_of(hard['found'], hard['faults'])}, with {hard['seeds']} seeds each",
            source(measured["hard faults"]),
        ),
        (
            f"`python -m tests.history.legal {legal['histories']}`",
            "histories that a conforming queue can have are not blamed",
            _of(legal["left_alone"], legal["histories"]),
            source(measured["legal histories"]),
        ),
        (
            f"`tox run stability -- --runs {stability['runs']}`",
            f"the verdicts stay the same {situations}",
            f"{_of(stability['unchanged'], stability['runs'])} runs, all on one server",
            source(measured["stability"]),
        ),
    ]
    if LOG_TWINS in measured:
        twins = measured[LOG_TWINS]["figures"]
        row = (
            "`tox run mutants -- --log`",
            f"{counts.log_twins} broken twins of the server on Kafka are caught, most across two nodes",
            _of(twins["caught"], twins["twins"]),
            source(measured[LOG_TWINS]),
        )
        rows.insert(2, row)
    introduction = (
        f"The suite's {counts.tests} tests decide {counts.judged_clauses} of the {counts.clauses} clauses. They are "
        "tested themselves, by numbers that one command each prints anew:"
    )
    return section(introduction, ("command", "what it shows", "last seen", "at"), rows)


def speed(measured: Measured) -> str:
    """The section on the speed of the reference server beside another broker."""
    figures = measured["speed"]["figures"]
    ratios = {name: f"{ratio:.1f} \N{MULTIPLICATION SIGN}" for name, ratio in figures["ratios"].items()}
    rows = [
        (
            f"records published, each with its RECEIPT, window {PUBLISH_WINDOW}: one connection, four",
            f"{ratios['publish-1 rate']}, {ratios['publish-4 rate']}",
        ),
        (
            f"messages through a queue, each acknowledged, window {QUEUE_WINDOW}: one pair of connections, four",
            f"{ratios['queue-1 rate']}, {ratios['queue-4 rate']}",
        ),
        ("latency of a RECEIPT, one at a time, 99th percentile", ratios["receipt-latency p99"]),
        (
            f"latency from sender to receiver at {DELIVERY_RATE} messages a second, 99th percentile",
            ratios["delivery-latency p99"],
        ),
    ]
    introduction = (
        f"Beside {figures['beside']} over WebSocket, on the same {figures['cores']} cores, one after the other, "
        f"{BODY_BYTES}-byte messages, medians of {figures['runs']} runs ({source(measured['speed'])}); "
        "`python -m tests.load URL --beside URL` prints them anew:"
    )
    return section(introduction, ("", f"of {figures['beside'].split()[0]}'s"), rows)


def section(introduction: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (head, ("---",) * len(head), *rows)
    table = "".join(f"| {' | '.join(line)} |\n".replace("|  |", "| |") for line in lines)
    return f"{textwrap.fill(introduction, WIDTH, break_on_hyphens=False)}\n\n{table}\n"


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}"


def _all_or(part: int, whole: int) -> str:
    return "all" if part == whole else f"{part:,}"


def _clauses(median: float) -> str:
    return "one clause only" if median == 1 else f"{median:g} clauses at most"


def source(measurement: dict[str, Any]) -> str:
    return f"{measurement['commit']}, {measurement['day']}"
