"""`python -m conformance --adapter COMMAND`: an engine driven through an adapter, and its history judged."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from conformance.adapters.process import AdapterProcess
from conformance.adapters.protocol import NoAdapter
from conformance.adapters.scenario import DrivePlan, drive
from conformance.command.judge import outcome
from conformance.command.once_more import PROGRAM
from conformance.command.parsing import (
    add_promises,
    add_report,
    check_report,
    command_parser,
    seconds,
    whole_number,
)
from conformance.history.files import write_history
from conformance.history.judgement import judge
from conformance.reporting.judgement_files import write
from conformance.reporting.judgement_text import lines_of
from conformance.run.options import Effort
from conformance.verdicts.verdicts import Exit

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from conformance.adapters.scenario import Driven
    from conformance.history.judgement import Judgement

OPTION = "--adapter"
RECORDS = {Effort.QUICK: 100, Effort.STANDARD: 300, Effort.THOROUGH: 2000}
SECONDS = {Effort.QUICK: 60.0, Effort.STANDARD: 180.0, Effort.THOROUGH: 900.0}
_EPILOG = """\
docs/adapters.md has the protocol, what an adapter has to announce, and an example.

exit status:
  0 every promise that the engine makes, and that could be judged, is kept   1 one is broken
  2 wrong usage, or the command is no adapter   3 the suite itself failed
  4 inconclusive: the adapter ended early, or most promises could not be judged
"""


def is_asked_for(arguments: Sequence[str]) -> bool:
    """True if the arguments name an adapter in place of a server."""
    return any(one == OPTION or one.startswith(f"{OPTION}=") for one in arguments)


def main(arguments: Sequence[str]) -> int:
    """Drive an engine and judge it; returns the exit status. Raises SystemExit for arguments that can't be parsed."""
    parser = _parser()
    values = parser.parse_args(arguments)
    check_report(parser, values.report)
    effort = Effort(values.effort)
    plan = DrivePlan(
        seed=values.seed,
        records=RECORDS[effort],
        partitions=values.partitions,
        seconds=values.time_limit or SECONDS[effort],
    )
    try:
        driven = drive(
            AdapterProcess(values.adapter), plan, lambda text: print(text, file=sys.stderr, flush=True)
        )
    except NoAdapter as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return Exit.USAGE
    try:
        judgement = judge(driven.file, values.promises)
    except ValueError as error:
        print(f'{PROGRAM}: the "promises" of the adapter: {error}', file=sys.stderr)
        return Exit.USAGE
    for line in lines_of(judgement):
        print(line)
    return _end(driven, judgement, values)


def _end(driven: Driven, judgement: Judgement, values: argparse.Namespace) -> int:
    status, sentence = outcome([judgement], values.promises)
    if driven.broke_off and status is not Exit.NOT_CONFORMING:
        status, sentence = Exit.INCONCLUSIVE, "INCONCLUSIVE: the adapter ended early"
    print(sentence)
    if driven.broke_off:
        print(f"The adapter ended early: {driven.broke_off}", file=sys.stderr)
    if values.report is None:
        return status
    try:
        path = values.report / "histories" / "adapter.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_history(path, driven.file.facts, driven.recorded)
        for written in [path, *write(values.report, [judgement], sentence, status)]:
            print(f"Written: {written}")
    except OSError as error:
        print(f"{PROGRAM}: the report could not be written: {error}", file=sys.stderr)
        return status if status is Exit.NOT_CONFORMING else Exit.SUITE_FAILED
    return status


def _parser() -> argparse.ArgumentParser:
    made = command_parser(
        "",
        usage=f"%(prog)s {OPTION} COMMAND [options]",
        description="Drives an engine through an adapter, and judges what its clients got by promises.",
        epilog=_EPILOG,
    )
    made.add_argument(OPTION, metavar="COMMAND", required=True, help="command that starts the adapter")
    add_promises(made, "hold the engine to this promise, whatever the adapter says; may be repeated")
    made.add_argument(
        "--effort",
        choices=[effort.value for effort in Effort],
        default=Effort.STANDARD.value,
        help="number of records (default: %(default)s)",
    )
    made.add_argument("--seed", type=int, default=0, help="seed for the scenario (default: 0)")
    made.add_argument(
        "--partitions",
        type=whole_number(1000),
        default=3,
        metavar="N",
        help="partitions of the topic (default: 3)",
    )
    made.add_argument(
        "--time-limit",
        type=seconds(86_400),
        default=None,
        metavar="SECONDS",
        help="end the main part of the scenario after this time, and each final reader (default: by the effort)",
    )
    add_report(
        made,
        "write the history, judgement.json, judgement.html and small pictures of anomalies to this folder",
    )
    return made
