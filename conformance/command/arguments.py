"""Options of the suite's command line."""

from __future__ import annotations

import argparse
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.command.ci_options import add_ci_options, ci_values
from conformance.command.clause_ids import check_ids
from conformance.command.contact import add_contact, contact_values, login_values
from conformance.command.fault_options import add_faults, fault_values
from conformance.command.lists import add_lists
from conformance.command.once_more import PASSCODE_VARIABLE, PROGRAM
from conformance.command.preparation import check_files
from conformance.command.tls_options import add_tls, tls_values
from conformance.run.options import Effort, Options
from conformance.run.parallelism import FAR, FAR_ROUND_TRIP, NEAR
from conformance.specification.clauses import BINDINGS, CLASSES, EXTENSIONS, Level, book
from conformance.targets.address import with_plain_scheme
from conformance.targets.files import GENERIC, TIMINGS, check_waivers, find_target

if TYPE_CHECKING:
    from collections.abc import Mapping

LAUNCH_VARIABLE = "STOMPLIANCE_LAUNCH"
#: Shortest wait for a launched server to answer, once it has printed its URL, in seconds.
LAUNCH_SECONDS = 5.0

_EPILOG = f"""\
examples:
  {PROGRAM} ws://127.0.0.1:8080/stomp                       judge all classes that the server declares
  {PROGRAM} ws://127.0.0.1:8080/stomp --effort quick        the same, with fewer examples
  {PROGRAM} ws://127.0.0.1:8080/stomp --clause ACK          only the clauses ACK-*
  {PROGRAM} ws://127.0.0.1:61614 --class stomp-1.2          a server that declares nothing
  {PROGRAM} http://10.0.0.1:8080 http://10.0.0.2:8080       nodes of one cluster, as if they were one server
  {PROGRAM} http://10.0.0.1:8080 http://10.0.0.2:8080 --fault 'kill=ssh 10.0.0.2 pkill -9 node' \
      --fault 'pause=ssh 10.0.0.2 pkill -STOP node' --heal 'ssh 10.0.0.2 sh start-or-continue.sh'   while nodes fail
  {PROGRAM} http://10.0.0.1:8080 --restart 'ssh 10.0.0.1 systemctl restart node'   and what outlives a restart
  {PROGRAM} --target rabbitmq ws://127.0.0.1:15674/ws --login guest --passcode guest
  {PROGRAM} --launch "python -m reference_server --port 0"  start a server for this run, and stop it
  {PROGRAM} "wss://host/broker/stomp?token=…" --header "Origin: https://app.example"   behind a gateway
  {PROGRAM} --list-clauses --clause ACK                     read the clauses
  {PROGRAM} replay FILE ws://127.0.0.1:8080/stomp           send a failure from DIR/failures of a --report again
  {PROGRAM} compare old/report.json new/report.json         what broke and what was mended between two runs
  {PROGRAM} --adapter COMMAND                                drive another engine: see docs/adapters.md
  {PROGRAM} judge run.jsonl                                  judge a history: what the clients of any queue did and got

classes:
{textwrap.fill(", ".join(BINDINGS), 100, initial_indent="  ", subsequent_indent="  ")},
  and the extensions of the queue:
{textwrap.fill(", ".join(EXTENSIONS), 100, initial_indent="  ", subsequent_indent="  ")}.
  The classes of a server come from GET /capabilities, from its target file, or from --class.

levels:
  A broken MUST makes a server non-conforming. A broken SHOULD is reported as a deviation and does not count.
  Behaviour that the text leaves open (MAY) is recorded.

exit status:
  0 conforming   1 not conforming   2 wrong usage, or no server answers at the URL
  3 the suite itself failed         4 inconclusive: nothing was selected, the run ended early, or most requirements
                                      of a claimed class could not be judged
"""


def parser() -> argparse.ArgumentParser:
    """Parser of `python -m conformance`."""
    made = argparse.ArgumentParser(
        prog=PROGRAM,
        usage="%(prog)s URL [URL …] [options]",
        description="Judges a server by the clauses of the specification: STOMP 1.0, 1.1 and 1.2 over WebSocket or "
        "TCP, and partitioned queues over STOMP and HTTP.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument(
        "urls",
        metavar="URL",
        nargs="*",
        default=[],
        help="the server: ws://, wss://, stomp://, stomps://, http:// or https://; several are the nodes of one "
        "cluster: each connection goes to the next one",
    )
    _add_selection(made.add_argument_group("selection"))
    _add_server(made.add_argument_group("the server"))
    add_faults(made.add_argument_group("faults and restarts"))
    _add_output(made.add_argument_group("output"))
    add_ci_options(made.add_argument_group("runs in CI"))
    return made


def _add_selection(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--class",
        dest="classes",
        action="append",
        default=[],
        metavar="CLASS",
        choices=CLASSES,
        help="judge this class, even if the server does not claim it; may be repeated. Extensions narrow to their "
        "clauses, but for http-publish beside queue-http: records are published over HTTP then",
    )
    group.add_argument(
        "--clause",
        dest="clauses",
        action="append",
        default=[],
        metavar="ID",
        help="judge this clause, or all clauses with this prefix; may be repeated",
    )
    group.add_argument(
        "--exclude",
        dest="excluded",
        action="append",
        default=[],
        metavar="ID",
        help="leave out this clause, or all clauses with this prefix, and every test that names one of them; may be "
        "repeated",
    )
    group.add_argument(
        "--level",
        choices=[level.value.lower() for level in Level],
        default="may",
        help="judge only clauses of at least this level (default: may, which is all)",
    )
    group.add_argument(
        "--effort",
        choices=[effort.value for effort in Effort],
        default=Effort.STANDARD.value,
        help="number of examples that models and properties try (default: %(default)s); thorough also prints the "
        "models' coverage",
    )
    group.add_argument(
        "--seed",
        type=int,
        default=None,
        help="seed for the examples (default: the same examples in every run)",
    )
    group.add_argument(
        "--shuffle",
        action="store_true",
        help="run the tests in an order chosen by the seed; verdicts must not depend on it",
    )
    group.add_argument(
        "--fail-fast",
        action="store_true",
        help="end the run at the first broken requirement that is no known deviation",
    )
    group.add_argument(
        "--parallel",
        type=_test_count,
        metavar="N",
        default=None,
        help="run up to N tests at a time, and models beside them in processes of their own (default: "
        f"{NEAR}, or {FAR} if a round trip takes {1000 * FAR_ROUND_TRIP:.0f} ms or more); 1 runs everything in one "
        "process",
    )
    group.add_argument(
        "--time-limit",
        type=_seconds,
        metavar="SECONDS",
        default=None,
        help="end the run after this time, 0 for never (default: by the effort, the distance of the server and its "
        "timers; some minutes with --effort quick)",
    )


def _add_server(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--target",
        metavar="NAME",
        type=_not_empty,
        help="a known broker (see --list-targets), or the path of a target file",
    )
    group.add_argument("--login", metavar="NAME", default=None, help="login header of CONNECT")
    group.add_argument(
        "--passcode",
        metavar="TEXT",
        default=None,
        help=f"passcode header of CONNECT (default: environment variable {PASSCODE_VARIABLE})",
    )
    group.add_argument(
        "--host-header",
        metavar="TEXT",
        default=None,
        help="host header of CONNECT (default: the host of the URL)",
    )
    add_contact(group)
    for name in TIMINGS:
        group.add_argument(
            f"--{name.replace('_', '-')}",
            dest=name,
            type=_seconds,
            metavar="SECONDS",
            default=None,
            help=f"the server's {name.replace('_', ' ')} (default: the one that it declares)",
        )
    group.add_argument(
        "--no-waivers", action="store_true", help="count known deviations of the target as failures"
    )
    add_tls(group)
    group.add_argument(
        "--launch",
        metavar="COMMAND",
        default="",
        help="start the server with this command, judge the first ws:// or stomp:// URL that it prints, stop it "
        f"at the end (default without URL: environment variable {LAUNCH_VARIABLE})",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--report",
        metavar="DIR",
        type=Path,
        default=None,
        help="write report.json, junit.xml, report.html and badge.json to this folder, and each failure to its folder "
        "`failures`, as a file for `replay`; histories of concurrent clients to `histories`, as files for `judge`",
    )
    group.add_argument(
        "--verbose",
        action="store_true",
        help="also list passed, observed and skipped clauses, and the models' coverage",
    )
    group.add_argument(
        "--durations",
        metavar="N",
        type=_whole_number,
        default=None,
        help="list the N slowest tests with their times; 0 lists all",
    )
    add_lists(group)


def _not_empty(name: str) -> str:
    """The name of a target. Raises ArgumentTypeError for an empty one, which an unset variable of a shell leaves."""
    if not name:
        raise argparse.ArgumentTypeError(
            "an empty name: expected one of --list-targets, or the path of a file"
        )
    return name


def options_of(values: Mapping[str, Any]) -> Options:
    """Options of a run from parsed arguments.

    Raises BadTargetFile for the target, ValueError for an unknown clause, a seed below zero, or a file or folder of the
    command line that can't be used.
    """
    file = find_target(values["target"]) if values["target"] else GENERIC
    check_waivers(file, book())
    check_ids("--clause", values["clauses"], book())
    check_ids("--exclude", values["excluded"], book())
    options = Options(
        url=with_plain_scheme(values["urls"][0] if values["urls"] else file.url),
        nodes=tuple(map(with_plain_scheme, values["urls"][1:])),
        **contact_values(values),
        file=file,
        classes=tuple(values["classes"]),
        clauses=tuple(values["clauses"]),
        level=Level(values["level"].upper()),
        effort=Effort(values["effort"]),
        seed=values["seed"],
        shuffle=values["shuffle"],
        fail_fast=values["fail_fast"],
        parallel=values["parallel"],
        time_limit=values["time_limit"],
        report=values["report"],
        **login_values(values),
        timings={name: values[name] for name in TIMINGS if values[name] is not None},
        use_waivers=not values["no_waivers"],
        **tls_values(values),
        verbose=values["verbose"],
        excluded=tuple(values["excluded"]),
        target=values["target"] or "",
        durations=values["durations"],
        **fault_values(values),
        **ci_values(values),
    )
    if options.seed is not None and options.seed < 0:
        raise ValueError(f"--seed is {options.seed}: expected a whole number from 0")
    if options.nodes and options.http:
        raise ValueError(
            "--http names one server: expected one URL with it, or http:// URLs of the nodes without"
        )
    check_files(options)
    return options


def launched(options: Options, command: str, url: str) -> Options:
    """Options with the command that started the server, and the URL that it printed.

    The server may print it shortly before it listens: it is waited for.
    """
    wait = max(options.wait, LAUNCH_SECONDS)
    return replace(options, launch=command, url=url, nodes=(), wait=wait)


def _test_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of tests, from 1 to 64")
    return int(text)


def _whole_number(text: str) -> int:
    if not text.isdecimal() or int(text) > 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 0 to 1000000")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r}: expected seconds, from 0 to a day")
    return seconds
