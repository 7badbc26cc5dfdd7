"""Explanations of a first contact that failed: what the port speaks instead, and what to do next."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from conformance.run.greetings import HTTP, TLS_ALERT, first_octets, greeting, request_for
from conformance.targets.address import HttpHost
from conformance.wire import tcp
from conformance.wire.connection import tls_context
from conformance.wire.cutting import cut, cut_octets
from conformance.wire.encoding import encode
from conformance.wire.failures import NoTls, is_about_certificates

if TYPE_CHECKING:
    from conformance.targets.target import Target
    from conformance.wire.failures import Unreachable, UpgradeRefused

#: Longest wait for each answer that tells what a port speaks, in seconds.
ANSWER_SECONDS = 1.0
#: Status by which servers of HTTP over TLS answer a request without TLS.
BAD_REQUEST = 400
_SHOWN = 300
#: Schemes of connections without TLS, by those with TLS.
_PLAIN = {"wss": "ws", "https": "http", "stomps": "stomp", "stomp+ssl": "stomp", "ssl": "tcp"}
_TAGS = re.compile(r"<(script|style)\b.*?(?:</\1>|\Z)|<[^>]*>", re.DOTALL | re.IGNORECASE)
_OTHER_NAME = "Name the server in the URL as its certificate does"
#: Reasons of a handshake without a common version, as the one side or the other notes it.
_VERSION_REASONS = frozenset({"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"})
#: Advice by OpenSSL's number of the reason, for certificates that no --ca-file helps.
_CERTIFICATE_ADVICE = {
    9: "Compare the clocks of the server and of this machine",
    10: "Renew it",
    62: _OTHER_NAME,
    64: _OTHER_NAME,
}


def unreachable(error: Unreachable, url: str) -> str:
    """Sentences for a server that could not be reached at `url`."""
    if not isinstance(error, NoTls):
        return f"{error}. Is the server running, and is {url} its address?"
    reason = error.error
    if isinstance(reason, ssl.SSLCertVerificationError):
        said = reason.verify_message.rstrip(".")
        advice = _CERTIFICATE_ADVICE.get(
            reason.verify_code, "Name the file of its authority with --ca-file FILE"
        )
        return f"the certificate of {url} is not trusted: {said}. {advice}, or accept any certificate with --insecure."
    if isinstance(reason, ssl.SSLError) and reason.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}:
        return f"{error}. This port does not speak TLS: try {_without_tls(url)}"
    if isinstance(reason, ssl.SSLError) and reason.reason in _VERSION_REASONS:
        return (
            f"{error}. The server and {ssl.OPENSSL_VERSION} have no version of TLS in common: the suite speaks TLS 1.2 "
            "and 1.3. Let the server speak one of them, or a gateway before it."
        )
    if is_about_certificates(reason):
        return (
            f"{error}. The server may want a certificate of the client, or another one than it got: see --client-cert "
            "FILE and --client-key FILE."
        )
    parts = urlsplit(url)
    if parts.scheme in tcp.SECURE and _speaks_stomp(HttpHost(parts.hostname or "", parts.port or 61614)):
        return f"{error}. This port speaks STOMP without TLS: try {_without_tls(url)}"
    return (
        f"{error}. If the server has a certificate of its own, see --ca-file FILE and --insecure; without TLS its "
        "URL begins with ws://, stomp:// or http://."
    )


def _without_tls(url: str) -> str:
    """The URL with the scheme for connections without TLS."""
    scheme, _, rest = url.partition("://")
    return f"{_PLAIN.get(scheme, scheme)}://{rest}"


def _with_tls(url: str) -> str:
    """The URL with the scheme for connections with TLS."""
    return url.replace("ws://", "wss://", 1).replace("http://", "https://", 1)


def no_upgrade(target: Target, observed: object, spoken: str) -> str:
    """Sentences for a port that answered an upgrade by something other than HTTP, or not at all.

    `spoken` is what `spoken_instead` returns.
    """
    where = target.authority
    if spoken:
        return f"no WebSocket at {where}: {spoken}"
    return f"no WebSocket at {target.path.partition('?')[0]} of {where}: {observed}"


def spoken_instead(target: Target) -> str:
    """Sentence on what the target's port speaks that did not answer an upgrade in HTTP; "" if that is unknown."""
    where = HttpHost(target.host, target.port, target.tls)
    octets = first_octets(where, request_for(where))
    if octets.startswith(HTTP):
        return ""
    if octets.startswith(TLS_ALERT) and target.tls is None:
        return f"this port speaks TLS: try {_with_tls(target.url)}"
    return other_protocol(where, target.url) or (greeting(octets) if octets else "")


def other_protocol(where: HttpHost, url: str) -> str:
    """Sentence on what a port speaks that did not answer in HTTP at `url`; "" if that is unknown."""
    if where.tls is None and speaks_tls(where.host, where.port):
        return f"this port speaks TLS: try {_with_tls(url)}"
    if _speaks_stomp(where):
        return (
            f"this port speaks STOMP over TCP: try {'stomps' if where.tls else 'stomp'}://{where.authority}"
        )
    return ""


def refused_upgrade(target: Target, refusal: UpgradeRefused) -> str:
    """Sentences for an upgrade that was answered by another status than 101."""
    path = target.path.partition("?")[0]
    said = f"{refusal.status} {_plain(refusal.body)}".strip()
    text = f"there is no WebSocket at {path} of {target.authority}: it answered {said}"
    location = next((value for name, value in refusal.headers.items() if name.lower() == "location"), "")
    if location:
        text += f" (Location: {location})"
    if refusal.status == BAD_REQUEST and target.tls is None and speaks_tls(target.host, target.port):
        return f"{text}. This port speaks TLS: try {_with_tls(target.url)}"
    if refusal.status in {401, 403, 407}:
        return (
            f"{text}. If it wants a login, a token or an origin, see --header 'Authorization: …', "
            "--header 'Origin: …', user and password in the URL (ws://user:password@host), and --login."
        )
    if refusal.status == BAD_REQUEST and not target.access.subprotocols:
        text += ". If it wants a subprotocol, see --header 'Sec-WebSocket-Protocol: v12.stomp'"
    declared = {name: target.websocket_url(name) for name in target.endpoints}
    if target.url in declared.values():
        return f"{text}. Its capabilities declare this endpoint: is a gateway before it, or does it want a login?"
    if declared:
        listed = ", ".join(f"{url} ({name})" for name, url in declared.items())
        return f"{text}. Its capabilities declare other endpoints: try {listed}"
    return f"{text}. Is {target.url} the URL of its WebSocket, path included?"


def no_stomp(target: Target, answer: str) -> str:
    """Sentences for a WebSocket that answers CONNECT by something other than STOMP, or not at all."""
    return (
        f"there is a WebSocket at {target.path.partition('?')[0]} of {target.authority}, but it speaks no STOMP: for "
        f"CONNECT {answer}. Is {target.url} the URL of STOMP, path included?"
    )


def refused_login(target: Target, said: str) -> str:
    """Sentences for a server that refuses CONNECT."""
    given = f"with login:{target.login}" if target.login is not None else "without a login"
    where = target.authority
    return (
        f"{where} refuses CONNECT {given} and host:{target.host_header}: {cut(said, _SHOWN)!r}. Give it "
        "the right --login NAME and --passcode TEXT, or --host-header TEXT, or whatever else it asks for with "
        "--connect-header NAME:VALUE."
    )


def _plain(body: bytes) -> str:
    """First words of a body, without the tags of HTML."""
    text = _TAGS.sub(" ", cut_octets(body, 16 * _SHOWN))
    return cut(" ".join("".join(c if c.isprintable() else " " for c in text).split()), _SHOWN)


def speaks_tls(host: str, port: int) -> bool:
    """True if the port speaks TLS."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), ANSWER_SECONDS) as plain:
        plain.settimeout(ANSWER_SECONDS)
        # The timeout is that of one read, and a handshake may take many.
        end = threading.Timer(2 * ANSWER_SECONDS, _end, (plain,))
        end.daemon = True
        end.start()
        try:
            tls_context(verify=False).wrap_socket(plain, server_hostname=host).close()
        except ssl.SSLError as error:
            # An alert, such as one for a missing client certificate, is spoken by TLS only.
            return "ALERT" in (error.reason or "")
        finally:
            end.cancel()
        return True
    return False


def _end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _speaks_stomp(where: HttpHost) -> bool:
    connect = encode("CONNECT", [("accept-version", "1.0,1.1,1.2"), ("host", where.host)])
    beginnings = (b"CONNECTED\n", b"ERROR\n", b"CONNECTED\r", b"ERROR\r")
    return first_octets(where, connect).lstrip(b"\r\n").startswith(beginnings)
