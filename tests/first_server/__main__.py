"""Command line of the stand-in: `python -m tests.first_server [--port 0] [--fault NAME]…`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from tests.first_server import faults
from tests.first_server.broker import Broker, Settings
from tests.first_server.operations import Operations
from tests.first_server.producers import Spellings
from tests.first_server.server import Server

if TYPE_CHECKING:
    from types import FrameType

PUBLISH = {"publish": "/publish/", "producer/publish": "/producer/publish/"}
ACKNOWLEDGE = {
    "acknowledgement": "/topic/acknowledgement/",
    "acknowledgment": "/topic/acknowledgment/",
}


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; returns 0, or 2 if the port is taken."""
    options = _parse(arguments)
    if options.list_faults:
        print(faults.listing())
        return 0
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    settings = Settings(
        options.heartbeat_timeout, options.eviction_grace, options.rebalance_timeout, options.faults
    )
    spellings = Spellings(PUBLISH[options.publish_at], ACKNOWLEDGE[options.acknowledge_at])
    try:
        server = Server(Operations(Broker(settings)), options.port, spellings)
    except OSError as error:
        print(f"port {options.port}: {error}", file=sys.stderr)
        return 2
    print(server.url, flush=True)
    server.serve()
    return 0


def _end(_number: int, _frame: FrameType | None) -> None:
    # No exception: it may come up in a finalizer, where Python drops it, and the server would go on.
    os._exit(0)


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    usual = Settings()
    parser = argparse.ArgumentParser(
        prog="python -m tests.first_server",
        description="Stand-in for the first server of the queue. Prints its ws:// URL once it listens.",
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes any free one")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME",
        help="switch a fault on, by its name or short name; may be repeated",
    )
    parser.add_argument(
        "--heartbeat-timeout",
        type=_seconds,
        default=usual.heartbeat_timeout,
        metavar="S",
        help="seconds that a consumer may be silent (default: %(default)g)",
    )
    parser.add_argument(
        "--eviction-grace",
        type=_seconds,
        default=usual.eviction_grace,
        metavar="S",
        help="seconds between two looks for silent consumers (default: %(default)g)",
    )
    parser.add_argument(
        "--rebalance-timeout",
        type=_seconds,
        default=usual.rebalance_timeout,
        metavar="S",
        help="seconds after which a rebalance takes back what is in flight (default: %(default)g)",
    )
    parser.add_argument(
        "--publish-at",
        choices=PUBLISH,
        default="publish",
        help="the one spelling by which records are published (default: %(default)s)",
    )
    parser.add_argument(
        "--acknowledge-at",
        choices=ACKNOWLEDGE,
        default="acknowledgement",
        help="the one spelling under which acknowledgements go out (default: %(default)s)",
    )
    parser.add_argument("--list-faults", action="store_true", help="print the table of faults, and end")
    options = parser.parse_args(arguments)
    try:
        options.faults = faults.by_name(options.fault)
    except KeyError as unknown:
        parser.error(f"there is no fault {unknown}; --list-faults shows all of them")
    return options


if __name__ == "__main__":
    sys.exit(main())
