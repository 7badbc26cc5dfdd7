"""Options of a run, the same for the suite's own command line and for pytest's."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.specification.clauses import Level
from conformance.targets.files import GENERIC, TargetFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.targets.commands import Command


class Effort(enum.Enum):
    """Number of examples that the models and properties try."""

    QUICK = "quick"
    STANDARD = "standard"
    THOROUGH = "thorough"


@dataclass(frozen=True)
class Options:
    """Options of one run.

    `classes` are bindings and extensions; empty selects all that the server claims. `clauses` are ids or prefixes of
    ids. `timings` (seconds) override those that the server declares. `seed` None gives the same examples in every run;
    `shuffle` orders the tests by the seed. `fail_fast` ends the run at the first broken MUST that is no known
    deviation. `parallel` is the number of concurrent tests, None for what fits the server's distance. `time_limit` is
    in seconds, 0.0 for none; None is the limit of the effort. `excluded` are ids or prefixes of ids, like `clauses`.
    `headers` go with every HTTP request and upgrade, `connect_headers` with every CONNECT; `http` is the URL of HTTP
    requests where it is another one. The first contact waits up to `wait` seconds for a server to answer.
    `verify_tls`, `ca_file`, `client_cert` and `client_key` are as for `tls_context`.
    `target` is the name or path of the target file as it was given, `launch` the command that started the server, both
    "" for none. `nodes` are the URLs of further nodes of the same cluster.
    With `faults`, only tests that are marked `during_faults` run; `heal` undoes each of them. `restart` restarts all
    nodes.
    `durations` is the number of the slowest tests to list, 0 for all of them, None for no list.
    """

    url: str
    file: TargetFile = GENERIC
    classes: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()
    level: Level = Level.MAY
    effort: Effort = Effort.STANDARD
    seed: int | None = None
    shuffle: bool = False
    fail_fast: bool = False
    parallel: int | None = None
    time_limit: float | None = None
    report: Path | None = None
    login: str | None = None
    passcode: str | None = None
    host_header: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    connect_headers: Mapping[str, str] = field(default_factory=dict)
    http: str = ""
    wait: float = 0.0
    timings: Mapping[str, float] = field(default_factory=dict)
    use_waivers: bool = True
    verify_tls: bool = True
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    verbose: bool = False
    excluded: tuple[str, ...] = ()
    target: str = ""
    launch: str = ""
    durations: int | None = None
    write_waivers: Path | None = None
    nodes: tuple[str, ...] = ()
    strict_waivers: bool = False
    faults: tuple[Command, ...] = ()
    heal: Command | None = None
    restart: Command | None = None
