"""Faults of doors and of rooms as a rewrite would have them: HTTP, WebSocket, logins, retention, topic removal.

Their models are public reports on web servers and bridges, such as a directory that takes an empty passcode for an
anonymous login, and slips of what is counted or cleared.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reference_server.queue.broker import QueueBroker
from reference_server.queue.topic import Partition, Topic, octets_of
from reference_server.server import guard, requests
from reference_server.server.guard import Guard
from reference_server.server.requests import BadRequest, RequestReader
from reference_server.server.responses import problem
from reference_server.server.websocket import Channel
from reference_server.stomp.queue_binding import ACKNOWLEDGEMENTS, QueueBinding
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, fault
from tests.mutants.stomp_editing import WEBSOCKET

if TYPE_CHECKING:
    from reference_server.server.requests import Request

_USER = ("--virtual-clock", "--user", "guest:secret")
_LOGIN = ("--login", "guest", "--passcode", "secret")
_COLON = ("--virtual-clock", "--user", "guest:a:b")
_COLON_LOGIN = ("--login", "guest", "--passcode", "a:b")
_RETENTION = ("--virtual-clock", "--retention", "acknowledged")
_EXTENSION = re.compile(rb"\r\n[0-9a-fA-F]+[ \t]*;[^\r\n]*\r\n")


# Logins over HTTP


def _log_in_by(change: Any) -> None:
    right = guard._basic

    @replace(guard, "_basic")
    def basic(authorization: str) -> tuple[str, str]:
        login, passcode = change(*right(authorization))
        return login, passcode


@fault("SECURITY-LOGIN-1", bindings=HTTP, flags=_USER, options=_LOGIN)
def an_empty_passcode_is_right() -> None:
    """Over HTTP a known login with an empty passcode is let in, as a directory does for an anonymous one."""
    _log_in_by(lambda login, passcode: (login, passcode or ("secret" if login == "guest" else "")))


@fault("SECURITY-LOGIN-1", bindings=HTTP, flags=_USER, options=_LOGIN)
def passcodes_have_no_case() -> None:
    """Over HTTP `SECRET` is `secret`: a collation that ignores case."""
    _log_in_by(lambda login, passcode: (login, passcode.lower()))


@fault("SECURITY-LOGIN-1", bindings=HTTP, flags=_USER, options=_LOGIN)
def passcodes_are_trimmed() -> None:
    """Over HTTP blanks and line ends around a passcode are removed before the comparison."""
    _log_in_by(lambda login, passcode: (login, passcode.strip()))


@fault("SECURITY-LOGIN-1", bindings=HTTP, flags=_USER, options=_LOGIN)
def a_passcode_may_go_on() -> None:
    """Over HTTP as many octets of a passcode are compared as the right one has."""
    _log_in_by(lambda login, passcode: (login, passcode[:6]))


@fault("SECURITY-LOGIN-3", bindings=HTTP, flags=_COLON, options=_COLON_LOGIN)
def a_passcode_ends_at_its_colon() -> None:
    """Over HTTP login and passcode are cut at each colon, so that a passcode with a colon is never right."""
    _log_in_by(lambda login, passcode: (login, passcode.partition(":")[0]))


@fault("SECURITY-LOGIN-3", bindings=HTTP, flags=_USER, options=_LOGIN)
def the_scheme_has_a_case() -> None:
    """`basic` and `BASIC` are unknown schemes of Authorization."""
    right = guard._basic

    @replace(guard, "_basic")
    def basic(authorization: str) -> tuple[str, str]:
        return right(authorization) if authorization.startswith("Basic ") else ("", "")


# HTTP


@fault("HTTP-POST-1", bindings=HTTP)
def a_media_type_has_no_parameters() -> None:
    """A body that is declared as `application/json; charset=utf-8` is refused, as several clients declare it."""

    @wrap(Guard, "check_body")
    def check(original: Any, self: Guard, request: Request) -> Any:
        if ";" in request.fields.get("content-type", ""):
            return problem(415, "media-type", "Send Content-Type: application/json.")
        return original(self, request)


@fault("HTTP-CHUNKED-1", bindings=HTTP)
def a_chunk_has_no_extension() -> None:
    """A chunk whose size is followed by an extension is malformed."""

    @wrap(RequestReader, "_parse")
    def parse(original: Any, self: RequestReader, data: bytes) -> None:
        if _EXTENSION.search(data):
            raise BadRequest
        original(self, data)


@fault("HTTP-CHUNKED-1", bindings=HTTP)
def sizes_of_chunks_are_lower_case() -> None:
    """A chunk whose size has a digit of upper case is malformed."""

    @wrap(RequestReader, "_parse")
    def parse(original: Any, self: RequestReader, data: bytes) -> None:
        if re.search(rb"\r\n[0-9]*[A-F][0-9A-F]*\r\n", data):
            raise BadRequest
        original(self, data)


@fault("HTTP-POST-1", bindings=HTTP)
def names_of_request_headers_have_a_case() -> None:
    """A Content-Length that is written otherwise than `Content-Length` or `content-length` is not seen."""

    @wrap(RequestReader, "on_header")
    def on_header(original: Any, self: RequestReader, name: bytes, value: bytes) -> None:
        is_odd = name.lower() == b"content-length" and name not in (b"Content-Length", b"content-length")
        original(self, b"x-unknown" if is_odd else name, value)


# WebSocket


@fault("WEBSOCKET-UPGRADE-1", bindings=WEBSOCKET)
def connection_is_nothing_but_upgrade() -> None:
    """An upgrade with `Connection: keep-alive, Upgrade`, as Firefox sends it, is not one."""

    @wrap(RequestReader, "on_headers_complete")
    def complete(original: Any, self: RequestReader) -> None:
        original(self)
        if self._is_upgrade and self._fields.get("connection", "").strip().lower() != "upgrade":
            self._is_upgrade, self._is_declined = False, True


@fault("WEBSOCKET-UPGRADE-1", bindings=WEBSOCKET)
def websocket_is_written_in_lower_case() -> None:
    """An upgrade to `WebSocket`, written so, is not one."""

    @wrap(RequestReader, "on_headers_complete")
    def complete(original: Any, self: RequestReader) -> None:
        original(self)
        if self._is_upgrade and self._fields.get("upgrade", "") != "websocket":
            self._is_upgrade, self._is_declined = False, True


@fault("STOMP-WS-001", bindings=WEBSOCKET)
def one_line_of_subprotocols_is_read() -> None:
    """Of several headers with subprotocols the last one is read."""

    @wrap(requests.RequestReader, "on_headers_complete")
    def complete(original: Any, self: RequestReader) -> None:
        original(self)
        name = "sec-websocket-protocol"
        offers = [each for each in self._headers if each[0] == name]
        self._headers = [each for each in self._headers if each[0] != name] + offers[-1:]


@fault("STOMP-WS-005", "STOMP-WS-006", bindings=WEBSOCKET)
def each_fragment_of_a_text_is_utf_8() -> None:
    """A text message that is cut inside of a character is refused: each fragment is decoded by itself."""

    @wrap(Channel, "_judge")
    def judge(original: Any, self: Channel, octets: bytes, messages: list[bytes]) -> bool:
        done = bool(original(self, octets, messages))
        if self._is_text and self._fragments:
            try:
                self._fragments[-1].decode()
            except UnicodeDecodeError:
                return self._add(messages, b"\xff", is_text=True)
        return done


# Retention and topic removal


@fault("RETENTION-ROOM-1", bindings=HTTP, flags=_RETENTION)
def keys_of_freed_records_are_counted_for_ever() -> None:
    """When a record goes, the octets of its message are given back, and those of its key are not."""

    @wrap(Partition, "free")
    def free(original: Any, self: Partition, end: int) -> int:
        going = self.records[self.oldest - self.base : end - self.base]
        keys = sum(octets_of(record.key) for record in going if record.key)
        octets: int = original(self, end)
        self.octets += keys
        return octets


def _keep_of_a_removed_topic(name: str) -> None:
    kept: dict[str, Any] = {}

    @wrap(QueueBroker, "remove_topic")
    def remove(original: Any, self: QueueBroker, topic: str, *, now: float) -> None:
        found = self.topics.get(topic)
        original(self, topic, now=now)
        if found is not None:
            kept[topic] = getattr(found, name)

    @wrap(Topic, "__init__")
    def begin(original: Any, self: Topic, topic: str, count: int, *more: Any) -> None:
        original(self, topic, count, *more)
        if topic in kept:
            setattr(self, name, kept.pop(topic) if name != "_turn" else kept.pop(topic) % count)


@fault("PART-RR-2", "TOPIC-REMOVE-11", bindings=HTTP)
def a_new_topic_goes_on_with_the_round_of_the_old_one() -> None:
    """The first record without a key in a topic of a removed one's name goes where the next of that was to go."""
    _keep_of_a_removed_topic("_turn")


@fault("TOPIC-REMOVE-11", "PUB-FULL-1", bindings=HTTP)
def a_new_topic_has_the_bound_of_the_old_one() -> None:
    """A topic that is added under the name of a removed one has the `partition_bytes` of that."""
    _keep_of_a_removed_topic("partition_bytes")


@fault("PUB-ACK-1", "TOPIC-REMOVE-10", bindings=STOMP)
def a_removal_ends_the_acknowledgements_of_its_topic() -> None:
    """Subscriptions to the acknowledgements of a topic get none any more when it was removed and added again."""
    bindings: list[QueueBinding] = []

    @wrap(QueueBinding, "__init__")
    def begin(original: Any, self: QueueBinding, *arguments: Any) -> None:
        original(self, *arguments)
        bindings.append(self)

    @wrap(QueueBroker, "remove_topic")
    def remove(original: Any, self: QueueBroker, topic: str, *, now: float) -> None:
        original(self, topic, now=now)
        for binding in bindings:
            for start in ACKNOWLEDGEMENTS:
                binding._acknowledgements.pop(start + topic, None)
