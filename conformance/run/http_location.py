"""Location of a server's HTTP requests: the host and prefix of its URL, or those that the user names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from conformance.run.tls import tls_of
from conformance.targets.address import PORTS, SECURE, HttpHost, parse_url
from conformance.targets.secrets import basic

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.run.options import Options
    from conformance.targets.target import Target

#: Prefixes that are tried for one URL.
MOST_PREFIXES = 4


def named_location(target: Target, options: Options) -> Target:
    """Target whose HTTP requests go where the command line or the target file says, if one of them does."""
    url = options.http or options.file.http
    if not url:
        return target
    parts = parse_url(url, "http", "https")
    tls = None
    if parts.scheme in SECURE:
        tls = target.tls or tls_of(options)
    access = replace(target.access, prefix=parts.path.rstrip("/"))
    if parts.query and not access.query:
        access = replace(access, query=parts.query)
    if (authorization := basic(url)) is not None:
        access = replace(access, headers={"Authorization": authorization, **access.headers})
    host = HttpHost(parts.hostname or "", parts.port or PORTS[parts.scheme], tls)
    return replace(target, http=host, access=access)


def found_location(target: Target, options: Options, serves: Callable[[Target], bool]) -> Target:
    """Target with the first prefix of its URL's path for which `serves` is true; as it is if there is none."""
    if options.http or options.file.http:
        return target
    candidates = prefixes(options.url)
    if len(candidates) == 1:
        return with_prefix(target, candidates[0])
    for prefix in candidates:
        tried = with_prefix(target, prefix)
        if serves(tried):
            return tried
    return target


def prefixes(url: str) -> list[str]:
    """Prefixes that the paths of HTTP requests may have, longest first.

    For http:// the path of the URL and those above it; for ws://, whose path is that of the WebSocket, those above it.
    """
    parts = urlsplit(url)
    segments = [part for part in parts.path.split("/") if part]
    if parts.scheme in {"ws", "wss"}:
        segments = segments[:-1]
    found = ["/" + "/".join(segments[:count]) if count else "" for count in range(len(segments), -1, -1)]
    return found[: MOST_PREFIXES - 1] + found[MOST_PREFIXES - 1 :][-1:]


def with_prefix(target: Target, prefix: str) -> Target:
    """Target with this prefix before the paths of its HTTP requests and of its WebSocket endpoints."""
    return replace(target, access=replace(target.access, prefix=prefix), prefix=prefix)


def at_declared_endpoint(target: Target, url: str) -> Target:
    """Target of an http:// URL whose path is only a prefix: the WebSocket under test is the declared endpoint."""
    parts = urlsplit(url)
    is_prefix = parts.scheme in {"http", "https"} and parts.path.rstrip("/") == target.prefix
    if not is_prefix or "stomp" not in target.endpoints:
        return target
    path = urlsplit(target.websocket_url("stomp"))
    return replace(target, path=path.path + (f"?{path.query}" if path.query else ""))
