"""First contact with a server: reachability, declared capabilities, round-trip time."""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.run import diagnosis
from conformance.run.admittance import NotLetIn, check_admittance, connect_headers, open_link
from conformance.run.http_location import (
    at_declared_endpoint,
    found_location,
    http_client,
    named_location,
)
from conformance.targets.target import (
    SECURE,
    Target,
    from_file,
    parse_url,
    secrets_of,
    split_classes,
    versions_of,
    with_capabilities,
)
from conformance.wire.access import Access
from conformance.wire.admission import Admission
from conformance.wire.connection import tls_context
from conformance.wire.failures import Crowded, PeerFailure, Unreachable, UpgradeRefused, Violation
from conformance.wire.stomp import StompClient

if TYPE_CHECKING:
    from typing import Any

    from conformance.run.options import Options
    from conformance.wire.websocket import WebSocketLink

CAPABILITIES = "/capabilities"
#: Requests of which the fastest reply gives the round-trip time.
ROUND_TRIP_SAMPLES = 3
#: Time between two attempts at the first contact, in seconds.
WAIT_SECONDS = 0.25
_ADD_GROUP = "/consumer-group/add"


class NoServer(Exception):
    """No server answers at the URL, it speaks neither STOMP over WebSocket nor the queue over HTTP, or lets nobody in.

    `may_pass` is true if a server that is being started may be the reason.
    """

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


def probe_target(options: Options) -> Target:
    """Target with the capabilities that its server declares, and with its round-trip time.

    Waits for the server as long as the options say. Raises BadUrl, and NoServer if there is nothing to judge.
    """
    deadline = time.monotonic() + options.wait
    while True:
        try:
            return _first_contact(options)
        except NoServer as error:
            if not error.may_pass or time.monotonic() >= deadline:
                raise
        threading.Event().wait(WAIT_SECONDS)


def _first_contact(options: Options) -> Target:
    """One attempt at the first contact. Raises as `probe_target` does."""
    is_secure = parse_url(options.url).scheme in SECURE
    # Loading the system's certificate authorities takes longer than many tests do: only for TLS.
    tls = tls_context(verify=options.verify_tls, ca_file=options.ca_file) if is_secure else None
    admission = Admission()
    access = Access(headers=options.headers, connect_headers=options.connect_headers, admission=admission)
    target = _as_asked(from_file(options.file, options.url, tls, access), options)
    target = named_location(target, options)
    target = replace(target, secrets=secrets_of(target, options.url, options.http or options.file.http))
    try:
        target = found_location(target, options, _declares)
        document, round_trip = _ask(target)
        target = _as_asked(with_capabilities(replace(target, round_trip=round_trip), document), options)
        if document is None:
            target = found_location(target, options, _serves_queue)
        target = at_declared_endpoint(target, options.url)
        asked, _ = split_classes(options.classes)
        if not target.classes | asked:
            target = replace(target, classes=_discovered(target))
        target = replace(target, classes=target.classes | asked)
        check_admittance(target, asked or target.classes)
    except Unreachable as error:
        why = diagnosis.unreachable(error, target.url)
        raise NoServer(target.secrets.text(why), may_pass=not error.is_final) from error
    except NotLetIn as error:
        raise NoServer(target.secrets.text(str(error)), may_pass=error.may_pass) from error
    except Crowded as error:
        raise NoServer(target.secrets.text(f"{target.host}:{target.port}: {error}"), may_pass=True) from error
    admission.open_for_run(_whole(target.limits.get("connections")))
    versions = versions_of(target.classes)
    return replace(target, stomp_versions=versions or target.stomp_versions)


def _whole(limit: float | None) -> int | None:
    return None if limit is None else int(limit)


def _declares(target: Target) -> bool:
    """True if the server has capabilities below the target's prefix."""
    client = http_client(target)
    try:
        reply = client.request("GET", CAPABILITIES)
        return reply.status == 200 and isinstance(reply.json(), dict)
    except (PeerFailure, Violation):
        return False
    finally:
        client.close()


def _as_asked(target: Target, options: Options) -> Target:
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


def _ask(target: Target) -> tuple[Any, float]:
    """Capabilities document (None if the server has none) and round-trip time in seconds."""
    client = http_client(target)
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


def _discovered(target: Target) -> frozenset[str]:
    """Bindings found by trying, for a server that declares none.

    Raises NotLetIn if there are none, Unreachable.
    """
    found: set[str] = set()
    refusal = ""
    for version in target.stomp_versions:
        try:
            link = open_link(target)
        except UpgradeRefused as error:
            refusal = diagnosis.refused_upgrade(target, error)
            break
        except PeerFailure as error:
            refusal = diagnosis.no_upgrade(target, error.observed)
            break
        found.add("websocket")
        if _connects(target, link, version):
            found.add(f"stomp-{version}")
    if _serves_queue(target):
        found.add("queue-http")
    if not found:
        raise NotLetIn(
            f"{refusal.rstrip('.')}. The server declares no classes at {CAPABILITIES} either, and does not serve the "
            "queue over HTTP. To have its HTTP alone judged all the same, name --class queue-http.",
            may_pass=True,
        )
    return frozenset(found)


def _connects(target: Target, link: WebSocketLink, version: str) -> bool:
    client = StompClient(link, version)
    try:
        client.connect(connect_headers(target))
    except (PeerFailure, Violation):
        # The clauses judge a malformed CONNECTED; here it shows that the class is served.
        return client.connected is not None
    finally:
        link.close()
    return client.version == version


def _serves_queue(target: Target) -> bool:
    """True if a group can be added over HTTP, at a server that does not answer 200 on every path."""
    client = http_client(target)
    body = json.dumps({"consumer_group_name": f"probe-{secrets.token_hex(6)}"}).encode()
    try:
        headers = {"Content-Type": "application/json"}
        if client.request("POST", _ADD_GROUP, body, headers).status != 200:
            return False
        return client.request("POST", f"/{secrets.token_hex(6)}", body, headers).status != 200
    except (PeerFailure, Violation):
        return False
    finally:
        client.close()
