"""First upgrade and first CONNECT: a run begins only if the server lets the suite in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.run import diagnosis
from conformance.targets.target import versions_of
from conformance.wire.failures import NotAdmitted, PeerFailure, UpgradeRefused, Violation
from conformance.wire.stomp import StompClient

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from conformance.targets.target import Target
    from conformance.wire.link import Link

#: Bindings without a WebSocket of their own, and those whose sessions may lack CONNECT.
_WITHOUT_WEBSOCKET = frozenset({"queue-http"})
_WITHOUT_CONNECT = frozenset({"queue-http", "stomp-publish"})


class NotLetIn(Exception):
    """The server refuses the upgrade or CONNECT; the message holds what it said, and what to do next.

    `may_pass` is true if a server that is being started may answer so.
    """

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


def check_admittance(target: Target, judged: Collection[str], open_link: Callable[[Target], Link]) -> None:
    """Raises NotLetIn if the server refuses what the bindings `judged` need, Unreachable.

    A CONNECT that gets no answer, or a malformed one, is no refusal: the clauses judge it.
    """
    if not set(judged) - _WITHOUT_WEBSOCKET:
        return
    try:
        link = open_link(target)
    except UpgradeRefused as refusal:
        raise NotLetIn(
            diagnosis.refused_upgrade(target, refusal), may_pass=refusal.status >= 500
        ) from refusal
    except NotAdmitted as refusal:
        spoken = diagnosis.spoken_instead(target)
        raise NotLetIn(diagnosis.no_upgrade(target, refusal.observed, spoken), may_pass=True) from refusal
    except PeerFailure:
        return  # an answer that breaks the rules of HTTP or WebSocket is no refusal
    if not set(judged) - _WITHOUT_CONNECT:
        link.close()
        return
    versions = versions_of(judged) or target.stomp_versions
    refusals: list[str] = []
    for version in sorted(versions, reverse=True):
        if refusals:
            link = open_link(target)
        said = _refusal(target, link, version)
        if said is None:
            return
        refusals.append(said)
    raise NotLetIn(diagnosis.refused_login(target, refusals[0]))


def connect_headers(target: Target) -> dict[str, str | None]:
    """Headers that CONNECT needs on this server: login, passcode, host, and those that the user gives."""
    return {
        "login": target.login,
        "passcode": target.passcode,
        "host": target.host_header or None,
        **target.access.connect_headers,
    }


def _refusal(target: Target, link: Link, version: str) -> str | None:
    """The server's words where it refuses CONNECT; None where it does not."""
    client = StompClient(link, version)
    try:
        client.connect(connect_headers(target))
    except Violation:
        return None
    except PeerFailure as failure:
        if client.connected is not None:
            return None
        if client.errors:
            return client.errors[-1].octets.decode("utf-8", "replace").rstrip("\0\r\n")
        is_end = failure.expected == "CONNECTED" and not client.unfinished
        if client.closed is not None and is_end:
            reason = f": {client.closed.reason}" if client.closed.reason else ""
            return f"it closed the connection{f' with code {client.closed.code}' if client.closed.code else ''}{reason}"
    finally:
        link.close()
    return None
