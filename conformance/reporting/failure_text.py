"""Report of one broken clause with its evidence, on a terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.text import Text

from conformance.reporting.folding import Fold, around, shown
from conformance.reporting.octets import clipped, entry_lines, one_line, printable
from conformance.reporting.summary import ClauseVerdicts, counted
from conformance.wire.cutting import ELLIPSIS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.reporting.screen import Screen
    from conformance.reporting.summary import ReplayCommand
    from conformance.verdicts.verdicts import Failure

#: Lines shown of each text, unless `whole` is set.
LINES_SHOWN = 12
#: Characters shown of a step, unless `whole` is set.
STEP_LENGTH = 240
_LABEL_WIDTH = 12
#: A word of a command line: plain characters, quoted parts, or both side by side.
_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"[^"]*"|['"])+""", re.DOTALL)


def print_failure(
    screen: Screen,
    group: ClauseVerdicts,
    replay_command: ReplayCommand,
    resend_command: ReplayCommand,
    *,
    whole: bool,
) -> None:
    """Print a broken clause: its first failure in full, one line per further failure.

    Steps are folded, and ten frames around the point of the failure are shown; `whole` shows all evidence uncut.
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
    _print_steps(screen, first, whole=whole)
    _print_frames(screen, first, whole=whole)
    if others:
        _print_others(screen, others)
    screen.blank()
    screen.line(("  Once more, this alone:", "bold"))
    screen.command(command_words(replay_command(first)), indent=4)
    if resend := resend_command(first):
        screen.line(("  The same octets once more:", "bold"))
        screen.command(command_words(resend), indent=4)


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


def _print_steps(screen: Screen, failure: Failure, *, whole: bool) -> None:
    steps = failure.steps
    if not steps:
        return
    screen.blank()
    screen.line(("  Steps", "bold"))
    subject = f"{failure.expected} {failure.observed}"
    folds = (
        [Fold(number, (step,)) for number, step in enumerate(steps, 1)] if whole else shown(steps, subject)
    )
    for fold in folds:
        text = fold.text if whole else _with_cut_steps(fold).text
        screen.paragraph(
            printable(text), indent=9, label=f"   {fold.first:4}  " if fold.steps else "         "
        )


def _with_cut_steps(fold: Fold) -> Fold:
    return replace(
        fold,
        steps=tuple(
            step if len(step) <= STEP_LENGTH else step[:STEP_LENGTH] + ELLIPSIS for step in fold.steps
        ),
    )


def _print_frames(screen: Screen, failure: Failure, *, whole: bool) -> None:
    frames = failure.frames
    if not frames:
        return
    screen.blank()
    screen.line(
        ("  On the wire", "bold"), ("  seconds, connection, > from the suite, < from the server", "dim")
    )
    first, end = (0, len(frames)) if whole else around(frames, failure.observed)
    if first:
        screen.line((f"    {ELLIPSIS} {counted(first, 'frame')} before", "dim"))
    width = max(len(entry.connection) for entry in frames[first:end])
    for entry in frames[first:end]:
        lines = entry_lines(entry)
        head = f"  {entry.at:9.3f} {entry.connection:{width}} "
        for number, line in enumerate(lines if whole else clipped(lines, LINES_SHOWN)):
            style = "cyan" if entry.direction == "<" else ""
            lead = head if not number else " " * len(head)
            screen.line((lead, "dim"), (f"{entry.direction if not number else ' '} ", "bold"), (line, style))
    if end < len(frames):
        screen.line((f"    {ELLIPSIS} {counted(len(frames) - end, 'frame')} behind", "dim"))


def _print_others(screen: Screen, others: Sequence[Failure]) -> None:
    screen.blank()
    screen.line(("  Also", "bold"))
    for failure in others:
        screen.line(f"    {failure.binding}  {one_line(failure.test)}: {one_line(failure.observed)}")
