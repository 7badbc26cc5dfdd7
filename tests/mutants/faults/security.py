"""Faults of the rules on who belongs to a server: logins, origins, hosts, media types, requests within requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httptools
import msgspec

from reference_server.queue.introspection import is_readable
from reference_server.server import guard, http, responses
from reference_server.server.guard import Guard
from reference_server.server.http import HttpBinding
from reference_server.server.requests import RequestReader
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, fault
from tests.mutants.stomp_editing import WEBSOCKET

if TYPE_CHECKING:
    from reference_server.server.requests import Request

_USER = ("--virtual-clock", "--user", "guest:secret")
_LOGIN = ("--login", "guest", "--passcode", "secret")


def _change_fields(method: str, change: Any) -> None:
    """Have a check of the guard see the headers that `change(request)` returns."""

    @wrap(Guard, method)
    def check(original: Any, self: Guard, request: Request, *more: Any) -> Any:
        return original(self, msgspec.structs.replace(request, fields=change(request)), *more)


def _without(name: str, request: Request) -> dict[str, str]:
    return {each: value for each, value in request.fields.items() if each != name}


# Logins


@fault("SECURITY-LOGIN-1", bindings=HTTP, flags=_USER, options=_LOGIN)
def the_http_door_needs_no_login() -> None:
    """With users, sessions need a login and requests over HTTP don't."""
    replace(Guard, "check_login")(lambda *_arguments: None)


@fault("SECURITY-LOGIN-1", bindings=HTTP, flags=_USER, options=_LOGIN)
def a_known_login_needs_no_passcode() -> None:
    """Over HTTP the login of a user is enough, whatever the passcode."""
    right = guard._basic

    @replace(guard, "_basic")
    def basic(authorization: str) -> tuple[str, str]:
        login, passcode = right(authorization)
        return (login, "secret") if login == "guest" else (login, passcode)


@fault("SECURITY-LOGIN-1", bindings=HTTP, flags=_USER, options=_LOGIN)
def the_beginning_of_a_passcode_is_enough() -> None:
    """Over HTTP a passcode is right if it begins as the right one does."""
    right = guard._basic

    @replace(guard, "_basic")
    def basic(authorization: str) -> tuple[str, str]:
        login, passcode = right(authorization)
        return login, "secret" if passcode and "secret".startswith(passcode) else passcode


@fault("SECURITY-LOGIN-1", bindings=HTTP, flags=_USER, options=_LOGIN)
def a_header_is_a_login() -> None:
    """Any Authorization header is taken for a login."""

    @wrap(Guard, "check_login")
    def check(original: Any, self: Guard, request: Request, address: str) -> Any:
        return None if "authorization" in request.fields else original(self, request, address)


@fault("SECURITY-LOGIN-1", bindings=HTTP, flags=_USER, options=_LOGIN)
def strangers_may_read() -> None:
    """Introspection needs no login, and operations do."""

    @wrap(Guard, "check_login")
    def check(original: Any, self: Guard, request: Request, address: str) -> Any:
        return None if is_readable(request.path) else original(self, request, address)


@fault("SECURITY-LOGIN-1", bindings=HTTP, flags=_USER, options=_LOGIN)
def the_operation_is_performed_before_the_login() -> None:
    """A request without a login is refused after its operation was performed."""

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Request, transport: Any) -> Any:
        response = original(self, request, transport)
        if response is not None and response.status == 401 and request.path.startswith("/consumer-group/"):
            self._perform(request, transport)
        return response


@fault("SECURITY-LOGIN-2", bindings=HTTP, flags=_USER, options=_LOGIN)
def a_missing_login_is_forbidden() -> None:
    """A request without a login is refused by 403."""

    @wrap(Guard, "check_login")
    def check(original: Any, self: Guard, request: Request, address: str) -> Any:
        refusal = original(self, request, address)
        return refusal and msgspec.structs.replace(refusal, status=403)


@fault("SECURITY-LOGIN-2", bindings=HTTP, flags=_USER, options=_LOGIN)
def nobody_is_asked_for_a_login() -> None:
    """The refusal has the status 401 and no WWW-Authenticate."""

    @wrap(responses, "write")
    def write(original: Any, *arguments: Any, **named: Any) -> Any:
        octets: bytes = original(*arguments, **named)
        return octets.replace(b"WWW-Authenticate:", b"X-Authenticate:")

    _use_everywhere(responses.write)


def _use_everywhere(write: Any) -> None:
    from reference_server.server import connection, listener

    connection.write = listener.write = write  # type: ignore[attr-defined]


@fault("SECURITY-LOGIN-3", bindings=HTTP, flags=_USER, options=_LOGIN)
def only_bearers_are_let_in() -> None:
    """Basic authentication is not understood, so nobody gets in over HTTP."""
    replace(guard, "_basic")(lambda _authorization: ("", ""))


# Origins and hosts


@fault("SECURITY-ORIGIN-1", bindings=HTTP)
def pages_of_others_are_served_over_http() -> None:
    """The Origin is looked at in upgrades only."""
    _change_fields(
        "check_source", lambda request: request.fields if request.is_upgrade else _without("origin", request)
    )


@fault("SECURITY-ORIGIN-2", bindings=WEBSOCKET)
def pages_of_others_may_open_a_websocket() -> None:
    """The Origin is looked at in requests other than upgrades."""
    _change_fields(
        "check_source", lambda request: _without("origin", request) if request.is_upgrade else request.fields
    )


@fault("SECURITY-ORIGIN-1", "SECURITY-ORIGIN-2", bindings=HTTP)
def an_origin_may_go_on_behind_ones_own() -> None:
    """An Origin that begins as the server's own does is its own."""

    def change(request: Request) -> dict[str, str]:
        own = "http://" + request.fields.get("host", "").partition(":")[0]
        return (
            _without("origin", request)
            if request.fields.get("origin", "").startswith(own)
            else request.fields
        )

    _change_fields("check_source", change)


@fault("SECURITY-ORIGIN-2", "SECURITY-ORIGIN-1", bindings=WEBSOCKET)
def an_origin_of_null_is_none() -> None:
    """A page whose origin is `null`, such as one in a sandbox, is served."""

    def change(request: Request) -> dict[str, str]:
        return _without("origin", request) if request.fields.get("origin") == "null" else request.fields

    _change_fields("check_source", change)


@fault("SECURITY-ORIGIN-1", bindings=HTTP)
def a_page_of_another_origin_is_refused_too_late() -> None:
    """A request of another origin gets 403 after its operation was performed."""

    @wrap(Guard, "check_source")
    def check(original: Any, self: Guard, request: Request) -> Any:
        refusal = original(self, request)
        if refusal is not None and refusal.status == 403 and request.path == "/consumer-group/add":
            self._application.operations.perform(request.path, request.body, now=0.0)
        return refusal


@fault("SECURITY-HOST-1", bindings=HTTP)
def any_host_is_ones_own_over_http() -> None:
    """The Host is looked at in upgrades only."""

    def change(request: Request) -> dict[str, str]:
        return request.fields if request.is_upgrade else request.fields | {"host": "localhost"}

    _change_fields("check_source", change)


@fault("SECURITY-HOST-2", bindings=WEBSOCKET)
def a_page_with_a_rebound_name_may_open_a_websocket() -> None:
    """An upgrade needs an Origin that fits its Host, whatever that is."""

    @wrap(Guard, "_is_own")
    def is_own(original: Any, self: Guard, host: str) -> bool:
        return True


@fault("SECURITY-HOST-1", "SECURITY-HOST-2", bindings=HTTP)
def a_host_may_begin_with_localhost() -> None:
    """A name that begins with `localhost` is the server's."""

    @wrap(Guard, "_is_own")
    def is_own(original: Any, self: Guard, host: str) -> bool:
        return host.startswith("localhost") or bool(original(self, host))


def _edit_headers(edit: Any) -> None:
    """Have the reader judge the head that `edit(headers)` leaves."""

    @wrap(RequestReader, "on_headers_complete")
    def complete(original: Any, self: RequestReader) -> None:
        self._headers = edit(self._headers)
        original(self)


@fault("SECURITY-HOST-3", bindings=HTTP)
def a_request_without_host_is_served() -> None:
    """A request of HTTP/1.1 needs no Host."""
    _edit_headers(lambda headers: headers if "host" in dict(headers) else [*headers, ("host", "localhost")])


@fault("SECURITY-HOST-3", bindings=HTTP)
def of_two_hosts_the_first_counts() -> None:
    """A request with two Host headers is served by the first."""

    def edit(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        hosts = [each for each in headers if each[0] == "host"]
        return [each for each in headers if each[0] != "host"] + hosts[:1]

    _edit_headers(edit)


# Media types


@fault("SECURITY-TYPE-1", bindings=HTTP)
def any_media_type_is_json() -> None:
    """The Content-Type of a request is not looked at."""
    replace(Guard, "check_body")(lambda _self, _request: None)


@fault("SECURITY-TYPE-1", bindings=HTTP)
def a_body_without_a_type_is_json() -> None:
    """A body without a Content-Type is taken for JSON."""
    _change_fields("check_body", lambda request: {"content-type": "application/json"} | request.fields)


@fault("SECURITY-TYPE-1", bindings=HTTP)
def text_is_json() -> None:
    """A body that is declared as text/plain is taken for JSON, as pages may send it to anybody."""

    def change(request: Request) -> dict[str, str]:
        is_text = request.fields.get("content-type") == "text/plain"
        return request.fields | {"content-type": "application/json"} if is_text else request.fields

    _change_fields("check_body", change)


@fault("SECURITY-TYPE-2", bindings=HTTP)
def another_media_type_is_a_bad_request() -> None:
    """A body of another media type is refused by 400."""

    @wrap(Guard, "check_body")
    def check(original: Any, self: Guard, request: Request) -> Any:
        return original(self, request) and http.problem(400, "body-not-json", "The body is not JSON.")


# Requests within requests


def _parse_by(rest_of: Any) -> None:
    """Let the octets behind a declined upgrade be those that `rest_of(reader, octets)` returns."""

    @replace(RequestReader, "_parse")
    def parse(self: RequestReader, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            if self._is_upgrade:
                self.rest = rest
                return
            self._is_declined = False
            self.on_message_complete()
            self._parser = httptools.HttpRequestParser(self)
            if rest := rest_of(self, rest):
                self._parser.feed_data(rest)


@fault("SECURITY-UPGRADE-1", "SECURITY-UPGRADE-2", bindings=HTTP)
def the_body_of_a_declined_upgrade_is_the_next_request() -> None:
    """A request that asks for an upgrade has no body: what follows its head is the next request."""
    _parse_by(lambda _reader, rest: rest)


@fault("SECURITY-UPGRADE-2", bindings=HTTP)
def the_body_of_a_declined_upgrade_is_dropped() -> None:
    """A request that asks for an upgrade is served without its body."""
    _parse_by(lambda _reader, _rest: b"")


@fault("SECURITY-UPGRADE-2", bindings=HTTP)
def another_upgrade_is_a_bad_request() -> None:
    """A request that asks for an upgrade to something else than WebSocket is refused."""

    @wrap(RequestReader, "on_headers_complete")
    def complete(original: Any, self: RequestReader) -> None:
        original(self)
        if self._is_declined:
            self._refuse(http.problem(400, "request-malformed", "There is no such upgrade."))
