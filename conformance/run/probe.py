"""The target of a run: reachability, declared capabilities, round-trip time of each node."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from conformance.run import diagnosis
from conformance.run.admittance import NotLetIn, check_admittance
from conformance.run.cluster import check_acquaintance, check_settings
from conformance.run.first_contact import FirstContact, NoServer
from conformance.run.http_location import at_declared_endpoint, found_location, named_location, prefixes
from conformance.run.stream_contact import check_stream
from conformance.run.tls import tls_of
from conformance.targets.target import (
    SECURE,
    BadUrl,
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
from conformance.wire.failures import Crowded, RunEnded, Unreachable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from conformance.run.options import Options

#: Time between two attempts at the first contact, in seconds.
WAIT_SECONDS = 0.25


def probe_target(options: Options, interrupted: threading.Event | None = None) -> Target:
    """Target with the capabilities that its server declares, and with its round-trip time.

    Waits for the server as long as the options say, and takes first_contact.FIRST_CONTACT_SECONDS at most once it
    answers; the nodes of a cluster get cluster.KNOWN_SECONDS more. Raises BadUrl, NoServer if there is nothing to
    judge, RunEnded once `interrupted` is set.
    """
    interrupted = interrupted or threading.Event()
    deadline = time.monotonic() + options.wait
    target = _waited_for(options, interrupted, deadline)
    others = []
    for url in options.nodes:
        others.append(_waited_for(replace(options, url=url, nodes=()), interrupted, deadline))
        check_settings([target, *others])
    if not others:
        return target
    asked, _ = split_classes(options.classes)
    check_acquaintance([target, *others], asked or target.classes, interrupted, deadline)
    _keep_below_limits([target, *others])
    slowest = max(each.round_trip for each in (target, *others))
    return replace(
        target,
        others=tuple(others),
        round_trip=slowest,
        secrets=secrets_of(target, options.url, *options.nodes, options.http or options.file.http),
    )


def _keep_below_limits(nodes: Sequence[Target]) -> None:
    """Keep below the smallest limit of connections: all connections of a run count for the first node."""
    limits = [int(node.limits["connections"]) for node in nodes if "connections" in node.limits]
    if limits and (admission := nodes[0].access.admission) is not None:
        admission.open_for_run(min(limits))


def _waited_for(options: Options, interrupted: threading.Event, deadline: float) -> Target:
    while True:
        try:
            return _contacted(options, interrupted)
        except NoServer as error:
            if not error.may_pass or time.monotonic() >= deadline:
                raise
        if interrupted.wait(WAIT_SECONDS):
            raise RunEnded("the run was ended while it waited for the server")


def addressed_target(options: Options) -> Target:
    """Target of the options, which no server was asked about. Raises BadUrl, OSError for a file of authorities."""
    is_secure = parse_url(options.url).scheme in SECURE
    # Loading the system's certificate authorities takes longer than many tests do: only for TLS.
    tls = tls_of(options) if is_secure else None
    access = Access(headers=options.headers, connect_headers=options.connect_headers)
    target = _with_options(from_file(options.file, options.url, tls, access), options)
    target = named_location(target, options)
    return replace(target, secrets=secrets_of(target, options.url, options.http or options.file.http))


def located_target(options: Options) -> Target:
    """Target of the options with its prefix and its endpoints, as far as its server tells them.

    Nothing is asked where the URL leaves no choice. Raises BadUrl, OSError for a file of authorities.
    """
    target = addressed_target(options)
    if target.is_tcp or (urlsplit(options.url).scheme in {"ws", "wss"} and len(prefixes(options.url)) == 1):
        return target
    with contextlib.suppress(Unreachable, NoServer, Crowded):
        return _located(target, options, FirstContact(None))
    return target


def _located(target: Target, options: Options, contact: FirstContact) -> Target:
    """Target with its prefix, capabilities, endpoints and round-trip time. Raises Unreachable, NoServer."""
    if not target.has_http:
        return target
    target = found_location(target, options, contact.declares)
    document, round_trip = contact.ask(target)
    target = _with_options(with_capabilities(replace(target, round_trip=round_trip), document), options)
    target = replace(target, secrets=secrets_of(target, options.url, options.http or options.file.http))
    if document is None:
        target = found_location(target, options, contact.serves_queue)
    return at_declared_endpoint(target, options.url)


def _contacted(options: Options, interrupted: threading.Event) -> Target:
    """One attempt at the first contact. Raises as `probe_target` does."""
    target = addressed_target(options)
    admission = Admission()
    target = replace(target, access=replace(target.access, admission=admission))
    contact = FirstContact(interrupted)
    asked, _ = split_classes(options.classes)
    check_classes(target, asked)
    try:
        target = _located(target, options, contact)
        if target.is_tcp and (asked or target.classes) != {"queue-http"}:
            judged = asked or target.classes
            round_trip = check_stream(target, judged, FirstContact(interrupted).open_link)
            target = replace(target, round_trip=round_trip)
        if not target.classes | asked:
            target = replace(target, classes=contact.discover(target))
        target = replace(target, classes=target.classes | asked, capabilities_failure=contact.failure)
        contact.check_http(target, asked or target.classes)
        if not target.is_tcp:
            check_admittance(target, asked or target.classes, FirstContact(interrupted).open_link)
    except Unreachable as error:
        why = diagnosis.unreachable(error, target.url)
        raise NoServer(target.secrets.text(why), may_pass=not error.is_final) from error
    except NotLetIn as error:
        raise NoServer(target.secrets.text(str(error)), may_pass=error.may_pass) from error
    except Crowded as error:
        raise NoServer(target.secrets.text(f"{target.authority}: {error}"), may_pass=True) from error
    limit = target.limits.get("connections")
    admission.open_for_run(None if limit is None else int(limit))
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


def check_classes(target: Target, asked: Collection[str]) -> None:
    """Raises BadUrl if a class that the user names can't be judged over the transport of the URL."""
    other = {"websocket", "stomp-publish"} if target.is_tcp else {"tcp"}
    if wrong := sorted(other & set(asked)):
        scheme, example = ("ws", "/stomp") if target.is_tcp else ("stomp", "")
        raise BadUrl(
            f"--class {wrong[0]} can't be judged at {target.url}: expected a URL such as "
            f"{scheme}://{target.host}:PORT{example}"
        )
