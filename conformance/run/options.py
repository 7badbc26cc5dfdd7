"""What the user asked for, from whichever command line it came."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.specification.clauses import Level
from conformance.targets.files import GENERIC, TargetFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Effort(enum.Enum):
    """How many examples the models and properties try."""

    QUICK = "quick"
    STANDARD = "standard"
    THOROUGH = "thorough"


#: Tests side by side, where nobody says otherwise.
PARALLEL = 4


@dataclass(frozen=True)
class Options:
    """One run, as asked for.

    `classes` are bindings and extensions: none asks for all that the server claims. `clauses` are ids or beginnings
    of ids. `timings` (seconds) go before what the server declares. `seed` is None for the same examples in every run;
    `shuffle` puts the tests in an order chosen by it. `fail_fast` ends the run at the first broken MUST that is no
    known deviation. `parallel` is the number of tests that are performed side by side.
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
    parallel: int = PARALLEL
    report: Path | None = None
    login: str | None = None
    passcode: str | None = None
    host_header: str | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    use_waivers: bool = True
    verify_tls: bool = True
    ca_file: str | None = None
    verbose: bool = False
