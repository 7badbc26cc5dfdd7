"""Options of `python -m tests.load`."""

from __future__ import annotations

import argparse
import ipaddress
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from tests.load.connection import Server
from tests.load.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Number = TypeVar("_Number", int, float)
MOST_MESSAGES = 1_000_000
MOST_SECONDS = 60.0
MOST_RUNS = 100


def parsed(arguments: Sequence[str] | None, description: str) -> argparse.Namespace:
    """The options; ends the process with status 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.load",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("url", metavar="URL", help="ws:// URL of the server")
    add("--beside", metavar="URL", help="another server, to compare with")
    add("--workload", choices=list(WORKLOADS), action="append", help="only this workload; repeatable")
    add(
        "--repeat", type=_up_to(MOST_RUNS), default=3, metavar="N", help="runs of each (default: %(default)s)"
    )
    text = "most messages of a run (default: %(default)s)"
    add("--messages", type=_up_to(MOST_MESSAGES), default=100_000, metavar="N", help=text)
    text = "longest time in which a run sends, in seconds (default: %(default)s)"
    add("--seconds", type=_up_to(MOST_SECONDS), default=3.0, metavar="S", help=text)
    add("--login", metavar="NAME", help="login at both servers")
    add("--passcode", metavar="WORD", help="passcode at both servers")
    add("--host-header", default="/", metavar="NAME", help="`host` of CONNECT (default: %(default)s)")
    text = "destination of records (default: %(default)s)"
    add("--records", default=Server.records, metavar="DESTINATION", help=text)
    text = "destination of queues (default: %(default)s)"
    add("--queue", default=Server.queue, metavar="DESTINATION", help=text)
    text = "header of each SEND and SUBSCRIBE to a queue, such as x-expires:60000, by which RabbitMQ removes a queue "
    text += "after a minute without use; repeatable"
    add("--header", type=_header, action="append", default=[], metavar="NAME:VALUE", help=text)
    add("--anywhere", action="store_true", help="load servers on other machines too")
    text = "write the ratios to docs/figures.json; with --beside and all workloads"
    add("--record", action="store_true", help=text)
    values = parser.parse_args(arguments)
    for url in filter(None, (values.url, values.beside)):
        if urlsplit(url).scheme != "ws":
            parser.error(f"{url} is no ws:// URL")
        if not (values.anywhere or _is_loopback(urlsplit(url).hostname or "")):
            parser.error(f"{url} is not on this machine; --anywhere allows that")
    if values.record and (values.workload or not values.beside):
        parser.error("--record needs --beside, and all workloads")
    return values


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _up_to(most: _Number) -> Callable[[str], _Number]:
    """Reader of a number above 0."""

    def read(text: str) -> _Number:
        number = type(most)(text)
        if not 0 < number <= most:
            raise argparse.ArgumentTypeError(f"{text} is not above 0 and up to {most:g}")
        return number

    return read


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not (name and colon):
        raise argparse.ArgumentTypeError(f"{text} is not NAME:VALUE")
    return name, value
