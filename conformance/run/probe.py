"""First contact with a server: reachability, declared capabilities, round-trip time."""

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
from conformance.wire.failures import PeerFailure, Unreachable, UpgradeRefused, Violation
from conformance.wire.http import HttpClient
from conformance.wire.stomp import StompClient
from conformance.wire.websocket import WebSocketLink

if TYPE_CHECKING:
    from typing import Any

    from conformance.run.options import Options

CAPABILITIES = "/capabilities"
#: Requests of which the fastest reply gives the round-trip time.
ROUND_TRIP_SAMPLES = 3
_ADD_GROUP = "/consumer-group/add"


class NoServer(Exception):
    """No server answers at the URL, or it speaks neither STOMP over WebSocket nor the queue's HTTP binding."""


def probe_target(options: Options) -> Target:
    """Target with the capabilities that its server declares, and with its round-trip time.

    Raises BadUrl, and NoServer if there is nothing to judge.
    """
    is_secure = parse_url(options.url).scheme in SECURE
    # Loading the system's certificate authorities takes longer than many tests do: only for TLS.
    tls = tls_context(verify=options.verify_tls, ca_file=options.ca_file) if is_secure else None
    target = _with_options(from_file(options.file, options.url, tls), options)
    try:
        document, round_trip = _read_capabilities(target)
        target = _with_options(with_capabilities(replace(target, round_trip=round_trip), document), options)
        asked, _ = split_classes(options.classes)
        if not target.classes | asked:
            target = replace(target, classes=_discover_bindings(target))
        target = replace(target, classes=target.classes | asked)
    except Unreachable as error:
        raise NoServer(f"{error}. Is the server running, and is {options.url} its address?") from error
    versions = versions_of(target.classes)
    return replace(target, stomp_versions=versions or target.stomp_versions)


def _with_options(target: Target, options: Options) -> Target:
    """Target with the values of the command line, which override all other sources."""
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


def _read_capabilities(target: Target) -> tuple[Any, float]:
    """Capabilities document (None if the server has none) and round-trip time in seconds."""
    client = HttpClient(target.host, target.port, tls=target.tls, patience=target.patience)
    document = None
    samples: list[float] = []
    try:
        for _ in range(ROUND_TRIP_SAMPLES):
            began = time.monotonic()
            reply = client.request("GET", CAPABILITIES)
            samples.append(time.monotonic() - began)
            # Repeated even after a refusal: the first reply of a server may be its slowest.
            if reply.status == 200:
                document = reply.json()
    except (PeerFailure, Violation):
        # A server may speak WebSocket without HTTP: then it declares nothing.
        return document, min(samples, default=0.0)
    finally:
        client.close()
    return document, min(samples)


def _discover_bindings(target: Target) -> frozenset[str]:
    """Bindings found by trying, for a server that declares none.

    Raises NoServer if there are none, Unreachable.
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
        # The clauses judge a malformed CONNECTED; here it shows that the class is served.
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
