"""`python -m conformance replay FILE URL`: a recorded failure, sent to a server again."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.command.contact import access_values, add_access, login_values
from conformance.command.interruption import Interruption
from conformance.command.once_more import PASSCODE_VARIABLE, PROGRAM
from conformance.command.parsing import command_parser, seconds, whole_number
from conformance.command.tls_options import add_tls, check_tls_files, tls_values
from conformance.replay.record import FILE_LIMIT, BadRecord, read
from conformance.replay.replay import Ending, Outcome, replay
from conformance.run.options import Options
from conformance.run.probe import located_target
from conformance.targets.address import with_plain_scheme
from conformance.targets.files import GENERIC, BadTargetFile, find_target
from conformance.targets.server_process import LaunchFailed, running_server
from conformance.targets.target import BadUrl, parse_url
from conformance.verdicts.verdicts import Exit
from conformance.wire.cutting import cut

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from conformance.replay.record import FailureRecord
    from conformance.targets.target import Target

NAME = "replay"
_MOST_TIMES = 10_000
_EPILOG = f"""\
FILE is one that `{PROGRAM} URL --report DIR` wrote to DIR/failures. Its octets are sent again, connection by
connection, in their order and with their pauses. Names that were fresh in the run are made fresh again, and ids that
the server gave (messageId, message-id, ack) are those that it gives now.

The test's assertion is not run. The file holds what the server answered and where the failure was seen; the answers
are compared by status or command and by body, without ids, dates and the wording of refusals:

  FAILS AGAIN             the same answer came at the same place (status 1)
  DOES NOT FAIL ANY MORE  another answer came at that place (status 0)
  CAN'T BE SENT           the replay did not get to that place: a connection was refused, or the answers differed
                          before it; it is said where, and how (status 4)

The file holds no passcode, header or query that a run was given: give them again, by the same options.

A failure of concurrent clients, or one that shows rarely, may need --times. A wrong FILE or wrong usage is status 2.
"""


def main(arguments: Sequence[str]) -> int:
    """Replay a failure; returns the exit status."""
    values = _parser().parse_args(arguments)
    try:
        record = _read(values.file)
        _check(values)
        server = running_server(values.launch) if values.launch else contextlib.nullcontext(values.url)
        with Interruption(), server as url:
            target = _target(values, url)
            _check_transport(record, target, values.file)
            _check_secrets(record, target, values.file)
            ending = _endings(record, target, values)
    except (BadRecord, BadTargetFile, BadUrl, LaunchFailed) as error:
        print(f"{PROGRAM} {NAME}: {error}", file=sys.stderr)
        return Exit.USAGE
    except OSError as error:
        name = error.filename or values.ca_file or values.file
        print(f"{PROGRAM} {NAME}: {name} can't be read: {error.strerror or error}", file=sys.stderr)
        return Exit.USAGE
    print(f"{ending.outcome.words}: {record.clause} in {record.binding}")
    print(f"  {target.secrets.text(ending.reason)}")
    print(f"  expected: {cut(' '.join(target.secrets.text(record.expected).split()), 500)}")
    return ending.outcome.status


def _check(values: argparse.Namespace) -> None:
    """Raises BadUrl if there is no server."""
    if not values.launch and not values.url:
        raise BadUrl("which server? Give its URL behind FILE, or --launch COMMAND")


def _check_transport(record: FailureRecord, target: Target, file: str) -> None:
    """Raises BadRecord if STOMP was spoken over another transport."""
    recorded = {
        "tcp" if event.facts.get("transport") == "tcp" else "websocket"
        for event in record.recording.events
        if event.what == "open" and event.kind == "stomp"
    }
    if recorded and recorded != {"tcp" if target.is_tcp else "websocket"}:
        expected = "stomp:// or stomps://" if "tcp" in recorded else "ws:// or wss://"
        raise BadRecord(f"{file} was recorded at another transport of STOMP: expected a URL with {expected}")


def _check_secrets(record: FailureRecord, target: Target, file: str) -> None:
    """Raises BadRecord if a secret that was sent in the run is not given again."""
    if missing := sorted(record.wanted - set(target.secrets.known)):
        options = ", ".join(_option(origin) for origin in missing)
        raise BadRecord(f"what the run was given as {options} was left out of {file}: give it again")


def _option(origin: str) -> str:
    """Option that gives a secret of this origin."""
    kind, _, name = origin.partition(" ")
    return {
        "passcode": "--passcode",
        "header": f"--header '{name.title()}: …'",
        "connect-header": f"--connect-header {name}:…",
        "query": f"the query of the URL (?{name}=…)",
    }.get(kind, "the user of the URL (ws://user:password@…)")


def _endings(record: FailureRecord, target: Target, values: argparse.Namespace) -> Ending:
    """Result of the first replay that fails again, otherwise of the last one."""
    for attempt in range(values.times):
        ending = replay(
            record,
            target,
            login=target.login,
            host_header=target.host_header,
            patience=values.timeout,
            tell=(lambda line: print(target.secrets.text(line))) if values.verbose else lambda _line: None,
        )
        if ending.outcome is Outcome.FAILS_AGAIN:
            break
        if attempt + 1 < values.times and values.verbose:
            print(target.secrets.text(f"{ending.outcome.words}: {ending.reason}"))
    return ending


def _parser() -> argparse.ArgumentParser:
    made = command_parser(NAME, description="Sends a recorded failure to a server again.", epilog=_EPILOG)
    made.add_argument("file", metavar="FILE", help="a file in the folder `failures` of a report")
    made.add_argument(
        "url",
        metavar="URL",
        nargs="?",
        default="",
        help="the server: ws://, wss://, stomp://, stomps://, http:// or https://",
    )
    made.add_argument(
        "--launch",
        metavar="COMMAND",
        default="",
        help="start the server with this command, and stop it at the end",
    )
    made.add_argument(
        "--times",
        type=whole_number(_MOST_TIMES),
        default=1,
        metavar="N",
        help="repeat up to N times, until it fails",
    )
    made.add_argument(
        "--timeout",
        type=seconds(3600),
        default=None,
        metavar="SECONDS",
        help="wait so long for an answer, beyond its recorded time (default: as in the run)",
    )
    made.add_argument("--login", metavar="NAME", default=None, help="login header of CONNECT, if another")
    made.add_argument(
        "--passcode",
        metavar="TEXT",
        default=None,
        help=f"passcode header of CONNECT (default: environment variable {PASSCODE_VARIABLE})",
    )
    made.add_argument("--host-header", metavar="TEXT", default=None, help="host header of CONNECT")
    made.add_argument(
        "--target",
        metavar="NAME",
        default="",
        help="a known broker or a target file, as for a run: headers, login",
    )
    add_access(made)
    add_tls(made)
    made.add_argument("--verbose", action="store_true", help="print each step and each answer")
    return made


def _read(name: str) -> FailureRecord:
    with Path(name).open("rb") as file:
        octets = file.read(FILE_LIMIT + 1)
    if len(octets) > FILE_LIMIT:
        raise BadRecord(f"{name}: expected at most {FILE_LIMIT} octets")
    try:
        return read(octets.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadRecord(f"{name} is no recorded failure: it is not UTF-8 ({error.reason})") from error
    except BadRecord as error:
        raise BadRecord(f"{name} is no recorded failure: {error}") from error


def _target(values: argparse.Namespace, url: str) -> Target:
    url = with_plain_scheme(url)
    parse_url(url)
    try:
        login = login_values(vars(values))
    except ValueError as error:
        raise BadUrl(str(error)) from error
    options = Options(
        url=url,
        file=find_target(values.target) if values.target else GENERIC,
        **login,
        **tls_values(vars(values)),
        **access_values(vars(values)),
    )
    try:
        check_tls_files(options)
    except ValueError as error:
        raise BadUrl(str(error)) from error
    return located_target(options)
