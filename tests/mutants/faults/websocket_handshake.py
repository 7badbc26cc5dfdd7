"""Faults in the upgrade to WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_server.server import connection, websocket
from reference_server.server.application import Application
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import WEBSOCKET

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@fault("STOMP-WS-001", bindings=WEBSOCKET)
def no_subprotocol_is_selected() -> None:
    """The server knows no subprotocols, and opens every connection without one."""
    replace(websocket, "_select")(lambda _protocol, _offered: None)


@fault("STOMP-WS-001", bindings=WEBSOCKET)
def the_first_subprotocol_is_selected() -> None:
    """The server selects the first subprotocol that the client offers, even an unknown one."""
    replace(websocket, "_select")(lambda _protocol, offered: next(iter(offered), None))


@fault("STOMP-WS-020", bindings=WEBSOCKET)
def a_subprotocol_is_selected_that_nobody_offered() -> None:
    """If none of the offered subprotocols is known, the server selects `stomp`."""

    @wrap(websocket, "shake_hands")
    def shake(original: Any, headers: Iterable[tuple[str, str]]) -> Any:
        headers = list(headers)
        response = original(headers)
        offered = any(name.lower() == "sec-websocket-protocol" for name, _ in headers)
        if response.status_code == 101 and offered and "Sec-WebSocket-Protocol" not in response.headers:
            response.headers["Sec-WebSocket-Protocol"] = "stomp"
        return response

    connection.shake_hands = websocket.shake_hands


@fault("STOMP-WS-020", bindings=WEBSOCKET)
def the_highest_subprotocol_is_selected_in_any_case() -> None:
    """A client that offers only v10.stomp or v11.stomp gets v12.stomp."""

    @wrap(websocket, "_select")
    def select(original: Any, protocol: Any, offered: Sequence[Any]) -> Any:
        chosen = original(protocol, offered)
        return chosen and "v12.stomp"


@fault("WEBSOCKET-PATH-1", bindings=WEBSOCKET)
def an_upgrade_succeeds_on_every_path() -> None:
    """An upgrade succeeds on any path."""

    class Everything(dict[str, bool]):
        def __contains__(self, path: object) -> bool:
            return True

        def __missing__(self, path: str) -> bool:
            return False

    @wrap(Application, "__init__")
    def begin(original: Any, self: Application, *arguments: Any) -> None:
        original(self, *arguments)
        self.endpoints = Everything(self.endpoints)


def _shake_hands_as(version: str | None, status: int) -> None:
    """Treat an upgrade to another WebSocket version than 13 as another version, or refuse it by another status."""

    @wrap(websocket, "shake_hands")
    def shake(original: Any, headers: Iterable[tuple[str, str]]) -> Any:
        asked = [
            (name, version if version and name.lower() == "sec-websocket-version" else value)
            for name, value in headers
        ]
        response = original(asked)
        if response.status_code == 426:
            response.status_code = status
            del response.headers["Sec-WebSocket-Version"]
        return response

    connection.shake_hands = websocket.shake_hands


@fault("WEBSOCKET-VERSION-1", bindings=WEBSOCKET)
def every_version_of_websocket_is_served() -> None:
    """The version of an upgrade is ignored."""
    _shake_hands_as("13", 426)


@fault("WEBSOCKET-VERSION-2", bindings=WEBSOCKET)
def an_unknown_version_is_a_bad_request() -> None:
    """An upgrade to an unknown version is answered by 400."""
    _shake_hands_as(None, 400)
