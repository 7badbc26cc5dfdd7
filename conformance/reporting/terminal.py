"""Report of a run on a terminal: announcement, progress, result, failures with their evidence."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.text import Text

from conformance.reporting.clause_table import print_table
from conformance.reporting.durations import slowest
from conformance.reporting.failure_text import print_failure
from conformance.reporting.octets import one_line, printable
from conformance.reporting.plan import Plan, suite_version
from conformance.reporting.progress import Bar, Lines, RunProgress
from conformance.reporting.reach_table import print_reach
from conformance.reporting.screen import Screen
from conformance.reporting.summary import (
    ClauseVerdicts,
    broken,
    closing_sentence,
    counted,
    first_ids,
    grouped,
    mark_of,
    plain_command,
    reasons,
    without_secrets,
)
from conformance.verdicts.verdicts import Exit, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self, TextIO

    from conformance.models.rule_coverage import RuleCoverage
    from conformance.reporting.progress import ProgressView
    from conformance.reporting.summary import ReplayCommand
    from conformance.specification.clauses import Book
    from conformance.targets.target import Target
    from conformance.verdicts.verdicts import Result

__all__ = ["Plan", "Presenter"]

#: Number of broken clauses shown with their evidence; the others get a line each.
FAILURES_IN_FULL = 20
_CLOSING_STYLES = {Exit.CONFORMING: "bold green", Exit.NOT_CONFORMING: "bold red"}


class Presenter:
    """Shows a run on a stream, by default standard output.

    A terminal gets a progress bar and colours. NO_COLOR switches colours off, FORCE_COLOR switches them on for a pipe.
    `verbose` lists everything instead of counting it, and shows evidence uncut. `width` is in columns.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        verbose: bool = False,
        width: int | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._screen = Screen(stream, width)
        self._verbose = verbose
        self._now = now
        self._count = RunProgress(0)
        self._view: ProgressView | None = None
        self._slowest: list[tuple[float, str, str]] = []
        self._timed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def announce(self, target: Target, plan: Plan) -> None:
        """Print the plan of the run, and start to show progress."""
        screen = self._screen
        title = target.title or (target.name if target.name != "generic" else "the server")
        screen.line((f"stompliance {suite_version()}", "bold"), " judges ", (one_line(title), "bold"))
        facts = {
            "url": target.url,
            **({"nodes": ", ".join(each.url for each in target.others)} if target.others else {}),
            "classes": ", ".join(plan.bindings) or "none",
            "extensions": ", ".join(sorted(target.extensions)) or "none",
            "tests": f"{plan.tests} for {counted(plan.clauses, 'clause')}, {plan.effort} effort, {_seed(plan)}",
            "time": _time(plan, target),
        }
        if plan.restarts is not None:
            facts["restart"] = _restart(plan.restarts)
        if target.capabilities_failure:
            facts["note"] = f"the capabilities could not be read: {one_line(target.capabilities_failure)}"
        if target.waivers:
            facts["known"] = f"{counted(len(target.waivers), 'known deviation')} of target {target.name}"
        for label, text in facts.items():
            screen.paragraph(printable(text), indent=14, label=Text(f"  {label:12}", "dim"))
        self._count = RunProgress(plan.tests)
        self._view = Bar(screen, plan.tests) if screen.can_animate else Lines(screen, self._now)

    def test_started(self, name: str) -> None:
        """Show that a test has started. Thread-safe, like the next two methods."""
        self._count.start(name)
        self._update()

    def test_ended(self, name: str, outcome: str) -> None:
        """Show that a test has ended with the outcome `passed`, `failed` or `skipped`."""
        self._count.end(name, outcome)
        self._update()

    def waiting(self, seconds_left: float) -> None:
        """Show the seconds left to wait for real time; 0 or less ends the display."""
        self._count.seconds_left = seconds_left if seconds_left > 0 else None
        self._update()

    def close(self) -> None:
        """Stop showing progress, as `finish` does too. May be called twice."""
        view, self._view = self._view, None
        if view:
            view.end()

    def finish(
        self,
        result: Result,
        book: Book,
        target: Target,
        *,
        replay_command: ReplayCommand | None = None,
        resend_command: ReplayCommand = lambda _failure: "",
    ) -> None:
        """Print the result; `replay_command` returns the command line that judges the clause of a failure again,
        `resend_command` the one that sends its recording again, or "".
        """
        self.close()
        replay_command = replay_command or plain_command(target.url)
        result = without_secrets(result, target.passcode)
        with self._screen.buffered():
            print_table(self._screen, result, book)
            self._print_deviations(result, book)
            self._print_known(result, book)
            self._print_observed(result, book)
            self._print_reasons(result)
            self._print_stale(result, target)
            self._print_durations()
            self._print_errors(result, book)
            self._print_failures(result, book, replay_command, resend_command)
            self._screen.blank()
            style = _CLOSING_STYLES.get(result.exit, "bold yellow")
            self._screen.paragraph(Text(printable(closing_sentence(result)), style))

    def show_reach(self, machines: Sequence[RuleCoverage]) -> None:
        """Print the coverage of the stateful models."""
        print_reach(self._screen, machines)

    def show_durations(self, durations: Mapping[tuple[str, str], float], most: int) -> None:
        """Let `finish` print the `most` slowest tests with their times, or all tests if `most` is 0."""
        self._slowest = slowest(durations, most)
        self._timed = len(durations)

    def _print_durations(self) -> None:
        rows = self._slowest
        if rows:
            self._screen.heading(f"The {counted(len(rows), 'slowest test')} of {self._timed}")
        for seconds, test, binding in rows:
            self._screen.line(f"  {seconds:8.2f} s  ", (f"{binding}  ", "dim"), one_line(test))

    def _update(self) -> None:
        if view := self._view:
            view.update(self._count)

    def _print_deviations(self, result: Result, book: Book) -> None:
        found = [verdict for verdict in result.of(Kind.DEVIATION) if verdict.waiver is None]
        if found:
            self._screen.heading("Recommendations (SHOULD) that are not followed")
            for group in grouped(found, book):
                self._print_group(group, group.verdicts[0].reason)

    def _print_known(self, result: Result, book: Book) -> None:
        found = [verdict for verdict in result.of(Kind.FAIL, Kind.DEVIATION) if verdict.waiver is not None]
        if found:
            self._screen.heading("Known deviations of this target, which are not counted")
            for group in grouped(found, book):
                self._print_group(group, group.verdicts[0].waiver or "")

    def _print_observed(self, result: Result, book: Book) -> None:
        groups = grouped(result.of(Kind.OBSERVED), book)
        if not groups:
            return
        if not self._verbose:
            self._screen.blank()
            self._screen.paragraph(
                f"Observed where the text leaves a choice: {counted(len(groups), 'clause')}."
            )
            return
        self._screen.heading("Observed where the text leaves a choice")
        for group in groups:
            self._print_group(group, "; ".join(dict.fromkeys(verdict.reason for verdict in group.verdicts)))

    def _print_group(self, group: ClauseVerdicts, text: str) -> None:
        mark = mark_of(group.verdicts[0])
        self._screen.line(
            "  ", (mark.sign, mark.style), f" {group.clause.id}  {group.bindings}  ", (one_line(text), "dim")
        )

    def _print_reasons(self, result: Result) -> None:
        titles = {
            Kind.BLOCKED: "Blocked",
            Kind.INCONCLUSIVE: "Inconclusive",
            Kind.SKIPPED: "Skipped",
        }
        for kind, title in titles.items():
            found = [verdict for verdict in result.of(kind) if not verdict.is_excluded]
            if not found:
                continue
            self._screen.heading(title)
            for reason, ids in reasons(found):
                names = ", ".join(ids) if self._verbose else first_ids(ids)
                body = Text(f"{reason}: ").append(names, "dim")
                self._screen.paragraph(body, indent=8, label=f"  {len(ids):4}  ")
        excluded = list(dict.fromkeys(v.key.clause for v in result.verdicts if v.is_excluded))
        if excluded:
            self._screen.heading("Excluded by --exclude, with every test that names one of these clauses")
            names = ", ".join(excluded) if self._verbose else first_ids(excluded)
            self._screen.paragraph(names, indent=8, label=f"  {len(excluded):4}  ")

    def _print_stale(self, result: Result, target: Target) -> None:
        if not result.stale:
            return
        self._screen.heading(f"Known deviations of target {target.name} that deviate no more; take them out")
        for waiver in result.stale:
            where = f" in {', '.join(waiver.bindings)}" if waiver.bindings else ""
            self._screen.paragraph(
                f"{waiver.clause}{where}: {one_line(waiver.reason)}", indent=4, label="  ! "
            )

    def _print_errors(self, result: Result, book: Book) -> None:
        groups = grouped(result.of(Kind.ERROR), book)
        if not groups:
            return
        self._screen.heading("Mistakes of the suite; please report them")
        for group in groups:
            label = Text("  ! ", "bold red")
            reason = printable(group.verdicts[0].reason)
            self._screen.paragraph(f"{group.clause.id}  {group.bindings}\n{reason}", indent=4, label=label)

    def _print_failures(
        self, result: Result, book: Book, replay_command: ReplayCommand, resend_command: ReplayCommand
    ) -> None:
        groups = grouped(broken(result), book)
        if not groups:
            return
        self._screen.heading(f"Broken: {counted(len(groups), 'requirement')}")
        in_full = len(groups) if self._verbose else FAILURES_IN_FULL
        for group in groups[:in_full]:
            print_failure(self._screen, group, replay_command, resend_command, whole=self._verbose)
        if rest := groups[in_full:]:
            self._screen.rule()
            self._screen.line(
                (f"And {counted(len(rest), 'requirement')} more; --verbose shows all in full", "bold")
            )
            for group in rest:
                self._print_group(group, group.verdicts[0].reason)


def _seed(plan: Plan) -> str:
    return "the same examples in every run" if plan.seed is None else f"seed {plan.seed}"


def _restart(bindings: Sequence[str]) -> str:
    if not bindings:
        return (
            "never: no clause of the class durable is selected; --class durable judges a server that does not "
            "declare it"
        )
    return (
        f"the command of --restart is run after all other tests, once over each of {', '.join(bindings)}; one that "
        "fails is reported then (--clause DURABLE judges this alone)"
    )


def _time(plan: Plan, target: Target) -> str:
    if plan.wait_seconds > 0:
        overlap = (
            "the waits overlap" if plan.waits_overlap else "the limit of connections lets few waits overlap"
        )
        return f"about {plan.wait_seconds:.0f} s for timers that are waited for; {overlap}"
    clock = "; the server's clock is virtual" if target.has_virtual_clock else ""
    return f"no timer is waited for{clock}"
