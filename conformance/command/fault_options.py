"""Options of the command line with commands that change the server under test."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from conformance.targets.commands import COMMAND_SECONDS, Command

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Faults of one run at most.
MOST_FAULTS = 20


def add_faults(group: argparse._ArgumentGroup) -> None:
    """Add the options to their group."""
    group.add_argument(
        "--fault",
        dest="faults",
        action="append",
        default=[],
        type=_fault,
        metavar="'NAME=COMMAND'",
        help="run only the concurrent scenario of the queue, and this command while its clients work: it kills, "
        "stops or cuts off a node, for example; may be repeated. It must end with status 0 within "
        f"{COMMAND_SECONDS:g} s",
    )
    group.add_argument(
        "--heal",
        default="",
        metavar="COMMAND",
        help="undo any of the faults: run some time after each, and at the end whatever happens",
    )
    group.add_argument(
        "--restart",
        default="",
        metavar="COMMAND",
        help="stop all nodes, by whatever signal, and start them again: judges the class durable. The command has to "
        "end once they are started",
    )


def fault_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of these options for `Options`. Raises ValueError for a command that can't be run."""
    faults = tuple(values["faults"])
    heal = Command("--heal", values["heal"]) if values["heal"] else None
    restart = Command("--restart", values["restart"]) if values["restart"] else None
    if heal is not None and not faults:
        raise ValueError("--heal undoes a fault: expected --fault 'NAME=COMMAND' beside it")
    if len(faults) > MOST_FAULTS:
        raise ValueError(f"--fault is given {len(faults)} times: expected at most {MOST_FAULTS}")
    names = [fault.name for fault in faults]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise ValueError(f"--fault {twice} is given twice: expected a name of its own for each")
    for command in (*faults, *(one for one in (heal, restart) if one is not None)):
        command.words()
    return {"faults": faults, "heal": heal, "restart": restart}


def _fault(text: str) -> Command:
    name, equals, line = text.partition("=")
    name = name.strip()
    if not equals or not name or not line.strip() or len(name) > 40 or not name.isprintable():
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a name of at most 40 characters, = and a command, as in 'kill=sh stop-node.sh 2'"
        )
    return Command("--fault", line.strip(), name)
