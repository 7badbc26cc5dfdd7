"""The server under test: its address, classes, limits, timings and facts.

Values come from the command line, the server's capabilities, the target file and defaults, in this order of
precedence. (The classes of a target file override those of the capabilities.)
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from conformance.specification.clauses import BINDINGS, EXTENSIONS
from conformance.targets.address import PORTS, SECURE, BadUrl, HttpHost, endpoint_path, parse_url
from conformance.targets.files import FACT_CLAUSES, is_amount, is_template
from conformance.targets.secrets import Secrets, basic, basic_of, shown_url
from conformance.wire import tcp
from conformance.wire.access import SUBPROTOCOL, Access

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping
    from urllib.parse import SplitResult

    from conformance.targets.files import TargetFile
    from conformance.verdicts.verdicts import Waiver

__all__ = ["SECURE", "BadUrl", "Target", "Timings", "from_file", "parse_url", "with_capabilities"]

STOMP_VERSIONS = ("1.0", "1.1", "1.2")
#: Longest wait for a required answer, in seconds, on a connection without delay.
PATIENCE = 5.0
#: Round trips that an answer may take in addition.
ROUND_TRIPS = 30
#: Facts that are true unless a target file denies them; all others are false unless it states them.
USUAL_FACTS = frozenset({"receipts", "transactions", "queues", "redelivers", "own_messages"})


@dataclass(frozen=True)
class Timings:
    """Timings that the server promises, in seconds; see the chapter on liveness."""

    heartbeat_timeout: float = 30.0
    eviction_grace: float = 1.0
    rebalance_timeout: float = 30.0
    first_frame_timeout: float | None = None


@dataclass(frozen=True)
class Target:
    """A server under test.

    `url` is shown in reports, without user, password and query; `path` is that of the WebSocket under test, with the
    query. `prefix` goes before the paths of the other endpoints, unless they have it. `http` is where HTTP requests go,
    None for `host` and `port`. `access` goes with every request, and `secrets` are hidden wherever something is
    written. `tls` is None for ws://, stomp:// and http://; `is_tcp` is true for stomp:// and stomps://.
    `facts` are booleans of the target file, by name
    (`conformance/targets/README.md` lists them); declared capabilities override `redelivers` and `queues`.
    `round_trip` is in seconds; `limits` are in bytes or plain numbers.
    `others` are the other nodes of its cluster, which differ in their addresses only: all clauses hold across nodes.
    `capabilities_failure` says why the capabilities could not be read, "" if they could or there are none.
    """

    name: str
    url: str
    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None = None
    is_tcp: bool = False
    http: HttpHost | None = None
    prefix: str = ""
    access: Access = field(default_factory=Access)
    secrets: Secrets = field(default_factory=Secrets)
    title: str = ""
    login: str | None = None
    passcode: str | None = None
    host_header: str = ""
    classes: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()
    stomp_versions: tuple[str, ...] = STOMP_VERSIONS
    endpoints: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int | float] = field(default_factory=dict)
    timings: Timings = Timings()
    partitions: int | None = None
    brokers: int | None = None
    queue_template: str = "/queue/{name}"
    topic_template: str = "/topic/{name}"
    refused: str = ""
    queue_headers: Mapping[str, str] = field(default_factory=dict)
    topic_headers: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, bool] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    capabilities: Any = None
    capabilities_failure: str = ""
    round_trip: float = 0.0
    others: tuple[Target, ...] = ()

    @property
    def nodes(self) -> tuple[Target, ...]:
        """All nodes of the cluster, this one first; of a server that is none, itself."""
        return (self, *self.others)

    @property
    def patience(self) -> float:
        """Seconds to wait for a required answer before it counts as missing."""
        return PATIENCE + ROUND_TRIPS * self.round_trip

    @property
    def has_virtual_clock(self) -> bool:
        """True if the queue's time moves only by POST /clock/advance."""
        return "virtual-clock" in self.extensions

    def plain_queue(self, name: str) -> str:
        """Destination that delivers each message to one subscriber."""
        return self.queue_template.format(name=name)

    def plain_topic(self, name: str) -> str:
        """Destination that delivers each message to all subscribers."""
        return self.topic_template.format(name=name)

    @property
    def denied_clauses(self) -> list[str]:
        """Prefixes of the clauses that demand what the facts deny."""
        return [prefix for name, ids in FACT_CLAUSES.items() if not self.fact(name) for prefix in ids]

    @property
    def refused_destination(self) -> str:
        """Destination that the server refuses in SEND and in SUBSCRIBE; "" if none is known.

        A server that claims queue-stomp must refuse `/nowhere` (QSTOMP-DEST-1).
        """
        return self.refused or ("/nowhere" if "queue-stomp" in self.classes else "")

    def fact(self, name: str, default: bool = False) -> bool:
        """Fact of the target file; if the file doesn't state it, True for USUAL_FACTS, else `default`."""
        return self.facts.get(name, default or name in USUAL_FACTS)

    @property
    def authority(self) -> str:
        """Host and port of the URL."""
        return HttpHost(self.host, self.port).authority

    @property
    def http_host(self) -> HttpHost:
        """Host, port and TLS of HTTP requests."""
        return self.http or HttpHost(self.host, self.port, self.tls)

    @property
    def stream_url(self) -> str:
        """URL of STOMP over TCP."""
        return f"{'stomps' if self.tls else 'stomp'}://{self.authority}"

    @property
    def has_http(self) -> bool:
        """True if HTTP requests have an address: a port of STOMP over TCP takes none."""
        return self.http is not None or not self.is_tcp

    def websocket_url(self, path: str | None = None) -> str:
        """WebSocket URL of a path or of an endpoint's name, also with a query; None gives the path under test."""
        scheme = "wss" if self.tls else "ws"
        if path is not None:
            plain, mark, query = path.partition("?")
            served = self.prefixed(self.endpoints.get(plain.strip("/"), plain))
            path = self.access.with_query(f"{served}{mark}{query}")
        path = self.path if path is None else path
        return f"{scheme}://{self.authority}{path if path.startswith('/') else f'/{path}'}"

    def prefixed(self, path: str) -> str:
        """Path with the prefix, unless it has it."""
        slashed = path if path.startswith("/") else f"/{path}"
        return (
            slashed if not self.prefix or slashed.startswith(f"{self.prefix}/") else f"{self.prefix}{slashed}"
        )

    def version_for(self, binding: str) -> str:
        """STOMP version of a binding's sessions: the one in its name, else the highest of the server."""
        if binding == "stomp-publish":
            return "1.0"  # producers of this class send no CONNECT (PUB-STOMP-1)
        prefix, _, version = binding.partition("-")
        return version if prefix == "stomp" else max(self.stomp_versions, default="1.2")


def from_file(
    file: TargetFile, url: str, tls: ssl.SSLContext | None = None, access: Access | None = None
) -> Target:
    """Target from its file and URL, without the server's capabilities. Raises BadUrl.

    The headers and CONNECT headers of `access` go before those of the file; its query is that of the URL.
    """
    parts = parse_url(url)
    host = parts.hostname or ""
    bindings, extensions = split_classes(file.classes)
    is_tcp = parts.scheme in tcp.PORTS
    access = _access(file, "" if is_tcp else url, parts.query, access or Access())
    login, passcode = _login(file, parts) if is_tcp else (file.login, file.passcode)
    return Target(
        name=file.name,
        title=file.title,
        url=shown_url(url),
        host=host,
        port=parts.port or PORTS[parts.scheme],
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        tls=tls if parts.scheme in SECURE else None,
        is_tcp=is_tcp,
        access=access,
        login=login,
        passcode=passcode,
        host_header=file.host_header or host,
        classes=carried(bindings, is_tcp=is_tcp),
        extensions=extensions,
        stomp_versions=versions_of(bindings) or STOMP_VERSIONS,
        endpoints=file.endpoints,
        limits=file.limits,
        timings=replace(Timings(), **file.timings),
        partitions=file.partitions,
        queue_template=file.queue,
        topic_template=file.topic,
        refused=file.refused,
        queue_headers=file.queue_headers,
        topic_headers=file.topic_headers,
        facts=file.facts,
        waivers=tuple(waiver for waiver in file.waivers if waiver.is_for("tcp" if is_tcp else "websocket")),
    )


def carried(bindings: frozenset[str], *, is_tcp: bool) -> frozenset[str]:
    """Classes that a server of these `bindings` has on one of its transports."""
    if not is_tcp:
        return bindings - {"tcp"}
    speaks_stomp = any(name.startswith("stomp-1") for name in bindings) or "queue-stomp" in bindings
    return bindings - {"websocket", "stomp-publish"} | (frozenset({"tcp"}) if speaks_stomp else frozenset())


def _login(file: TargetFile, parts: SplitResult) -> tuple[str | None, str | None]:
    """Login and passcode of CONNECT: those of a URL of STOMP over TCP go before those of the file."""
    if parts.username is None:
        return file.login, file.passcode
    return unquote(parts.username), unquote(parts.password) if parts.password is not None else file.passcode


def _access(file: TargetFile, url: str, query: str, given: Access) -> Access:
    headers = Access(headers=file.headers).with_headers(given.headers)
    authorization = basic(url)
    if authorization is not None and not any(name.lower() == "authorization" for name in headers):
        headers = {**headers, "Authorization": authorization}
    return replace(
        given, headers=headers, query=query, connect_headers={**file.connect_headers, **given.connect_headers}
    )


def secrets_of(target: Target, *urls: str) -> Secrets:
    """Secrets of a target with these URLs."""
    words = [target.passcode] if target.passcode else []
    headers = {name: value for name, value in target.access.headers.items() if name.lower() != SUBPROTOCOL}
    return Secrets(urls, headers, words, connect_headers=target.access.connect_headers)


def _with_login(target: Target) -> Access:
    """Access that gives the login of CONNECT over HTTP, too, unless it has an Authorization (SECURITY-LOGIN-3)."""
    if target.login is None:
        return target.access
    login = Access(headers={"Authorization": basic_of(target.login, target.passcode or "")})
    return replace(target.access, headers=login.with_headers(target.access.headers))


def with_capabilities(target: Target, document: Any) -> Target:
    """Target with the declared capabilities; members of the wrong type are left out (CAP-1 judges them)."""
    if not isinstance(document, dict):
        return target
    bindings, _ = split_classes(_strings(document.get("classes")))
    declared = frozenset(_strings(document.get("extensions"))) & frozenset(EXTENSIONS)
    timings = {
        name: float(value)
        for name, value in _table(document.get("timings")).items()
        if name in Timings.__dataclass_fields__ and is_amount(value)
    }
    defaults = _table(document.get("defaults"))
    limits = {name: value for name, value in _table(document.get("limits")).items() if is_amount(value)}
    endpoints = {
        name: value
        for name, value in _table(document.get("endpoints")).items()
        if isinstance(value, str) and _is_path(value)
    }
    versions = tuple(v for v in STOMP_VERSIONS if v in _strings(document.get("stomp_versions")))
    destinations = _table(document.get("destinations"))
    templates = {
        f"{kind}_template": destinations[kind]
        for kind in ("queue", "topic")
        if is_template(destinations.get(kind))
    }
    if is_destination(destinations.get("refused")):
        templates["refused"] = destinations["refused"]
    facts: dict[str, bool] = {}
    if "queue" in destinations and destinations["queue"] is None:
        facts["queues"] = False
        # Tests of either kind use topics then.
        templates["queue_template"] = templates.get("topic_template", target.topic_template)
    if isinstance(destinations.get("redelivers"), bool):
        facts["redelivers"] = destinations["redelivers"]
    return replace(
        target,
        title=target.title or " ".join(_strings([document.get("name"), document.get("version")])),
        classes=target.classes or carried(bindings, is_tcp=target.is_tcp),
        extensions=target.extensions | declared,
        access=_with_login(target) if "security" in declared else target.access,
        stomp_versions=versions or target.stomp_versions,
        endpoints={**target.endpoints, **endpoints},
        limits={**target.limits, **limits},
        timings=replace(target.timings, **timings),
        partitions=_count(defaults.get("partitions")) or target.partitions,
        brokers=_count(defaults.get("brokers")) or target.brokers,
        facts={**target.facts, **facts},
        **templates,
        capabilities=document,
    )


def split_classes(names: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Bindings and extensions among names of classes; unknown names are left out."""
    listed = frozenset(names)
    return listed & frozenset(BINDINGS), listed & frozenset(EXTENSIONS)


def versions_of(bindings: Iterable[str]) -> tuple[str, ...]:
    """STOMP versions among the bindings."""
    return tuple(version for version in STOMP_VERSIONS if f"stomp-{version}" in bindings)


def _is_path(text: str) -> bool:
    try:
        endpoint_path(text)
    except ValueError:
        return False
    return True


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def is_destination(value: object) -> bool:
    """True for a text that can be a destination: not empty, without control characters."""
    return isinstance(value, str) and value != "" and value.isprintable()


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 < value <= sys.maxsize else None
