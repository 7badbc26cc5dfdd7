"""The command line of the suite: its options, and what they mean."""

from __future__ import annotations

import argparse
import shlex
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.run.options import PARALLEL, Effort, Options
from conformance.specification.clauses import BINDINGS, CLASSES, EXTENSIONS, Level, book, with_prefix
from conformance.targets.files import GENERIC, TIMINGS, check_waivers, find_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.verdicts.verdicts import Failure

PROGRAM = "python -m conformance"
LAUNCH_VARIABLE = "STOMPLIANCE_LAUNCH"

_EPILOG = f"""\
examples:
  {PROGRAM} ws://127.0.0.1:8080/stomp                       judge what the server declares
  {PROGRAM} ws://127.0.0.1:8080/stomp --effort quick        the same, with fewer examples
  {PROGRAM} ws://127.0.0.1:8080/stomp --clause ACK          only the clauses ACK-*
  {PROGRAM} ws://127.0.0.1:61614 --class stomp-1.2          a server that declares nothing
  {PROGRAM} --target rabbitmq ws://127.0.0.1:15674/ws --login guest --passcode guest
  {PROGRAM} --launch "python -m reference_server --port 0"  start a server for this run, and stop it
  {PROGRAM} --list-clauses --clause ACK                     read the clauses

classes:
{textwrap.fill(", ".join(BINDINGS), 100, initial_indent="  ", subsequent_indent="  ")},
  and the extensions of the queue:
{textwrap.fill(", ".join(EXTENSIONS), 100, initial_indent="  ", subsequent_indent="  ")}.
  A server claims classes at GET /capabilities, or its target file does, or you do with --class.

levels:
  A broken MUST makes a server non-conforming. A broken SHOULD is a deviation, which is reported and excused.
  What a server does where it MAY choose is recorded.

exit status:
  0 conforming   1 not conforming   2 wrong usage, or nobody answers at the URL
  3 the suite itself failed         4 inconclusive: nothing was selected, or nothing could be judged
"""


def parser() -> argparse.ArgumentParser:
    """The parser of `python -m conformance`."""
    made = argparse.ArgumentParser(
        prog=PROGRAM,
        usage="%(prog)s URL [options]",
        description="Judges a server by the clauses of the specification: STOMP 1.0, 1.1 and 1.2 over WebSocket, "
        "and partitioned queues over STOMP and HTTP.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument(
        "url", metavar="URL", nargs="?", default="", help="the server: ws://, wss://, http:// or https://"
    )
    _add_selection(made.add_argument_group("what is judged"))
    _add_server(made.add_argument_group("the server"))
    _add_output(made.add_argument_group("what comes out"))
    return made


def _add_selection(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--class",
        dest="classes",
        action="append",
        default=[],
        metavar="CLASS",
        choices=CLASSES,
        help="judge this class, claimed by the server or not; may be repeated",
    )
    group.add_argument(
        "--clause",
        dest="clauses",
        action="append",
        default=[],
        metavar="ID",
        help="judge this clause, or all whose ids begin so; may be repeated",
    )
    group.add_argument(
        "--level",
        choices=[level.value.lower() for level in Level],
        default="may",
        help="judge no weaker clauses than these (default: may, which is all)",
    )
    group.add_argument(
        "--effort",
        choices=[effort.value for effort in Effort],
        default=Effort.STANDARD.value,
        help="how many examples the models and properties try (default: %(default)s); at thorough effort it is also "
        "told what the models reached",
    )
    group.add_argument(
        "--seed",
        type=int,
        default=None,
        help="choose other examples by this number (default: the same examples every time)",
    )
    group.add_argument(
        "--shuffle",
        action="store_true",
        help="perform the tests in an order chosen by the seed: verdicts must not depend on it",
    )
    group.add_argument(
        "--fail-fast",
        action="store_true",
        help="end the run at the first requirement that is broken and not known to be",
    )
    group.add_argument(
        "--parallel",
        type=_tests,
        metavar="N",
        default=PARALLEL,
        help="perform up to so many tests at a time (default: %(default)s; 1 for one after another)",
    )


def _add_server(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--target",
        metavar="NAME",
        default="",
        help="a known broker, or the path of a target file; --list-targets",
    )
    group.add_argument("--login", metavar="NAME", default=None, help="login of CONNECT")
    group.add_argument("--passcode", metavar="TEXT", default=None, help="passcode of CONNECT")
    group.add_argument(
        "--host-header", metavar="TEXT", default=None, help="`host` of CONNECT (default: that of the URL)"
    )
    for name in TIMINGS:
        group.add_argument(
            f"--{name.replace('_', '-')}",
            dest=name,
            type=_seconds,
            metavar="SECONDS",
            default=None,
            help=f"the server's {name.replace('_', ' ')}, where it doesn't declare it rightly",
        )
    group.add_argument(
        "--no-waivers", action="store_true", help="count the known deviations of the target too"
    )
    group.add_argument("--insecure", action="store_true", help="accept any TLS certificate")
    group.add_argument(
        "--ca-file", metavar="FILE", default=None, help="trust the authorities in this PEM file"
    )
    group.add_argument(
        "--launch",
        metavar="COMMAND",
        default="",
        help="start the server with this command, take the first ws:// URL that it prints, stop it at the end "
        f"(default without URL: the environment's {LAUNCH_VARIABLE})",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--report",
        metavar="DIR",
        type=Path,
        default=None,
        help="write report.json, junit.xml and report.html there",
    )
    group.add_argument(
        "--verbose",
        action="store_true",
        help="list also what passed, was observed, or was skipped, and what the models reached",
    )
    group.add_argument("--list-targets", action="store_true", help="list the known brokers, and end")
    group.add_argument("--list-clauses", action="store_true", help="list the clauses, and end")


def options_of(values: Mapping[str, Any]) -> Options:
    """The options that the parsed arguments stand for.

    Raises BadTargetFile for the target, ValueError for a clause that no chapter has or a seed below zero.
    """
    file = find_target(values["target"]) if values["target"] else GENERIC
    check_waivers(file, book())
    for prefix in values["clauses"]:
        if not with_prefix(book(), [prefix]):
            raise ValueError(f"no clause has the id {prefix}, or begins so; --list-clauses shows all")
    options = Options(
        url=values["url"] or file.url,
        file=file,
        classes=tuple(values["classes"]),
        clauses=tuple(values["clauses"]),
        level=Level(values["level"].upper()),
        effort=Effort(values["effort"]),
        seed=values["seed"],
        shuffle=values["shuffle"],
        fail_fast=values["fail_fast"],
        parallel=values["parallel"],
        report=values["report"],
        login=values["login"],
        passcode=values["passcode"],
        host_header=values["host_header"],
        timings={name: values[name] for name in TIMINGS if values[name] is not None},
        use_waivers=not values["no_waivers"],
        verify_tls=not values["insecure"],
        ca_file=values["ca_file"],
        verbose=values["verbose"],
    )
    if options.seed is not None and options.seed < 0:
        raise ValueError(f"--seed is {options.seed}: expected a whole number from 0")
    return options


def with_url(options: Options, url: str) -> Options:
    """The same options for another URL."""
    return replace(options, url=url)


def replay_command(options: Options, failure: Failure) -> str:
    """The command that judges the clause of a failure again."""
    words = [*PROGRAM.split(), options.url]
    if options.file.name != "generic":
        words += ["--target", options.file.name]
    if options.login is not None:
        words += ["--login", options.login, "--passcode", "…"]
    if options.seed is not None:
        words += ["--seed", str(options.seed)]
    words += ["--class", failure.binding, "--clause", failure.clause, "--effort", options.effort.value]
    return shlex.join(words)


def _tests(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of tests, from 1 to 64")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r}: expected seconds, from 0 to a day")
    return seconds
