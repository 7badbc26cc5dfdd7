"""Command line that judges the clause of one failure again, with every option that the verdict may depend on."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from conformance.reporting.failure_files import file_name
from conformance.run.options import PARALLEL
from conformance.specification.clauses import BINDINGS, book

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.run.options import Options
    from conformance.verdicts.verdicts import Failure

PROGRAM = "python -m conformance"
#: Environment variable that gives the passcode where the command line has none, so that reports need not show it.
PASSCODE_VARIABLE = "STOMPLIANCE_PASSCODE"
#: The passcode in a command line that is printed: a reference which the shell replaces.
_PASSCODE = f'"${PASSCODE_VARIABLE}"'


def once_more(options: Options, failure: Failure) -> str:
    """Command line for a POSIX shell. It refers to the passcode by the environment variable, and never holds it."""
    server = ["--launch", options.launch] if options.launch else [options.url]
    words = [*PROGRAM.split(), *server, *_about_server(options), *_about_run(options)]
    for name in _classes(options, failure):
        words += ["--class", name]
    words += ["--clause", failure.clause]
    line = shlex.join(words)
    if options.passcode is not None:
        line += f" --passcode {_PASSCODE}"
    return line


def resend(options: Options, failure: Failure) -> str:
    """Command line that sends exactly a recorded failure again; "" if no file of it is written."""
    if options.report is None or failure.recording is None:
        return ""
    server = ["--launch", options.launch] if options.launch else [options.url]
    words = [*PROGRAM.split(), "replay", str(options.report / file_name(failure)), *server]
    for option, value in (
        ("--login", options.login),
        ("--host-header", options.host_header),
        ("--ca-file", options.ca_file),
    ):
        if value is not None:
            words += [option, value]
    if not options.verify_tls:
        words.append("--insecure")
    line = shlex.join(words)
    return f"{line} --passcode {_PASSCODE}" if options.passcode is not None else line


def _about_server(options: Options) -> Iterator[str]:
    named = options.target or (options.file.name if options.file.name != "generic" else "")
    for option, value in (
        ("--target", named),
        ("--login", options.login),
        ("--host-header", options.host_header),
        ("--ca-file", options.ca_file),
    ):
        if value is not None and (value or option != "--target"):
            yield from (option, value)
    if not options.verify_tls:
        yield "--insecure"
    for name, seconds in options.timings.items():
        yield from (f"--{name.replace('_', '-')}", f"{seconds:g}")
    if not options.use_waivers:
        yield "--no-waivers"


def _about_run(options: Options) -> Iterator[str]:
    if options.seed is not None:
        yield from ("--seed", str(options.seed))
    if options.parallel != PARALLEL:
        yield from ("--parallel", str(options.parallel))
    for name in options.excluded:
        yield from ("--exclude", name)
    yield from ("--effort", options.effort.value)


def _classes(options: Options, failure: Failure) -> list[str]:
    """The binding of the failure, and the extensions that the user asked for and that the clause belongs to.

    Such an extension may be one that the server does not claim. Others would select other clauses instead.
    """
    extensions = [
        name
        for name in options.classes
        if name not in BINDINGS and failure.clause in book() and name in book()[failure.clause].classes
    ]
    return [failure.binding, *extensions]
