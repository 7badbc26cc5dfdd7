"""Admission of a request by its head: Host, the origin of a page, the login, the media type of a body."""

import base64
import binascii
import ipaddress
import re
import socket

from reference_server.queue.outcomes import JSON, Outcome
from reference_server.server.application import Application
from reference_server.server.requests import Request
from reference_server.server.responses import problem
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.hub import WRONG_LOGIN

_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:/@\s]+)(:[0-9]*)?")
_ANY = "*"


class Guard:
    """Refuses requests that do not belong here; one for all connections."""

    def __init__(self, application: Application) -> None:
        settings = application.settings
        self._application = application
        self._hosts = {name.lower() for name in ("localhost", socket.gethostname(), settings.host)}
        self._hosts.update(name.lower() for name in settings.allow_host)
        self._origins = {origin.lower().rstrip("/") for origin in settings.allow_origin}
        # Without TLS of its own, the server may stand behind a proxy that has it, and that writes the port into Host.
        self._schemes = (("https://", ":443"), ("http://", ":80"))[: 1 if settings.tls_cert else 2]

    def check_source(self, request: Request) -> Outcome | None:
        """Refuse a request for another server (SECURITY-HOST-1), or from another one's page (SECURITY-ORIGIN-1)."""
        host = request.fields.get("host")
        if host is not None and not self._is_own(host.lower()):
            detail = f"This server is not {host[:200]!r}. Start it with --allow-host to give it that name."
            return problem(421, "host-unknown", detail)
        origin = request.fields.get("origin")
        if origin is None or self._is_named(origin) or self._is_own_origin(origin, host):
            return None
        detail = f"A page of {origin[:200]!r} is served if the server is started with --allow-origin."
        return problem(403, "origin-refused", detail)

    def foreign_page(self, request: Request) -> str:
        """The origin of the page that sent this admitted request; "" for the server's own, and for what is no page."""
        origin = request.fields.get("origin")
        return "" if origin is None or self._is_own_origin(origin, request.fields.get("host")) else origin

    def check_login(self, request: Request, address: str) -> Outcome | None:
        """Refuse a request without the login of a user, if there are users (SECURITY-LOGIN-1, SECURITY-LOGIN-2)."""
        if not self._application.settings.user:
            return None
        login, passcode = _basic(request.fields.get("authorization", ""))
        try:
            self._application.check_user(login, passcode, address)
        except ProtocolError as error:
            if error.summary == WRONG_LOGIN:
                return problem(401, "login-refused", error.advice)
            return problem(429, "too-many-wrong-logins", error.advice)
        return None

    def check_body(self, request: Request) -> Outcome | None:
        """Refuse a body of another media type (SECURITY-TYPE-1): pages may send such ones anywhere without asking."""
        media_type = request.fields.get("content-type", "").partition(";")[0].strip().lower()
        codings = {value.lower() for name, value in request.headers if name == "content-encoding"}
        if request.body and (coding := ", ".join(sorted(codings - {"identity"}))):
            return problem(
                415, "content-coding", f"Send the body as it is; found Content-Encoding: {coding[:100]}."
            )
        if media_type == JSON or not request.body:
            return None
        found = repr(media_type[:100]) if media_type else "none"
        return problem(415, "media-type", f"Send Content-Type: {JSON}; found {found}.")

    def _is_named(self, origin: str) -> bool:
        return bool(self._origins & {_ANY, origin.lower().rstrip("/")})

    def _is_own_origin(self, origin: str, host: str | None) -> bool:
        host = (host or "").lower()
        return any(
            origin.lower() in {way + host, way + host.removesuffix(port)} for way, port in self._schemes
        )

    def _is_own(self, host: str) -> bool:
        found = _AUTHORITY.fullmatch(host)
        name = found.group(1).rstrip(".") if found else ""
        if name in self._hosts or _ANY in self._hosts:
            return True
        try:  # An address cannot be made to point elsewhere, as a name can.
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True


def _basic(authorization: str) -> tuple[str, str]:
    """Login and passcode of an Authorization header (RFC 7617); both are empty if it holds none."""
    scheme, _, credentials = authorization.partition(" ")
    try:
        pair = base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return "", ""
    login, colon, passcode = pair.partition(":")
    return (login, passcode) if colon and scheme.lower() == "basic" else ("", "")
