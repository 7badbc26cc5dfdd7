"""Options of the command line about what stands between the suite and the server."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from conformance.command.once_more import PASSCODE_VARIABLE
from conformance.targets.address import BadUrl, connect_header, connect_text, http_header, http_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def add_contact(group: argparse._ArgumentGroup) -> None:
    """Add the options to the group of those about the server."""
    add_access(group)
    group.add_argument(
        "--wait",
        type=_waiting,
        metavar="SECONDS",
        default=0.0,
        help="wait up to so long for the server to answer, before the run begins (default: not at all)",
    )


def add_access(group: argparse._ActionsContainer) -> None:
    """Add the options that change each request."""
    group.add_argument(
        "--header",
        dest="headers",
        action="append",
        default=[],
        type=_checked(http_header),
        metavar="'NAME: VALUE'",
        help="send this header with every HTTP request and upgrade, such as Authorization, Origin or Cookie; may be "
        "repeated; hidden in reports",
    )
    group.add_argument(
        "--connect-header",
        dest="connect_headers",
        action="append",
        default=[],
        type=_checked(connect_header),
        metavar="NAME:VALUE",
        help="send this header with every CONNECT, such as client-id; may be repeated; hidden in reports",
    )
    group.add_argument(
        "--http",
        type=_checked(http_url),
        metavar="URL",
        default=None,
        help="where the HTTP requests go (default: the host of the URL, below the same prefix)",
    )


def contact_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of these options for `Options`."""
    return {**access_values(values), "wait": values["wait"]}


def access_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for `Options` of the options that change each request."""
    return {
        "headers": dict(values["headers"]),
        "connect_headers": dict(values["connect_headers"]),
        "http": values["http"] or "",
    }


def login_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for `Options` of the options and the environment for CONNECT. Raises ValueError."""
    read = {name: values[name] for name in ("login", "passcode", "host_header")}
    sources = {name: f"--{name.replace('_', '-')}" for name in read}
    if read["passcode"] is None:
        # A file of settings with line ends of Windows leaves a carriage return at the end of each variable.
        read["passcode"] = os.environ.get(PASSCODE_VARIABLE) or None
        sources["passcode"] = f"environment variable {PASSCODE_VARIABLE}"
    for name, text in read.items():
        try:
            connect_text(text or "")
        except ValueError as error:
            raise ValueError(f"{sources[name]}: {error}") from error
    return read


def _checked(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def check(text: str) -> Any:
        try:
            return read(text)
        except (BadUrl, ValueError) as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return check


def _waiting(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r}: expected seconds, from 0 to an hour")
    return seconds
