"""`python -m tests.brokers NAME`: install a broker, start it, judge it over each of its transports, stop it.

    python -m tests.brokers --list
    python -m tests.brokers rabbitmq
    python -m tests.brokers artemis --transport tcp --report reports --effort quick
    python -m tests.brokers coilmq --serve
    python -m tests.brokers kafka --mode subscribe --effort quick

Engines that speak no STOMP, the last ones of the list, are judged through an adapter, in each of its modes.

The broker listens on free ports of the loopback interface, in a temporary folder. `--` goes before further options of
`python -m conformance`.

Exit status: that of the suite, the highest of several; 2 for wrong usage, or where the broker's parts can't be had or
it doesn't start, or ends before it is stopped; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.brokers.driving import drive
from tests.brokers.engines import ENGINES, Engine
from tests.brokers.installing import CannotInstall, default_cache
from tests.brokers.judging import judge
from tests.brokers.running import LOG, CannotStart, running
from tests.brokers.table import BROKERS, TRANSPORTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.brokers.table import Broker

UNUSABLE = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    split = given.index("--") if "--" in given else len(given)
    values = _parsed(given[:split])
    if values.list:
        print(_list())
        return 0
    broker = BROKERS.get(values.name) or ENGINES[values.name]
    options = ["--effort", values.effort, *given[split + 1 :]]
    with _sigterm_as_interrupt():
        try:
            return (
                _drive(broker, values, options)
                if isinstance(broker, Engine)
                else _run(broker, values, options)
            )
        except (CannotInstall, CannotStart) as error:
            print(f"tests.brokers: {broker.name}: {error}", file=sys.stderr)
            return UNUSABLE
        except KeyboardInterrupt:
            print(f"tests.brokers: interrupted, {broker.name} is stopped", file=sys.stderr)
            return INTERRUPTED


def _run(broker: Broker, values: argparse.Namespace, options: Sequence[str]) -> int:
    home = broker.installation.install(values.cache)
    status = 0
    with _folder(broker.name, keep=values.keep) as folder:
        start = broker.start(home, folder)
        with running(start, folder) as ended:
            if values.serve:
                for url in start.urls.values():
                    print(url, flush=True)
                threading.Event().wait()
            for transport in [values.transport] if values.transport else broker.transports:
                report = values.report and values.report / f"{broker.name}-{transport}"
                status = max(
                    status,
                    judge(broker, transport, start.urls[transport], report, [*start.options, *options]),
                )
                if said := ended():
                    raise CannotStart(said)
    return status


def _drive(engine: Engine, values: argparse.Namespace, options: Sequence[str]) -> int:
    if reason := engine.why_not(values.cache):
        raise CannotInstall(reason)
    home = engine.installation.install(values.cache)
    with _folder(engine.name, keep=values.keep) as folder:
        if values.serve:
            start = engine.start(home, folder)
            with running(start, folder):
                url = urlsplit(start.urls["tcp"])
                print(
                    url.geturl(),
                    *(engine.command(url, folder, mode) for mode in engine.modes.values()),
                    sep="\n",
                )
                sys.stdout.flush()
                threading.Event().wait()
        broken = ["--broken", values.broken] if values.broken else []
        return drive(
            engine, home, folder, mode=values.mode, report=values.report, adapter=broken, options=options
        )


@contextmanager
def _folder(name: str, *, keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    try:
        yield folder
    finally:
        if keep:
            print(f"configuration, data and log ({LOG}) are kept in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM stop the broker as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _list() -> str:
    rows = [
        (
            broker.name,
            broker.version,
            ", ".join(broker.transports),
            broker.installation.source,
            broker.license,
        )
        for broker in BROKERS.values()
    ]
    rows += [
        (one.name, one.version, f"adapters/{one.adapter}.py", one.installation.source, one.license)
        for one in ENGINES.values()
    ]
    rows.insert(0, ("name", "version", "transports", "from", "license"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.brokers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("name", metavar="NAME", nargs="?", help="the broker; --list names them")
    add("--list", action="store_true", help="print the brokers that can be judged, and end")
    add("--transport", choices=TRANSPORTS, help="only over this one; all that the broker has if not given")
    add(
        "--effort",
        choices=["quick", "standard", "thorough"],
        default="standard",
        help="effort of the suite (default: %(default)s)",
    )
    add("--mode", help="only in this mode of the adapter, for an engine; in all that it has if not given")
    add("--broken", help="fault of the adapter, for an engine; `python adapters/kafka.py --help` lists them")
    add("--report", type=Path, metavar="DIR", help="write each report into DIR/NAME-TRANSPORT")
    add("--serve", action="store_true", help="print the URLs and wait for Ctrl-C instead of judging")
    add("--keep", action="store_true", help="keep the temporary folder with configuration, data and log")
    add(
        "--cache",
        type=Path,
        metavar="DIR",
        default=default_cache(),
        help="where installed brokers are kept (default: %(default)s)",
    )
    values = parser.parse_args(arguments)
    if values.list:
        return values
    if values.name not in {**BROKERS, **ENGINES}:
        said = "a NAME is missing" if values.name is None else f"there is no broker {values.name!r}"
        parser.error(f"{said}: expected one of {', '.join([*BROKERS, *ENGINES])}")
    if values.name in ENGINES:
        _check_engine(parser, values)
    elif values.mode is not None or values.broken is not None:
        parser.error(
            f"{values.name} is judged without an adapter: --mode and --broken are for {', '.join(ENGINES)}"
        )
    elif values.transport and values.transport not in BROKERS[values.name].transports:
        only = ", ".join(BROKERS[values.name].transports)
        parser.error(f"{values.name} has no transport {values.transport}: expected {only}")
    values.cache = values.cache.expanduser().resolve()
    if values.report:
        values.report = values.report.resolve()
    return values


def _check_engine(parser: argparse.ArgumentParser, values: argparse.Namespace) -> None:
    modes = [mode for mode in ENGINES[values.name].modes if mode]
    if values.transport:
        parser.error(f"{values.name} is judged through an adapter: --transport is for {', '.join(BROKERS)}")
    if values.mode is not None and values.mode not in modes:
        parser.error(f"{values.name} has no mode {values.mode!r}: expected {' or '.join(modes) or 'none'}")


if __name__ == "__main__":
    sys.exit(main())
