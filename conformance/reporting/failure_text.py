"""Report of one broken clause with its evidence, on a terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.text import Text

from conformance.reporting.octets import ELLIPSIS, clipped, entry_lines, one_line, printable
from conformance.reporting.summary import ClauseVerdicts, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.reporting.screen import Screen
    from conformance.reporting.summary import ReplayCommand
    from conformance.verdicts.verdicts import Failure
    from conformance.wire.trace import TraceEntry

#: Newest frames and steps shown, and lines shown of each text, unless `whole` is set.
FRAMES_SHOWN = 12
LINES_SHOWN = 12
STEPS_SHOWN = 30
#: Characters shown of a step, unless `whole` is set.
STEP_LENGTH = 240
_LABEL_WIDTH = 12
#: A word of a command line: plain characters, quoted parts, or both side by side.
_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"[^"]*"|['"])+""", re.DOTALL)


def print_failure(
    screen: Screen, group: ClauseVerdicts, replay_command: ReplayCommand, *, whole: bool
) -> None:
    """Print a broken clause: its first failure in full, one line per further failure.

    `whole` shows all evidence uncut.
    """
    failures = group.failures
    screen.rule()
    screen.line(
        ("✗ ", "bold red"), (group.clause.id, "bold"), f"  {group.clause.key_word}  in {group.bindings}"
    )
    screen.paragraph(group.clause.text, indent=2)
    screen.line((f"  spec/{group.clause.source}:{group.clause.line}  {group.clause.chapter}", "dim"))
    if not failures:
        return
    first, *others = failures
    _print_facts(screen, first)
    _print_steps(screen, first.steps, whole=whole)
    _print_frames(screen, first.frames, whole=whole)
    if others:
        _print_others(screen, others)
    screen.blank()
    screen.line(("  Once more, this alone:", "bold"))
    screen.command(command_words(replay_command(first)), indent=4)


def command_words(command: str) -> list[str]:
    """Words of a command line for a shell, each as it is quoted there."""
    return _WORD.findall(command)


def _print_facts(screen: Screen, failure: Failure) -> None:
    screen.blank()
    facts = {
        "expected": (failure.expected, "green"),
        "observed": (failure.observed, "red"),
        "binding": (failure.binding, ""),
        "test": (failure.test, ""),
    }
    for label, (text, style) in facts.items():
        lines = clipped(printable(text).split("\n"), LINES_SHOWN)
        screen.paragraph(
            Text("\n".join(lines), style), indent=_LABEL_WIDTH, label=Text(f"  {label:9} ", "bold")
        )


def _print_steps(screen: Screen, steps: Sequence[str], *, whole: bool) -> None:
    if not steps:
        return
    screen.blank()
    screen.line(("  Steps", "bold"))
    left_out = 0 if whole else max(len(steps) - STEPS_SHOWN, 0)
    if left_out:
        screen.line((f"    {ELLIPSIS} {counted(left_out, 'step')} before", "dim"))
    for number, step in enumerate(steps[left_out:], left_out + 1):
        text = step if whole or len(step) <= STEP_LENGTH else step[:STEP_LENGTH] + ELLIPSIS
        screen.paragraph(printable(text), indent=9, label=f"   {number:4}  ")


def _print_frames(screen: Screen, frames: Sequence[TraceEntry], *, whole: bool) -> None:
    if not frames:
        return
    screen.blank()
    screen.line(
        ("  On the wire", "bold"), ("  seconds, connection, > from the suite, < from the server", "dim")
    )
    left_out = 0 if whole else max(len(frames) - FRAMES_SHOWN, 0)
    if left_out:
        screen.line((f"    {ELLIPSIS} {counted(left_out, 'frame')} before", "dim"))
    width = max(len(entry.connection) for entry in frames[left_out:])
    for entry in frames[left_out:]:
        lines = entry_lines(entry)
        head = f"  {entry.at:9.3f} {entry.connection:{width}} "
        for number, line in enumerate(lines if whole else clipped(lines, LINES_SHOWN)):
            style = "cyan" if entry.direction == "<" else ""
            lead = head if not number else " " * len(head)
            screen.line((lead, "dim"), (f"{entry.direction if not number else ' '} ", "bold"), (line, style))


def _print_others(screen: Screen, others: Sequence[Failure]) -> None:
    screen.blank()
    screen.line(("  Also", "bold"))
    for failure in others:
        screen.line(f"    {failure.binding}  {one_line(failure.test)}: {one_line(failure.observed)}")
