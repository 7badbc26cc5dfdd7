"""First contact with a server: reachability, declared capabilities, round-trip time."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from conformance.run import diagnosis
from conformance.run.admittance import NotLetIn, check_admittance, connect_headers
from conformance.run.http_location import at_declared_endpoint, found_location, named_location, prefixes
from conformance.run.stream_contact import check_stream
from conformance.specification.clauses import BINDINGS
from conformance.targets.links import new_link
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
from conformance.wire.connection import tls_context
from conformance.wire.failures import (
    Crowded,
    PeerFailure,
    RunEnded,
    Unreachable,
    UpgradeRefused,
    Violation,
)
from conformance.wire.http import HttpClient
from conformance.wire.stomp import StompClient
from conformance.wire.upgrade_attempts import admitted_link

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

    from conformance.run.options import Options
    from conformance.wire.http import HttpReply
    from conformance.wire.link import Link

CAPABILITIES = "/capabilities"
#: Requests of which the fastest reply gives the round-trip time.
ROUND_TRIP_SAMPLES = 3
#: Longest first contact, in seconds.
FIRST_CONTACT_SECONDS = 20.0
#: Longest capabilities that the suite reads, in octets.
CAPABILITIES_LIMIT = 1 << 20
#: Time between two attempts at the first contact, in seconds.
WAIT_SECONDS = 0.25
_ADD_GROUP = "/consumer-group/add"
_HEARTBEAT = "/consumer/heartbeat"


class NoServer(Exception):
    """No server answers at the URL, it speaks neither STOMP nor the queue over HTTP, or lets nobody in.

    `may_pass` is true if a server that is being started may be the reason.
    """

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


def probe_target(options: Options, interrupted: threading.Event | None = None) -> Target:
    """Target with the capabilities that its server declares, and with its round-trip time.

    Waits for the server as long as the options say, and takes FIRST_CONTACT_SECONDS at most once it answers. Raises
    BadUrl, NoServer if there is nothing to judge, RunEnded once `interrupted` is set.
    """
    interrupted = interrupted or threading.Event()
    deadline = time.monotonic() + options.wait
    target = _waited_for(options, interrupted, deadline)
    others = []
    for url in options.nodes:
        other = _waited_for(replace(options, url=url, nodes=()), interrupted, deadline)
        check_node(target, other)
        others.append(other)
    if not others:
        return target
    _keep_below_limits([target, *others])
    slowest = max(each.round_trip for each in (target, *others))
    return replace(
        target,
        others=tuple(others),
        round_trip=slowest,
        secrets=secrets_of(target, options.url, *options.nodes, options.http or options.file.http),
    )


def check_node(target: Target, other: Target) -> None:
    """Raises BadUrl unless both can be nodes of one cluster: the same classes, extensions, timings and limits.

    The limit of connections may differ: that of the smallest node holds for the run.
    """
    if (other.host, other.port) == (target.host, target.port):
        raise BadUrl(f"{other.url} is the first URL again: expected the URL of another node, or one URL only")
    for name in ("classes", "extensions", "timings", "partitions", "limits"):
        one, two = _compared(target, name), _compared(other, name)
        if one != two:
            shown = [
                ", ".join(sorted(each)) if isinstance(each, frozenset) else str(each) for each in (one, two)
            ]
            raise BadUrl(
                f"{target.url} and {other.url} differ in their {name}: {shown[0]}; {shown[1]}. Expected nodes of one "
                "cluster, with the same settings."
            )


def _compared(target: Target, name: str) -> Any:
    value = getattr(target, name)
    return {key: value[key] for key in sorted(value) if key != "connections"} if name == "limits" else value


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
    tls = tls_context(verify=options.verify_tls, ca_file=options.ca_file) if is_secure else None
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
        return _located(target, options, _FirstContact(None))
    return target


def _located(target: Target, options: Options, contact: _FirstContact) -> Target:
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
    contact = _FirstContact(interrupted)
    asked, _ = split_classes(options.classes)
    check_classes(target, asked)
    try:
        target = _located(target, options, contact)
        if target.is_tcp and (asked or target.classes) != {"queue-http"}:
            judged = asked or target.classes
            round_trip = check_stream(target, judged, _FirstContact(interrupted).open_link)
            target = replace(target, round_trip=round_trip)
        if not target.classes | asked:
            target = replace(target, classes=contact.discover(target))
        target = replace(target, classes=target.classes | asked, capabilities_failure=contact.failure)
        contact.check_http(target, asked or target.classes)
        if not target.is_tcp:
            check_admittance(target, asked or target.classes, _FirstContact(interrupted).open_link)
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


class _FirstContact:
    """Conversation with a server of which nothing is known yet, with one deadline for all of it."""

    def __init__(self, interrupted: threading.Event | None) -> None:
        self._interrupted = interrupted
        self._deadline = time.monotonic() + FIRST_CONTACT_SECONDS
        self.failure = ""
        """Why the capabilities could not be read, "" if they could, or if the server has none."""
        self._is_bad_request = False

    def ask(self, target: Target) -> tuple[Any, float]:
        """Capabilities document (None if the server has none) and round-trip time in seconds. Raises Unreachable."""
        client = self._http(target)
        document = None
        samples: list[float] = []
        try:
            for _ in range(ROUND_TRIP_SAMPLES):
                began = time.monotonic()
                reply = client.request("GET", CAPABILITIES, within=self._within(target))
                samples.append(time.monotonic() - began)
                # Repeated even after a refusal: the first reply of a server may be its slowest.
                self._is_bad_request = reply.status == diagnosis.BAD_REQUEST
                if reply.status == 200:
                    document = reply.json()
                    self.failure = self._no_document(reply, document)
        except (PeerFailure, Violation) as error:
            # A server may speak WebSocket without HTTP: then it declares nothing.
            self.failure = f"{error}"
        finally:
            client.close()
        return document, min(samples, default=0.0)

    def discover(self, target: Target) -> frozenset[str]:
        """Bindings found by trying, for a server that declares none.

        Raises NotLetIn if there are none, NoServer, Unreachable.
        """
        found: set[str] = set()
        refusal = spoken = ""
        for version in target.stomp_versions:
            try:
                link = self.open_link(target)
            except UpgradeRefused as error:
                refusal = diagnosis.refused_upgrade(target, error)
                break
            except PeerFailure as error:
                spoken = diagnosis.spoken_instead(target)
                refusal = diagnosis.no_upgrade(target, error.observed, spoken)
                break
            found.add("tcp" if target.is_tcp else "websocket")
            answer = self._answer_to_connect(target, link, version)
            if answer is None:
                found.add(f"stomp-{version}")
            elif answer:
                refusal = diagnosis.no_stomp(target, answer)
        if target.has_http and self.serves_queue(target):
            found.add("queue-http")
        if found == {"websocket"} and refusal:
            found.clear()
        if spoken and not found:
            raise NotLetIn(refusal, may_pass=True)
        if not found:
            stop = "" if refusal.endswith((".", "?")) else "."
            raise NotLetIn(
                f"{refusal}{stop} Besides, {self._declares_nothing()}, and it does not serve the queue over "
                "HTTP. To have its HTTP alone judged all the same, name --class queue-http.",
                may_pass=True,
            )
        return frozenset(found)

    def open_link(self, target: Target) -> Link:
        """Connection to the path under test. Raises as `admitted_link` does, NoServer when time is up."""
        return admitted_link(
            target.access.admission,
            lambda: new_link(target, patience=self._within(target), interrupted=self._interrupted),
        )

    def check_http(self, target: Target, judged: Collection[str]) -> None:
        """Raises NotLetIn if HTTP alone is judged, at a port that speaks TLS or plain STOMP instead, or is silent."""
        if set(judged) != {"queue-http"} or not (self.failure or self._is_bad_request):
            return
        where = target.http_host
        if spoken := diagnosis.other_protocol(
            where, target.url if target.http is None else f"http://{where.authority}"
        ):
            raise NotLetIn(f"no HTTP at {where.authority}: {spoken}")
        if self.failure and self._is_silent(target):
            raise NotLetIn(
                f"no HTTP at {where.authority}: it accepts connections, and answers neither GET {CAPABILITIES} nor "
                f"POST {_HEARTBEAT}. Is the server up, and is {where.authority} where it serves HTTP? See --http URL.",
                may_pass=True,
            )

    def _is_silent(self, target: Target) -> bool:
        """True if nothing comes for a request without effect. Raises Unreachable, NoServer."""
        client = self._http(target)
        try:
            client.start("POST", _HEARTBEAT, b"{}", {"Content-Type": "application/json"})
            return not client.has_come(self._within(target))
        finally:
            client.close()

    def declares(self, target: Target) -> bool:
        """True if the server has capabilities below the target's prefix. Raises Unreachable."""
        client = self._http(target)
        try:
            reply = client.request("GET", CAPABILITIES, within=self._within(target))
            return reply.status == 200 and isinstance(reply.json(), dict)
        except (PeerFailure, Violation):
            return False
        finally:
            client.close()

    def _http(self, target: Target) -> HttpClient:
        where = target.http_host
        return HttpClient(
            where.host,
            where.port,
            tls=where.tls,
            access=target.access,
            patience=self._within(target),
            interrupted=self._interrupted,
            body_limit=CAPABILITIES_LIMIT,
        )

    def _within(self, target: Target) -> float:
        """Seconds for one answer: the patience, or what is left of the first contact. Raises NoServer at its end."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise NoServer(
                f"{target.authority} takes too long: the first contact was not over within "
                f"{FIRST_CONTACT_SECONDS:g} s; {self._declares_nothing()}. To have it judged all the same, name a "
                f"--class ({', '.join(BINDINGS)})."
            )
        return min(target.patience, left)

    def _no_document(self, reply: HttpReply, document: Any) -> str:
        return "" if isinstance(document, dict) else f"expected a JSON object; observed {reply}"

    def _declares_nothing(self) -> str:
        if self.failure:
            return f"its classes are unknown (GET {CAPABILITIES}: {self.failure})"
        return f"it declares no classes at {CAPABILITIES}"

    def _answer_to_connect(self, target: Target, link: Link, version: str) -> str | None:
        """Clause of a sentence on an answer to CONNECT that is no STOMP; "" for a refusal, None for a session."""
        client = StompClient(link, version, patience=self._within(target))
        try:
            client.connect(connect_headers(target))
        except (PeerFailure, Violation) as failure:
            # The clauses judge a malformed CONNECTED; here it shows that the class is served.
            if client.connected is not None:
                return None
            return "" if client.errors or client.closed is not None else f"came: {failure.observed}"
        finally:
            link.close()
        return None if client.version == version else ""

    def serves_queue(self, target: Target) -> bool:
        """True if a group can be added over HTTP, at a server that does not answer 200 on every path."""
        client = self._http(target)
        body = json.dumps({"consumer_group_name": f"probe-{secrets.token_hex(6)}"}).encode()
        headers = {"Content-Type": "application/json"}
        try:
            reply = client.request("POST", _ADD_GROUP, body, headers, within=self._within(target))
            if reply.status != 200:
                return False
            nowhere = f"/{secrets.token_hex(6)}"
            return client.request("POST", nowhere, body, headers, within=self._within(target)).status != 200
        except (PeerFailure, Violation):
            return False
        finally:
            client.close()
