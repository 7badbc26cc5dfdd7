"""The first contact with a server: is anybody there, what does it declare, how far away is it."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.specification.clauses import BINDINGS
from conformance.targets.target import (
    SECURE,
    Target,
    from_file,
    parse_url,
    split_classes,
    versions_of,
    with_capabilities,
)
from conformance.wire.connection import tls_context
from conformance.wire.failures import PeerFailure, Unreachable, Violation
from conformance.wire.http import HttpClient
from conformance.wire.stomp import StompClient
from conformance.wire.websocket import UpgradeRefused, WebSocketLink

if TYPE_CHECKING:
    from typing import Any

    from conformance.run.options import Options

CAPABILITIES = "/capabilities"
#: Connections whose fastest answer counts as the round trip.
ROUND_TRIP_SAMPLES = 3
_ADD_GROUP = "/consumer-group/add"


class NoServer(Exception):
    """Nobody answers at the URL, or nobody who speaks STOMP over WebSocket or the queue's HTTP."""


def probe_target(options: Options) -> Target:
    """The target as its server shows itself.

    Raises NoServer where there is nothing to judge, BadUrl.
    """
    is_secure = parse_url(options.url).scheme in SECURE
    # To read the system's authorities takes longer than many a test.
    tls = tls_context(verify=options.verify_tls, ca_file=options.ca_file) if is_secure else None
    target = _as_asked(from_file(options.file, options.url, tls), options)
    try:
        document, round_trip = _ask(target)
        target = _as_asked(with_capabilities(replace(target, round_trip=round_trip), document), options)
        asked, _ = split_classes(options.classes)
        if not target.classes | asked:
            target = replace(target, classes=_discovered(target))
        target = replace(target, classes=target.classes | asked)
    except Unreachable as error:
        raise NoServer(f"{error}. Is the server running, and is {options.url} its address?") from error
    versions = versions_of(target.classes)
    return replace(target, stomp_versions=versions or target.stomp_versions)


def _as_asked(target: Target, options: Options) -> Target:
    """What the command line says goes before everything else."""
    _, extensions = split_classes(options.classes)
    return replace(
        target,
        login=options.login if options.login is not None else target.login,
        passcode=options.passcode if options.passcode is not None else target.passcode,
        host_header=options.host_header if options.host_header is not None else target.host_header,
        timings=replace(target.timings, **options.timings),
        extensions=target.extensions | extensions,
        waivers=target.waivers if options.use_waivers else (),
    )


def _ask(target: Target) -> tuple[Any, float]:
    """The capabilities document, None where there is none, and the round trip in seconds."""
    client = HttpClient(target.host, target.port, tls=target.tls, patience=target.patience)
    document = None
    samples: list[float] = []
    try:
        for _ in range(ROUND_TRIP_SAMPLES):
            began = time.monotonic()
            reply = client.request("GET", CAPABILITIES)
            samples.append(time.monotonic() - began)
            # What refuses to tell is asked again all the same: the first answer of a server may be its slowest.
            if reply.status == 200:
                document = reply.json()
    except (PeerFailure, Violation):
        # No HTTP beside its WebSocket is legal: then nothing is declared.
        return document, min(samples, default=0.0)
    finally:
        client.close()
    return document, min(samples)


def _discovered(target: Target) -> frozenset[str]:
    """The bindings that a server seems to have that declares none.

    Raises NoServer where none is found, Unreachable.
    """
    found: set[str] = set()
    refusal = ""
    for version in target.stomp_versions:
        try:
            link = WebSocketLink(target.websocket_url(), patience=target.patience, tls=target.tls)
        except UpgradeRefused as error:
            refusal = f"it answers {error.status} to a WebSocket upgrade at {target.path}"
            break
        except PeerFailure as error:
            refusal = f"no WebSocket at {target.path}: {error.observed}"
            break
        found.add("websocket")
        if _connects(target, link, version):
            found.add(f"stomp-{version}")
    if _serves_queue(target):
        found.add("queue-http")
    if not found:
        raise NoServer(
            f"{target.host}:{target.port} answers, but {refusal}, it declares no classes at {CAPABILITIES}, and "
            f"it does not serve the queue over HTTP. To have it judged all the same, name a --class "
            f"({', '.join(BINDINGS)})."
        )
    return frozenset(found)


def _connects(target: Target, link: WebSocketLink, version: str) -> bool:
    client = StompClient(link, version)
    headers = {"login": target.login, "passcode": target.passcode, "host": target.host_header or None}
    try:
        client.connect(headers)
    except (PeerFailure, Violation):
        # A broken CONNECTED is for the clauses to judge, once the class is asked for.
        return client.connected is not None
    finally:
        link.close()
    return client.version == version


def _serves_queue(target: Target) -> bool:
    client = HttpClient(target.host, target.port, tls=target.tls, patience=target.patience)
    body = json.dumps({"consumer_group_name": f"probe-{secrets.token_hex(6)}"}).encode()
    try:
        return client.request("POST", _ADD_GROUP, body, {"Content-Type": "application/json"}).status == 200
    except (PeerFailure, Violation):
        return False
    finally:
        client.close()
