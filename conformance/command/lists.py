"""Answers of the command without a run: known targets, clauses, version, shell completion."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from conformance.command.clause_ids import check_ids
from conformance.command.once_more import PROGRAM
from conformance.reporting.plan import suite_version
from conformance.specification.clauses import book, with_prefix
from conformance.targets.files import known_targets
from conformance.verdicts.verdicts import Exit

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from conformance.specification.clauses import Clause
    from conformance.targets.files import TargetFile


def add_lists(group: argparse._ArgumentGroup) -> None:
    """Add the options that list something and exit."""
    group.add_argument("--list-targets", action="store_true", help="list the known brokers and exit")
    group.add_argument("--list-clauses", action="store_true", help="list the clauses and exit")
    group.add_argument(
        "--json", action="store_true", help="with --list-targets or --list-clauses: the list as JSON"
    )
    group.add_argument(
        "--print-completion",
        metavar="SHELL",
        default="",
        help="print the completion of `stompliance` for a shell, such as bash or zsh, and exit; needs the extra "
        "stompliance[completion]",
    )
    group.add_argument("--version", action="version", version=f"stompliance {suite_version()}")


def asked_for_list(values: Mapping[str, Any]) -> Callable[[], int] | None:
    """Function that prints what the arguments ask for instead of a run, and returns the exit status; None for a run.

    Raises ValueError for an unknown clause, and for `--json` without a list; the function raises ValueError if
    completion is asked for and not installed.
    """
    if values["list_targets"]:
        return lambda: _list_targets(as_json=values["json"])
    if values["list_clauses"]:
        check_ids("--clause", values["clauses"], book())
        return lambda: _list_clauses(values["clauses"], as_json=values["json"])
    if values["json"]:
        raise ValueError(
            "--json goes with --list-targets or --list-clauses; `--report DIR` writes a run as JSON"
        )
    return None


def print_completion(shell: str, parser: argparse.ArgumentParser) -> int:
    """Print the completion script for a shell; returns the exit status.

    Raises ValueError if shtab, which makes it, is not installed or doesn't know the shell.
    """
    try:
        shtab = importlib.import_module("shtab")
    except ImportError as error:
        raise ValueError(
            f"--print-completion {shell} needs shtab: pip install 'stompliance[completion]'"
        ) from error
    if shell not in shtab.SUPPORTED_SHELLS:
        raise ValueError(
            f"--print-completion {shell}: no such shell is known; expected {', '.join(shtab.SUPPORTED_SHELLS)}"
        )
    parser.prog = "stompliance"
    known: dict[str, Sequence[str]] = {
        "clauses": [clause.id for clause in book()],
        "excluded": [clause.id for clause in book()],
        "target": [file.name for file in known_targets()],
    }
    files = ("ca_file", "client_cert", "client_key")
    paths = {**dict.fromkeys(files, shtab.FILE), "write_waivers": shtab.FILE, "report": shtab.DIRECTORY}
    for action in parser._actions:
        if action.dest in known:
            action.choices = known[action.dest]
        if action.dest in paths:
            action.complete = paths[action.dest]  # type: ignore[attr-defined]  # shtab reads it
    print(shtab.complete(parser, shell))
    return Exit.CONFORMING


def _list_targets(*, as_json: bool) -> int:
    files = known_targets()
    if as_json:
        return _print_json([_target(file) for file in files])
    for file in files:
        waived = f"{len(file.waivers)} known deviations" if file.waivers else "no known deviations"
        print(f"{file.name:20} {file.title} ({', '.join(file.classes) or 'as declared'}; {waived})")
        print(f"{'':20} {PROGRAM} --target {file.name} {file.url or 'ws://…'}")
    return Exit.CONFORMING


def _target(file: TargetFile) -> dict[str, Any]:
    """Target as a JSON object, without its login and passcode."""
    return {
        "name": file.name,
        "title": file.title,
        "url": file.url,
        "classes": list(file.classes),
        "facts": dict(file.facts),
        "waivers": [asdict(waiver) for waiver in file.waivers],
    }


def _list_clauses(prefixes: Sequence[str], *, as_json: bool) -> int:
    clauses = with_prefix(book(), prefixes) if prefixes else list(book())
    if as_json:
        return _print_json([_clause(clause) for clause in clauses])
    chapter = ""
    for clause in clauses:
        if clause.chapter != chapter:
            chapter = clause.chapter
            print(f"\n{chapter} (spec/{clause.source})")
        print(f"  {clause.id}: {clause.text}")
    return Exit.CONFORMING


def _clause(clause: Clause) -> dict[str, Any]:
    return {
        "id": clause.id,
        "level": clause.key_word,
        "text": clause.text,
        "classes": list(clause.classes),
        "depends_on": list(clause.depends_on),
        "not_judged": clause.not_judged,
        "restates": clause.restates,
        "chapter": clause.chapter,
        "source": f"{clause.source}:{clause.line}",
    }


def _print_json(value: object) -> int:
    json.dump(value, sys.stdout, ensure_ascii=False, indent=1)
    print()
    return Exit.CONFORMING
