"""Command line that judges the clause of one failure again, with every option that the verdict may depend on."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.command.references import referring, url_without_secrets, variable
from conformance.reporting.failure_files import file_name
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
    """Command line for a POSIX shell, without secrets: it refers to each by an environment variable.

    A shell that does not know one of the variables says so, and runs nothing. The passcode's variable may be unset.
    """
    words = [PROGRAM, *_server(options), *_about_server(options), *_about_run(options)]
    for name in _classes(options, failure):
        words += ["--class", name]
    if not options.faults:  # with faults there is one scenario, and what it finds may be any clause
        words += ["--clause", failure.clause]
    return " ".join([*words, *_passcode(options)])


def resend(options: Options, failure: Failure) -> str:
    """Command line that sends exactly a recorded failure again; "" if no file of it is written."""
    if options.report is None or failure.recording is None:
        return ""
    file = shlex.quote(str(options.report / file_name(failure)))
    first = replace(options, nodes=())
    return " ".join([PROGRAM, "replay", file, *_server(first), *_access(options), *_passcode(options)])


def _server(options: Options) -> Iterator[str]:
    if options.launch:
        secrets = {}
        if options.passcode:
            secrets[options.passcode] = PASSCODE_VARIABLE
        yield from ("--launch", referring(options.launch, secrets))
    else:
        yield url_without_secrets(options.url)
        for number, url in enumerate(options.nodes, 2):
            yield url_without_secrets(url, f"NODE{number}")


def _passcode(options: Options) -> Iterator[str]:
    if options.passcode is not None:
        yield from ("--passcode", _PASSCODE)


def _access(options: Options) -> Iterator[str]:
    """Quoted words of the options that a server may need to let a client in."""
    named = options.target or (options.file.name if options.file.name != "generic" else "")
    for option, value in (
        ("--target", named or None),
        ("--login", options.login),
        ("--host-header", options.host_header),
        ("--ca-file", options.ca_file),
        ("--client-cert", options.client_cert),
        ("--client-key", options.client_key),
    ):
        if value is not None:
            yield from (option, shlex.quote(value))
    for name, value in options.headers.items():
        yield from ("--header", referring(f"{name}: {value}", {value: variable("HEADER", name)}))
    for name, value in options.connect_headers.items():
        yield from (
            "--connect-header",
            referring(f"{name}:{value}", {value: variable("CONNECT_HEADER", name)}),
        )
    if options.http:
        yield from ("--http", url_without_secrets(options.http, "HTTP"))
    if not options.verify_tls:
        yield "--insecure"


def _about_server(options: Options) -> Iterator[str]:
    yield from _access(options)
    for fault in options.faults:
        yield from ("--fault", shlex.quote(f"{fault.name}={fault.line}"))
    for command in (options.heal, options.restart):
        if command is not None:
            yield from (command.option, shlex.quote(command.line))
    for name, seconds in options.timings.items():
        yield from (f"--{name.replace('_', '-')}", f"{seconds:g}")
    if not options.use_waivers:
        yield "--no-waivers"


def _about_run(options: Options) -> Iterator[str]:
    if options.seed is not None:
        yield from ("--seed", str(options.seed))
    if options.parallel is not None:
        yield from ("--parallel", str(options.parallel))
    for name in options.excluded:
        yield from ("--exclude", shlex.quote(name))
    yield from ("--effort", options.effort.value)


def _classes(options: Options, failure: Failure) -> list[str]:
    """The binding of the failure, and the extensions that the user asked for and that the clause belongs to.

    Such an extension may be one that the server does not claim. Others would select other clauses instead, but for
    http-publish, which says how records are published.
    """
    clause = book().clauses.get(failure.clause)
    extensions = [
        name
        for name in options.classes
        if name not in BINDINGS
        and (
            (name == "http-publish" and failure.binding == "queue-http")
            or (clause is not None and name in clause.classes)
        )
    ]
    return [failure.binding, *extensions]
