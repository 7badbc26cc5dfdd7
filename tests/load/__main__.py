"""`python -m tests.load`: message rates and latencies of a broker, over STOMP 1.2 on WebSocket.

    python -m tests.load ws://127.0.0.1:8080/stomp
    python -m tests.load ws://127.0.0.1:8080/stomp --beside ws://127.0.0.1:15674/ws --login guest --passcode guest
    python -m tests.load ws://127.0.0.1:8080/stomp --workload queue-1 --repeat 5

Workloads, with bodies of 100 bytes: `publish-1` and `publish-4`, SENDs that are answered by a RECEIPT, 64 at a time, on
so many connections; `queue-1` and `queue-4`, messages through so many queues, each acknowledged, 256 in flight;
`receipt-latency`, one SEND at a time; `slow-readers-latency`, the same with 10 kB that go to five readers that never
read; `delivery-latency`, from sender to receiver at 500 messages a second.

The `publish` and `receipt` workloads publish records to new topics of a partitioned queue; a server without topics gets
them in a queue. With --beside the runs of both servers alternate, and each ratio is the median of those of two
neighbours. On a busy machine it varies: look at the range beside it.

Exit status: 0 when all replies were right, 1 when they were not or a server is out of reach, 2 for wrong usage.
"""

from __future__ import annotations

import os
import statistics
import sys
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from tests.figures.store import record
from tests.load.connection import Connection, LoadFailed, Server
from tests.load.flows import Bounds
from tests.load.options import parsed
from tests.load.workloads import WORKLOADS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

#: Measured values by workload and measure, such as "queue-1 rate", one for each run.
Series = dict[str, list[float]]
#: Columns of the table where it is written to a file or a pipe.
WIDTH_OF_FILES = 110


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    values = parsed(arguments, __doc__ or "")
    # A file has room for whole names; rich takes it for a terminal of 80 columns.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_FILES)
    servers = [_server(url, values) for url in (values.url, values.beside) if url]
    try:
        names = [_name(server) for server in servers]
        series = _measured(servers, values, console)
    except (LoadFailed, OSError) as error:
        print(f"tests.load: {error}", file=sys.stderr)
        return 1
    console.print(_table(names, series))
    if values.record:
        record("speed", _figures(names[1], series, values.repeat), _command(values))
    return 0


def _measured(servers: list[Server], values: argparse.Namespace, console: Console) -> list[Series]:
    """Run each workload on each server in turn, again and again."""
    series: list[Series] = [{} for _ in servers]
    bounds = Bounds(values.messages, values.seconds)
    for workload in values.workload or WORKLOADS:
        for _ in range(values.repeat):
            for server, measured in zip(servers, series, strict=True):
                for measure, value in WORKLOADS[workload](server, bounds).items():
                    measured.setdefault(f"{workload} {measure}", []).append(value)
                    console.print(f"{server.url} {workload} {measure}: {_shown(measure, value)}", style="dim")
    return series


def _table(names: list[str], series: list[Series]) -> Table:
    """Medians of each server, and the ratios."""
    table = Table("median", *names, box=box.SIMPLE)
    if len(series) > 1:
        table.add_column("ratio")
        table.add_column("lowest to highest")
    for name in series[0]:
        row = [_shown(name, statistics.median(measured[name])) for measured in series]
        if len(series) > 1:
            ratios = _ratios(name, series)
            row += [f"{_ratio(name, series):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}"]
        table.add_row(name, *row)
    return table


def _figures(beside: str, series: list[Series], runs: int) -> dict[str, Any]:
    """The figures that are written to docs/figures.json."""
    medians = [{name: _rounded(statistics.median(of)) for name, of in one.items()} for one in series]
    ratios = {name: _rounded(_ratio(name, series)) for name in series[0]}
    return {"beside": beside, "cores": os.cpu_count(), "runs": runs, "medians": medians, "ratios": ratios}


def _command(values: argparse.Namespace) -> str:
    """The command line without login and passcode."""
    bounds = f"--repeat {values.repeat} --messages {values.messages} --seconds {values.seconds:g}"
    return f"python -m tests.load {values.url} --beside {values.beside} {bounds} --record"


def _ratios(name: str, series: list[Series]) -> list[float]:
    return [mine / other for mine, other in zip(series[0][name], series[1][name], strict=True)]


def _ratio(name: str, series: list[Series]) -> float:
    return statistics.median(_ratios(name, series))


def _shown(measure: str, value: float) -> str:
    return f"{value:,.0f}/s" if measure.endswith("rate") else f"{value:.3f} ms"


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _name(server: Server) -> str:
    with Connection(server) as connection:
        return connection.server_name


def _server(url: str, values: argparse.Namespace) -> Server:
    login = (values.login, values.passcode, values.host_header)
    return Server(url, *login, values.records, values.queue, dict(values.header))


if __name__ == "__main__":
    sys.exit(main())
