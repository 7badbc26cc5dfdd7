"""`python -m conformance judge FILE…`: histories of any system, judged by promises."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.command.once_more import PROGRAM
from conformance.command.parsing import add_promises, add_report, check_report, command_parser
from conformance.history.files import read_history
from conformance.history.judgement import Judgement, Verdict, judge
from conformance.history.promises import PROMISES
from conformance.history.system_facts import BadHistory
from conformance.reporting.judgement_files import write
from conformance.reporting.judgement_text import lines_of
from conformance.reporting.summary import counted
from conformance.verdicts.verdicts import Exit

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

NAME = "judge"
#: Seconds of silence after which the next piece of progress is printed.
PROGRESS_SECONDS = 1.0
_EPILOG = f"""\
FILE is a history in the form of spec/histories.md: one JSON object a line, written by any program, or by a run of this
suite with --report DIR (DIR/histories). It holds what clients did and got; no server is needed.

A promise that the system makes (the file says which; without a word, all) and that is broken counts. One that it does
not make, or that --promise leaves out, is reported all the same.

exit status:
  0 every promise that counts and could be judged is kept   1 one is broken
  2 wrong usage, or a file is no history                    3 the tool itself failed
  4 inconclusive: a promise named by --promise could not be judged, or most of those that count

examples:
  {PROGRAM} judge run.jsonl
  {PROGRAM} judge run.jsonl --promise one-in-flight --promise at-least-once --report DIR
  {PROGRAM} judge --list-promises
"""


def main(arguments: Sequence[str]) -> int:
    """Judge histories; returns the exit status. Raises SystemExit for arguments that can't be parsed."""
    parser = _parser()
    values = parser.parse_args(arguments)
    if values.list_promises:
        return _list_promises()
    if not values.files:
        parser.error("expected a file, or --list-promises")
    check_report(parser, values.report)
    judgements = []
    try:
        for path in values.files:
            judgements.append(_judged(path, values.promises))
            for line in lines_of(judgements[-1]):
                print(line)
    except (BadHistory, ValueError) as error:
        print(f"{PROGRAM} {NAME}: {error}", file=sys.stderr)
        return Exit.USAGE
    except OSError as error:
        print(f"{PROGRAM} {NAME}: {path} can't be read: {error.strerror or error}", file=sys.stderr)
        return Exit.USAGE
    status, sentence = outcome(judgements, values.promises)
    print(sentence)
    if values.report is not None:
        try:
            for written in write(values.report, judgements, sentence, status):
                print(f"Written: {written}")
        except OSError as error:
            print(f"{PROGRAM} {NAME}: the report could not be written: {error}", file=sys.stderr)
            return status if status is Exit.NOT_CONFORMING else Exit.SUITE_FAILED
    return status


def _parser() -> argparse.ArgumentParser:
    made = command_parser(
        NAME, description="Judges histories: what the clients of a queue did and got.", epilog=_EPILOG
    )
    made.add_argument("files", metavar="FILE", nargs="*", type=Path, help="a history")
    add_promises(made, "hold the system to this promise, whatever the file says; may be repeated")
    add_report(made, "write judgement.json, judgement.html and small pictures of anomalies to this folder")
    made.add_argument("--list-promises", action="store_true", help="list the promises and exit")
    return made


def _judged(path: Path, promises: Sequence[str] | None) -> Judgement:
    """Judgement of one file. Raises BadHistory, ValueError for an unknown promise in the file, and OSError."""
    progress = _Progress(path)
    file = read_history(path, lambda events: progress.tell(f"{counted(events, 'event')} read"))
    try:
        return judge(file, promises, tell=lambda checker: progress.tell(f"looking for: {checker}"))
    except ValueError as error:
        raise BadHistory(f'{path}, line 1: "promises": {error}') from None


class _Progress:
    """Progress on standard error: nothing for a short file, a line a second for a long one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told = time.monotonic()

    def tell(self, text: str) -> None:
        """Print the text unless something was printed just before."""
        now = time.monotonic()
        if now >= self._told + PROGRESS_SECONDS:
            self._told = now
            print(f"{self._path}: {text}", file=sys.stderr, flush=True)


def outcome(judgements: Iterable[Judgement], named: Sequence[str] | None) -> tuple[Exit, str]:
    """Exit status of several histories together, and the sentence that says why."""
    verdicts: dict[str, set[Verdict]] = {}
    for judgement in judgements:
        for result in judgement.promised:
            verdicts.setdefault(result.promise.name, set()).add(result.verdict)
    broken = [name for name, of_name in verdicts.items() if Verdict.BROKEN in of_name]
    unjudged = [name for name, of_name in verdicts.items() if of_name == {Verdict.NOT_JUDGED}]
    if broken:
        return Exit.NOT_CONFORMING, f"BROKEN: {', '.join(broken)}"
    if not verdicts or 2 * len(unjudged) > len(verdicts) or (named and unjudged):
        what = ", ".join(unjudged) if named else f"{len(unjudged)} of {counted(len(verdicts), 'promise')}"
        why = f"{what} could not be judged" if unjudged else "the system promises nothing"
        return Exit.INCONCLUSIVE, f"INCONCLUSIVE: {why}"
    kept = len(verdicts) - len(unjudged)
    more = f"; {len(unjudged)} could not be judged" if unjudged else ""
    return Exit.CONFORMING, f"KEPT: {counted(kept, 'promise')} of {len(verdicts)}{more}"


def _list_promises() -> int:
    for promise in PROMISES:
        print(f"{promise.name}\n  {promise.sentence}")
        print(f"  checkers: {', '.join(promise.checkers)}\n  clauses: {', '.join(promise.clauses)}\n")
    return Exit.CONFORMING
