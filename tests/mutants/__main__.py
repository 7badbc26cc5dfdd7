"""Command line `python -m tests.mutants`: judges faulty and odd brokers, and prints both tables.

    python -m tests.mutants                         all brokers
    python -m tests.mutants a-lost-record …         brokers by name
    python -m tests.mutants --sample 12 --seed 7    a random sample
    python -m tests.mutants --transport tcp         over TCP, not WebSocket
    python -m tests.mutants --family reports        the faults of one family; --families lists them
    python -m tests.mutants --seeds 20 --hard       the hard faults, each with 20 seeds
    python -m tests.mutants --log                   broken twins of the server on a log, which need Kafka

Without names or options that choose among them, all brokers are judged, and then those twins, if Kafka can be had.

Exit status: 0 if every fault is caught, at least 90 % of them are reported first on the right clause (of less than 100
faults: all but one on it at all), and every odd broker passes; 2 for wrong usage, or without Kafka for --log; else 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console

from conformance.specification.clauses import book
from tests.brokers.installing import CannotInstall
from tests.figures.rendering import LOG_TWINS
from tests.figures.store import own_command, record
from tests.figures.summaries import of_mutants
from tests.mutants import on_a_log, tables
from tests.mutants.families import all_families, count_families, family_of
from tests.mutants.judging import Outcome, is_caught, is_left_alone, is_named, judge, speaks_stomp_alone
from tests.mutants.registry import Fault, Variant, faults, variants

#: Width of the tables in a file or a pipe, in columns.
WIDTH_OF_FILES = 160
#: Position in the order by which the last odd broker starts; judging one takes as long as five faults.
_VARIANTS_END = 0.9


def main() -> int:
    """Judge the chosen mutants and print the tables; returns the exit status."""
    values = _arguments()
    # rich assumes 80 columns for a file, too few for whole names.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_FILES)
    if values.log:
        return _on_a_log(values, console)
    chosen = _chosen(values)
    if values.families:
        console.print("\n".join(all_families()))
        return 0
    if values.list:
        console.print("\n".join(f"{mutant.name}: {mutant.summary}" for mutant in chosen))
        return 0
    if values.seeds:
        return _with_seeds([m for m in chosen if isinstance(m, Fault)], values, console)
    began = time.monotonic()
    outcomes = _judged(chosen, values, console)
    kept_faults = [mutant for mutant in chosen if isinstance(mutant, Fault)]
    kept_variants = [mutant for mutant in chosen if isinstance(mutant, Variant)]
    if kept_faults:
        tables.print_faults(console, kept_faults, outcomes, book())
        tables.print_families(console, count_families(kept_faults, outcomes, book()))
    if kept_variants:
        tables.print_variants(console, kept_variants, outcomes)
    sentences, good = tables.summary(kept_faults, kept_variants, outcomes, book())
    for sentence in sentences:
        console.print(sentence)
    console.print(f"{len(chosen)} brokers were judged in {(time.monotonic() - began) / 60:.1f} minutes.")
    document = tables.as_document(kept_faults, kept_variants, outcomes, book())
    if values.json:
        values.json.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    if values.record:
        record("mutants", of_mutants(document), own_command("tests.mutants"))
    if not values.is_part:
        # Without Kafka, the others are judged none the less.
        good = _on_a_log(values, console) != 1 and good
    return 0 if good else 1


def _on_a_log(values: argparse.Namespace, console: Console) -> int:
    """Judge the twins of the server on a log; returns the exit status."""
    try:
        names = on_a_log.names_of(values.names)
    except CannotInstall as error:
        print(f"{on_a_log.HEADING} were not judged: {error}", file=sys.stderr)
        return 2
    if not names:
        known = ", ".join(on_a_log.names_of(()))
        print(f"No twin of the server on a log has such a name: expected a part of {known}.", file=sys.stderr)
        return 2
    if values.list:
        console.print("\n".join(names))
        return 0
    figures = on_a_log.judge(console, names)
    if figures is None:
        return 2
    if values.record:
        record(LOG_TWINS, figures, own_command("tests.mutants"))
    return 0 if figures["caught"] == figures["twins"] else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="judge the mutants whose names contain NAME")
    parser.add_argument(
        "--family",
        metavar="NAME",
        type=_family,
        help="judge only the faults of the family whose name contains NAME",
    )
    parser.add_argument("--sample", type=int, metavar="N", help="judge N mutants, chosen by --seed")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample (default: 0)")
    parser.add_argument("--only", choices=["faults", "variants"], help="judge only faults or only variants")
    parser.add_argument(
        "--transport",
        choices=["websocket", "tcp"],
        default="websocket",
        help="judge over this transport; with tcp only the mutants of the chapters on STOMP, and of that transport",
    )
    parser.add_argument("--hard", action="store_true", help="judge only the hard faults")
    parser.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help="judge each fault with N seeds, and count how often it is caught",
    )
    parser.add_argument(
        "--fail-fast",
        action="store_true",
        help="end each run at its first broken requirement, so that the clause which is reported first is one of the "
        "first to fail",
    )
    parser.add_argument(
        "--whole",
        action="store_true",
        help="judge each fault by its whole bindings, not only by its chapters, and variants in all versions",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=2 * (os.cpu_count() or 2) + 1,
        metavar="N",
        help="judge N mutants at a time (default: two per processor, plus one)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables for programs there")
    parser.add_argument("--list", action="store_true", help="list them, and end")
    parser.add_argument("--families", action="store_true", help="list the families of faults, and end")
    parser.add_argument(
        "--record",
        action="store_true",
        help="write the figures of all brokers, or with --hard and --seeds of all hard faults, to docs/figures.json",
    )
    parser.add_argument(
        "--log", action="store_true", help="judge only the broken twins of the server on a log, on Kafka"
    )
    values = parser.parse_args()
    is_limited = values.names or values.family or values.sample is not None or values.only
    values.is_part = (
        is_limited or values.whole or values.fail_fast or values.transport == "tcp" or values.hard
    )
    is_unlike = values.is_part and not (values.hard and values.seeds and not is_limited)
    if values.record and (is_unlike or values.list or values.hard != bool(values.seeds)):
        parser.error("--record is for all brokers, for --hard with --seeds, or for --log")
    return values


def _family(name: str) -> str:
    """The family of that name, or the only one whose name contains it. Raises ArgumentTypeError."""
    found = [family for family in all_families() if name == family] or [
        family for family in all_families() if name in family
    ]
    if len(found) != 1:
        expected = ", ".join(found or all_families())
        raise argparse.ArgumentTypeError(f"{name!r} names no single family: expected one of {expected}")
    return found[0]


def _chosen(values: argparse.Namespace) -> list[Fault | Variant]:
    everything: list[Fault | Variant] = []
    if values.only != "variants":
        everything += [
            fault
            for fault in faults().values()
            if (fault.hard or not values.hard) and values.family in (None, family_of(fault))
        ]
    if values.only != "faults" and not values.hard and not values.family:
        everything += variants().values()
    if values.transport == "tcp":
        everything = [m for m in everything if speaks_stomp_alone(m) or "tcp" in m.bindings]
    if values.names:
        everything = [mutant for mutant in everything if any(name in mutant.name for name in values.names)]
    if values.sample is not None:
        everything = random.Random(values.seed).sample(everything, min(values.sample, len(everything)))
    return everything


def _judged(
    chosen: list[Fault | Variant], values: argparse.Namespace, console: Console
) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    with ThreadPoolExecutor(values.jobs) as pool:
        running = {
            pool.submit(
                judge,
                mutant,
                effort=_effort(mutant),
                whole=values.whole,
                fail_fast=values.fail_fast,
                transport=values.transport,
            ): mutant
            for mutant in sorted(chosen, key=_place)
        }
        for done in as_completed(running):
            outcome = outcomes[running[done].name] = done.result()
            console.print(
                f"{len(outcomes):4} of {len(chosen)}  {outcome.name}: {_told(running[done], outcome)} "
                f"in {outcome.seconds:.1f} s",
                style="dim",
            )
    return outcomes


def _effort(mutant: Fault | Variant) -> str:
    return mutant.effort if isinstance(mutant, Fault) else "quick"


def _place(mutant: Fault | Variant) -> float:
    """Position of a mutant in the order, from 0 to 1, the same in every run.

    Long runs start first, so that none of them prolongs the end. The others are mixed: neighbours in the lists are
    alike, and would leave the processors idle by waiting at the same time.
    """
    if isinstance(mutant, Fault) and mutant.effort != "quick":
        return 0.0
    mixed = zlib.crc32(mutant.name.encode()) / 2**32
    return mixed if isinstance(mutant, Fault) else mixed * _VARIANTS_END


def _told(mutant: Fault | Variant, outcome: Outcome) -> str:
    if isinstance(mutant, Variant) and is_left_alone(outcome):
        return "passes"
    unjudged = outcome.unjudged if isinstance(mutant, Variant) else ()
    return " ".join(outcome.found + unjudged) or _in_short(outcome.trouble) or "nothing"


def _in_short(trouble: str) -> str:
    """Most telling line of a run's output: an error or failure of the suite, otherwise the last line."""
    lines = [line for line in trouble.splitlines() if line.strip()]
    told = [line for line in lines if "suite itself failed" in line or "Error" in line]
    return f"TROUBLE: {(told or lines)[-1].strip()}" if lines else ""


def _with_seeds(chosen: list[Fault], values: argparse.Namespace, console: Console) -> int:
    """Judge each fault with several seeds, and print the seeds that missed it; returns the exit status."""
    seeds = range(values.seeds)
    missed_any = False
    found = 0
    with ThreadPoolExecutor(values.jobs) as pool:
        runs = {
            fault.name: [
                pool.submit(
                    judge,
                    fault,
                    effort=fault.effort,
                    seed=seed,
                    fail_fast=True,
                    transport=values.transport,
                )
                for seed in seeds
            ]
            for fault in chosen
        }
        for fault in chosen:
            outcomes = [run.result() for run in runs[fault.name]]
            missed = [seed for seed in seeds if not is_caught(fault, outcomes[seed])]
            missed_any = missed_any or bool(missed)
            found += not missed
            named = sum(is_named(fault, outcome, book()) for outcome in outcomes)
            console.print(
                f"{fault.name}: caught with {values.seeds - len(missed)} of {values.seeds} seeds at {fault.effort} "
                f"effort, on its clause first with {named}"
                + (f"; missed with {', '.join(map(str, missed))}" if missed else "")
            )
    if values.record:
        figures = {"faults": len(chosen), "found": found, "seeds": values.seeds}
        record("hard faults", figures, own_command("tests.mutants"))
    return 1 if missed_any else 0


if __name__ == "__main__":
    sys.exit(main())
