"""Faults in header text: UTF-8, escape pairs, blanks, and text in bodies."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.stomp import destinations, escapes, frame, outlet, subscriptions
from reference_server.stomp.destinations import Destinations, Message
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import FrameReader
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import V10, V11, V12, edit_headers, edit_lines, set_header

Escape = Callable[[str, str], str] if TYPE_CHECKING else object


def _escape_by(change: Callable[[Escape, str, str], str]) -> None:
    """Have `change(original, text, version)` escape all header text that the server sends."""
    original = escapes.escape
    for module in (escapes, destinations, outlet, subscriptions):
        replace(module, "escape")(lambda text, version: change(original, text, version))


def _unescape_by(change: Callable[[Escape, str, str], str]) -> None:
    """Have `change(original, text, version)` decode all header text that the server receives."""
    original = escapes.unescape
    replace(frame, "unescape")(lambda text, version: change(original, text, version))


def _read_text_by(change: Callable[[str], str]) -> None:
    @wrap(FrameReader, "_read_lines")
    def read(original: Any, self: FrameReader, text: str, octets: int) -> Any:
        return original(self, change(text), octets)


@fault("STOMP-ENC-001", bindings=V12)
def headers_are_read_as_latin_1() -> None:
    """Header octets are read as ISO 8859-1, and written as UTF-8."""
    _read_text_by(lambda text: text.encode().decode("latin-1"))


@fault("STOMP-ENC-001", bindings=V11)
def characters_of_four_octets_become_question_marks() -> None:
    """Header text can't have characters beyond U+FFFF."""
    _read_text_by(lambda text: "".join(c if ord(c) < 0x10000 else "?" for c in text))


@fault("STOMP-ENC-002", bindings=V12)
def a_colon_stays_a_pair() -> None:
    """The escape of a colon is not decoded."""
    escapes._DECODED["1.2"]["\\c"] = "\\c"


@fault("STOMP-ENC-002", bindings=V11)
def a_line_feed_becomes_a_blank() -> None:
    """The escape of LF is decoded as a blank."""
    escapes._DECODED["1.1"]["\\n"] = " "


@fault("STOMP-ENC-002", bindings=V12)
def an_id_is_not_decoded() -> None:
    """The `id` of SUBSCRIBE is not decoded."""

    @wrap(frame, "_first_of")
    def first_of(original: Any, lines: list[str], version: str) -> dict[str, str]:
        headers: dict[str, str] = original(lines, version)
        raw = next((line[3:] for line in lines if line.startswith("id:")), None)
        return headers if raw is None else {**headers, "id": raw}


@fault("STOMP-ENC-003", bindings=V12)
def an_undefined_escape_is_text() -> None:
    """A backslash that begins no escape stands for itself."""

    def decode(original: Escape, text: str, version: str) -> str:
        pairs = escapes._DECODED.get(version, {})
        return escapes._PAIR.sub(lambda found: pairs.get(found.group(), found.group()), text)

    _unescape_by(decode)


@fault("STOMP-ENC-003", bindings=V12)
def a_backslash_at_the_end_is_text() -> None:
    """A lone backslash is accepted at the end of a value."""

    def decode(original: Escape, text: str, version: str) -> str:
        try:
            return original(text, version)
        except ProtocolError:
            if not text.endswith("\\"):
                raise
            return original(text[:-1], version) + "\\"

    _unescape_by(decode)


@fault("STOMP-ENC-003", bindings=V11)
def undefined_escapes_are_found_only_in_send() -> None:
    """An undefined escape in another frame than SEND is ignored together with its header."""

    @wrap(frame, "_first_of")
    def first_of(original: Any, lines: list[str], version: str) -> dict[str, str]:
        if any(line.startswith("id:") for line in lines):
            lines = [line for line in lines if "\\t" not in line]
        headers: dict[str, str] = original(lines, version)
        return headers


@fault("STOMP-ENC-004", bindings=V12)
def headers_of_a_message_are_escaped_twice() -> None:
    """Escaped header values are escaped twice in a MESSAGE."""
    escape = escapes.escape
    replace(destinations, "escape")(lambda text, version: escape(escape(text, version), version))

    @wrap(destinations, "header_lines")
    def lines(original: Any, headers: Any, version: str) -> list[str]:
        escaped = [(escape(name, version), escape(value, version)) for name, value in headers]
        result: list[str] = original(escaped, version)
        return result


@fault("STOMP-ENC-004", bindings=V11)
def a_receipt_id_is_escaped_twice() -> None:
    """Escaped receipt-ids are escaped twice in a RECEIPT."""
    original = escapes.escape
    replace(outlet, "escape")(lambda text, version: original(original(text, version), version))


@fault("STOMP-ABNF-004", "STOMP-ENC-004", bindings=V12)
def a_colon_is_sent_raw() -> None:
    """A colon in a header is not escaped, as in CONNECTED."""
    _escape_by(lambda original, text, version: original(text, version).replace("\\c", ":"))


@fault("STOMP-ABNF-004", "STOMP-ENC-004", bindings=V12)
def a_cr_is_sent_raw() -> None:
    """A CR in a header is not escaped, as in 1.1."""
    _escape_by(lambda original, text, version: original(text, version).replace("\\r", "\r"))


@fault("STOMP-ENC-011", bindings=V10)
def a_session_of_1_0_gets_line_feeds_as_they_are() -> None:
    """A header of a later version is written to a session of 1.0 with its line feeds and colons."""
    escapes._is_expressible = lambda _name, _value, _version: True


@fault("STOMP-ENC-011", bindings=V10)
def a_name_of_a_header_may_have_a_colon_in_1_0() -> None:
    """A header whose name has a colon is written to a session of 1.0, which reads its name up to there."""
    original = escapes._is_expressible
    escapes._is_expressible = lambda name, value, version: original(name.replace(":", ""), value, version)


@fault("STOMP-ENC-005", bindings=V12)
def connect_is_unescaped() -> None:
    """Escapes in CONNECT are decoded, and undefined ones are refused."""

    @wrap(FrameReader, "_read_lines")
    def read(original: Any, self: FrameReader, text: str, octets: int) -> Any:
        command, headers = original(self, text, octets)
        if command in frame.CONNECTING:
            headers = {
                escapes.unescape(name, "1.2"): escapes.unescape(value, "1.2")
                for name, value in headers.items()
            }
        return command, headers


@fault(
    "STOMP-ENC-005",
    bindings=V11,
    flags=("--user", "guest:a\\\\b"),
    options=("--login", "guest", "--passcode", "a\\\\b"),
)
def a_passcode_is_unescaped() -> None:
    """Escapes in the passcode are decoded before the comparison."""
    edit_headers(
        lambda _session, frame: (
            {**frame.headers, "passcode": frame.headers["passcode"].replace("\\\\", "\\")}
            if "passcode" in frame.headers
            else frame.headers
        )
    )


@fault("STOMP-ENC-006", bindings=V12)
def connected_is_escaped() -> None:
    """The server header of CONNECTED has its address, with an escape for the colon."""
    set_header("CONNECTED", "server", lambda value: value + b" 127.0.0.1\\c8080")


@fault("STOMP-ENC-007", bindings=V12)
def names_are_not_escaped() -> None:
    """Escapes are decoded and written in values only; a name with an escape is passed on unchanged."""

    @replace(frame, "_first_of")
    def first_of(lines: list[str], version: str) -> dict[str, str]:
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers.setdefault(name, escapes.unescape(value, version))
        return headers


@fault("STOMP-ENC-008", bindings=V12)
def names_and_values_are_trimmed() -> None:
    """Blanks around names and values are removed."""
    edit_headers(
        lambda _session, frame: {name.strip(): value.strip() for name, value in frame.headers.items()}
    )


@fault("STOMP-ENC-008", bindings=V11)
def a_blank_follows_the_colon() -> None:
    """One blank after the colon counts as a separator."""
    edit_headers(lambda _session, frame: {n: value.removeprefix(" ") for n, value in frame.headers.items()})


@fault("STOMP-ENC-008", bindings=V12)
def messages_are_written_with_blanks() -> None:
    """The header lines of a MESSAGE have an extra blank after the colon."""
    edit_lines(
        "MESSAGE",
        lambda lines: [line.replace(b":", b": ", 1) if line.startswith(b"note:") else line for line in lines],
    )


@fault("STOMP-ENC-009", bindings=V12)
def pairs_are_replaced_one_kind_after_another() -> None:
    """Escapes are decoded in several passes, one for each kind."""

    def decode(original: Escape, text: str, version: str) -> str:
        original(text, version)
        for pair, octet in escapes._DECODED.get(version, {}).items():
            text = text.replace(pair, octet)
        return text

    _unescape_by(decode)


@fault("STOMP-ENC-009", bindings=V11)
def a_header_is_unescaped_twice() -> None:
    """Decoded text is decoded again if it still looks escaped."""

    def decode(original: Escape, text: str, version: str) -> str:
        once = original(text, version)
        try:
            return original(once, version)
        except ProtocolError:
            return once

    _unescape_by(decode)


@fault("STOMP-ENC-010", bindings=V12)
def text_is_normalized() -> None:
    """Text in a body is converted to the composed form of Unicode."""
    _edit_bodies(lambda body: unicodedata.normalize("NFC", body.decode()).encode())


@fault("STOMP-ENC-010", bindings=V11)
def text_ends_lines_with_lf() -> None:
    """CR LF in a text body becomes LF."""
    _edit_bodies(lambda body: body.replace(b"\r\n", b"\n"))


def _edit_bodies(edit: Callable[[bytes], bytes]) -> None:
    @wrap(Destinations, "put")
    def put(original: Any, self: Destinations, message: Message) -> None:
        try:
            body = edit(message.body)
        except UnicodeDecodeError:
            body = message.body
        original(self, msgspec.structs.replace(message, body=body))
