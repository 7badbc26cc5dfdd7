"""First contact with a server of STOMP over TCP: who answers CONNECT there, and what the port speaks instead."""

from __future__ import annotations

import base64
import contextlib
import secrets
import socket
import time
from typing import TYPE_CHECKING

from conformance.run import diagnosis
from conformance.run.admittance import NotLetIn, connect_headers
from conformance.targets.address import HttpHost
from conformance.targets.target import versions_of
from conformance.wire.cutting import cut_octets, cut_repr
from conformance.wire.failures import PeerFailure, Violation
from conformance.wire.frames import SERVER_COMMANDS
from conformance.wire.stomp import StompClient

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from conformance.targets.target import Target
    from conformance.wire.link import Link

    OpenLink = Callable[[Target], Link]

#: Sessions of which the one that is opened fastest gives the round-trip time.
ROUND_TRIP_SAMPLES = 3
#: Longest wait for an answer to CONNECT in another version, where one was not answered, in seconds.
_NEXT_SECONDS = 2.0
#: Paths at which a WebSocket is looked for on a port that speaks HTTP.
_PATHS = ("/stomp", "/ws", "/")
_READ_OCTETS = 4096


def check_stream(target: Target, judged: Collection[str], open_link: OpenLink) -> float:
    """Round-trip time of CONNECT and CONNECTED in seconds, 0 if the answers were malformed.

    Raises NotLetIn if the server refuses CONNECT in each of the versions, if the port speaks something else, or
    nothing; and as `open_link` does.
    """
    refusals: list[str] = []
    observed = ""
    for version in sorted(versions_of(judged) or target.stomp_versions, reverse=True):
        answer = _Answer(target, open_link(target), version, _NEXT_SECONDS if observed else None)
        if answer.is_stomp:
            more = [_Answer(target, open_link(target), version, None) for _ in range(ROUND_TRIP_SAMPLES - 1)]
            return min((one.seconds for one in [answer, *more] if one.seconds), default=0.0)
        if answer.refusal:
            refusals.append(answer.refusal)
        elif not observed:
            observed = answer.observed
            if spoken := other_protocol(target, answer.octets):
                raise NotLetIn(f"no STOMP at {target.authority}: {spoken}")
    if refusals:
        raise NotLetIn(diagnosis.refused_login(target, refusals[0]))
    raise NotLetIn(
        f"no STOMP at {target.authority}: {observed}. Is it the port of STOMP over TCP (as a rule 61613, with TLS "
        "61614), and is the server ready?",
        may_pass=True,
    )


class _Answer:
    """The answer to one CONNECT."""

    def __init__(self, target: Target, link: Link, version: str, patience: float | None) -> None:
        client = StompClient(link, version, patience=patience)
        self.is_stomp = False
        self.refusal = ""
        self.observed = ""
        self.seconds = 0.0
        began = time.monotonic()
        failed: PeerFailure | Violation | None = None
        try:
            client.connect(connect_headers(target))
            self.seconds = time.monotonic() - began
        except (PeerFailure, Violation) as failure:
            failed = failure
        finally:
            has_ended = client.closed is not None
            link.close()
        self.octets = client.unfinished or (str(failed.observed).encode() if failed else b"")
        if client.connected is not None:
            self.is_stomp = True
        elif client.errors:
            self.refusal = client.errors[-1].octets.decode("utf-8", "replace").rstrip("\0\r\n")
        elif failed is not None and _is_like_a_frame(self.octets):
            self.is_stomp = True  # a malformed answer, which the clauses judge
        elif client.unfinished:
            self.observed = f"it answers CONNECT by {cut_repr(client.unfinished, 100)}"
        elif isinstance(failed, Violation):
            self.observed = f"it answers CONNECT by {cut_octets(self.octets, 200)}"
        elif has_ended:
            self.observed = "it ends the connection at CONNECT"
        else:
            self.observed = f"it gives no answer to CONNECT within {client.patience:g} s"


def _is_like_a_frame(octets: bytes) -> bool:
    """True for octets, or their representation, that begin with a command of a server, or hold one."""
    begin = octets.lstrip(b"\r\n")
    return any(
        begin.startswith(command.encode()) or f"'{command}".encode() in octets for command in SERVER_COMMANDS
    )


def other_protocol(target: Target, octets: bytes = b"") -> str:
    """Sentence on what a port speaks instead of STOMP, which sent `octets` for CONNECT; "" if that is unknown."""
    where = HttpHost(target.host, target.port, target.tls)
    if where.tls is None and diagnosis.speaks_tls(where.host, where.port):
        return f"this port speaks TLS: try stomps://{where.authority}"
    scheme = "s" if where.tls else ""
    for path in _PATHS:
        if _http_answer(where, path, upgrade=True).startswith(b"HTTP/1.1 101 "):
            return f"this port speaks STOMP over WebSocket: try ws{scheme}://{where.authority}{path}"
    if octets.startswith(b"HTTP/") or _http_answer(where, "/").startswith(b"HTTP/"):
        return (
            f"this port speaks HTTP: if it has a WebSocket for STOMP, give its URL, as in ws{scheme}://"
            f"{where.authority}/PATH, or give the port of STOMP over TCP"
        )
    return ""


def _http_answer(where: HttpHost, path: str, *, upgrade: bool = False) -> bytes:
    """First octets of the answer to a request; b"" without one."""
    head = f"GET {path} HTTP/1.1\r\nHost: {where.authority}\r\n"
    if upgrade:
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        head += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        head += f"Sec-WebSocket-Key: {key}\r\n"
    else:
        head += "Connection: close\r\n"
    with contextlib.suppress(OSError):
        plain = socket.create_connection((where.host, where.port), diagnosis.ANSWER_SECONDS)
        with (
            plain,
            where.tls.wrap_socket(plain, server_hostname=where.host) if where.tls else plain as sock,
        ):
            sock.settimeout(diagnosis.ANSWER_SECONDS)
            sock.sendall(f"{head}\r\n".encode())
            return sock.recv(_READ_OCTETS)
    return b""
