"""Faults between the first octet and CONNECTED: CONNECT, its refusal, the version of the session."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

from reference_server.stomp import escapes, frame
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import Frame, FrameReader
from reference_server.stomp.hub import Hub
from reference_server.stomp.negotiation import VERSIONS
from reference_server.stomp.session import Session, State
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import (
    V10,
    V11,
    V12,
    answer_and_go_on,
    close_without_error,
    drop_header,
    edit_output,
    set_header,
    wrap_action,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_USER = ("--user", "guest:secret")
_LOGIN = ("--login", "guest", "--passcode", "secret")


@fault("STOMP-CONNECT-001", bindings=V12)
def connected_comes_twice() -> None:
    """A CONNECT is answered by two CONNECTED."""
    edit_output("CONNECTED", lambda _session, data: data + data)


@fault("STOMP-CONNECT-001", bindings=V10)
def connect_is_not_answered() -> None:
    """A session of 1.0 opens without CONNECTED."""

    @wrap(Session, "emit")
    def emit(original: Any, self: Session, data: bytes) -> None:
        if not (data.startswith(b"CONNECTED\n") and self.version == "1.0"):
            original(self, data)


@fault("STOMP-CONNECT-002", bindings=V12, flags=_USER, options=_LOGIN)
def a_wrong_passcode_is_refused_without_a_word() -> None:
    """A wrong passcode closes the connection without ERROR."""
    close_without_error("login refused")


@fault("STOMP-CONNECT-002", bindings=V11, flags=_USER, options=_LOGIN)
def after_a_wrong_passcode_another_may_be_tried() -> None:
    """A wrong passcode gets an ERROR, and the connection waits for the next CONNECT."""
    _stay_open("login refused")


def _stay_open(summary: str) -> None:
    """Send an ERROR for a refusal with `summary` in its text, and wait for the next CONNECT."""
    answer_and_go_on(summary)

    @wrap(Session, "refuse")
    def refuse(original: Any, self: Session, error: ProtocolError, faulty: Frame | None = None) -> None:
        original(self, error, faulty)
        if summary in error.summary:
            self._enter(State.OPENED)
            self._reader.version = None


def _forget(command: str, versions: tuple[str, ...]) -> None:
    """Know a command for CONNECT only if other versions are offered."""

    @wrap_action(command)
    def connect(action: Any, self: Session, asked: Frame) -> bool:
        if self._reader.version in versions:
            raise ProtocolError("unknown command", f"There is no {command}.")
        return bool(action(self, asked))


@fault("STOMP-CONNECT-003", bindings=V12)
def the_command_stomp_is_unknown() -> None:
    """The command STOMP opens no session."""
    _forget("STOMP", VERSIONS)


@fault("STOMP-CONNECT-003", bindings=V12)
def the_command_stomp_is_unescaped() -> None:
    """Escapes in the headers of the command STOMP are decoded, as it is not CONNECT."""

    @wrap(FrameReader, "_read_lines")
    def read(original: Any, self: FrameReader, text: str, octets: int) -> Any:
        command, headers = original(self, text, octets)
        if command == "STOMP":
            headers = {name: escapes.unescape(value, "1.2") for name, value in headers.items()}
        return command, headers


@fault("STOMP-CONNECT-014", bindings=V11)
def the_command_stomp_is_one_of_1_2() -> None:
    """The command STOMP opens no session of 1.1."""
    _forget("STOMP", ("1.1",))


@fault("STOMP-CONNECT-004", bindings=V12)
def connected_names_no_version() -> None:
    """CONNECTED has no header `version`."""
    drop_header("CONNECTED", "version")


@fault("STOMP-CONNECT-004", "STOMP-NEG-001", bindings=V11)
def connected_names_the_highest_version_of_the_server() -> None:
    """CONNECTED says 1.2 in every session."""
    set_header("CONNECTED", "version", lambda _value: b"1.2")


@fault("STOMP-CONNECT-007", bindings=V12)
def who_offers_no_version_speaks_the_latest() -> None:
    """A CONNECT without accept-version opens a session of 1.2."""
    _agree_by(lambda headers, versions: max(headers.get("accept-version", "1.2").split(",")))


@fault("STOMP-CONNECT-007", bindings=V11)
def who_offers_no_version_gets_no_answer() -> None:
    """A CONNECT without accept-version is dropped."""

    @wrap_action("CONNECT")
    def connect(action: Any, self: Session, asked: Frame) -> bool:
        if "accept-version" not in asked.headers:
            return False
        return bool(action(self, asked))


@fault("STOMP-CONNECT-009", bindings=V12)
def the_server_has_no_name() -> None:
    """The header `server` is a version without a name."""
    set_header("CONNECTED", "server", lambda value: b"/" + value.partition(b"/")[2])


@fault("STOMP-CONNECT-010", bindings=V12)
def sessions_are_named_by_the_second() -> None:
    """Sessions that begin within a second have the same name."""
    replace(Hub, "name_session")(lambda self: f"s-{int(time.time())}")


@fault("STOMP-CONNECT-010", bindings=V10)
def names_of_sessions_are_used_again() -> None:
    """A session has the same name as the 16th session before it."""
    names = itertools.cycle(range(16))
    replace(Hub, "name_session")(lambda self: f"s-{next(names)}")


@fault("STOMP-CONNECT-013", bindings=V12)
def connect_is_receipted() -> None:
    """A CONNECT with a receipt header gets a RECEIPT."""

    @wrap_action("CONNECT", "STOMP")
    def connect(action: Any, self: Session, asked: Frame) -> bool:
        action(self, asked)
        return True


def _agree_by(choose: Callable[[Mapping[str, str], tuple[str, ...]], str | None]) -> None:
    replace(frame, "agree")(choose)


@fault("STOMP-NEG-001", bindings=V12)
def the_first_version_in_common_is_chosen() -> None:
    """The first known version in the list of the client is chosen, not the highest."""
    _agree_by(
        lambda headers, versions: next(
            (each for each in headers.get("accept-version", "1.0").split(",") if each in versions), None
        )
    )


@fault("STOMP-NEG-001", bindings=V11)
def the_lowest_version_in_common_is_chosen() -> None:
    """The lowest common version is chosen."""
    _agree_by(
        lambda headers, versions: min(
            set(headers.get("accept-version", "1.0").split(",")).intersection(versions), default=None
        )
    )


@fault("STOMP-NEG-001", bindings=V12)
def an_unknown_version_spoils_the_offer() -> None:
    """A list of versions is refused if it holds an unknown one."""

    def choose(headers: Mapping[str, str], versions: tuple[str, ...]) -> str | None:
        offered = set(headers.get("accept-version", "1.0").split(","))
        return max(offered) if offered <= set(versions) else None

    _agree_by(choose)


@fault("STOMP-NEG-002", bindings=V11)
def the_rules_of_1_2_hold_for_all() -> None:
    """Headers are read and written by the rules of 1.2 on sessions of 1.1."""
    escapes._DECODED["1.1"] = escapes._DECODED["1.2"]
    escapes._ENCODED["1.1"] = escapes._ENCODED["1.2"]


@fault("STOMP-NEG-002", bindings=V12)
def pairs_are_decoded_in_1_0() -> None:
    """On a session of 1.0 escapes are decoded, and undefined ones refused."""
    escapes._DECODED["1.0"] = escapes._DECODED["1.1"]


@fault("STOMP-NEG-002", bindings=V11)
def an_acknowledgement_has_an_id_in_every_version() -> None:
    """ACK and NACK need the header `id` on sessions of 1.1, too."""

    @wrap_action("ACK", "NACK")
    def settle(action: Any, self: Session, asked: Frame) -> bool:
        if self.version == "1.1" and "id" not in asked.headers:
            raise ProtocolError("no id", "Name the message by its id.")
        return bool(action(self, asked))


@fault("STOMP-NEG-003", bindings=V12)
def no_common_version_gets_the_latest() -> None:
    """A client that offers only unknown versions gets a session of 1.2."""
    original = frame.agree
    _agree_by(lambda headers, versions: original(headers, versions) or "1.2")


@fault("STOMP-NEG-003", bindings=V12)
def no_common_version_is_refused_and_left_open() -> None:
    """A client without a common version gets an ERROR, and may CONNECT again."""
    _stay_open("no version in common")


@fault("STOMP-NEG-003", "STOMP-NEG-005", bindings=V12)
def no_common_version_is_refused_without_a_word() -> None:
    """A client without a common version is disconnected without ERROR."""
    close_without_error("no version in common")


@fault("STOMP-NEG-005", bindings=V11)
def no_common_version_is_not_answered() -> None:
    """A client without a common version gets no answer, and the connection stays open."""

    @wrap_action("CONNECT", "STOMP")
    def connect(action: Any, self: Session, asked: Frame) -> bool:
        if self._reader.version is None:
            self._enter(State.OPENED)
            return False
        return bool(action(self, asked))


@fault("STOMP-NEG-004", bindings=V12)
def a_refused_client_is_not_told_the_versions() -> None:
    """The ERROR for a missing common version has no header `version`."""
    drop_header("ERROR", "version")


@fault("STOMP-LINGER-001", bindings=V12)
def twenty_sessions_a_second_are_enough() -> None:
    """Sessions after the 20th within one second get no answer."""
    begun: list[float] = []

    @wrap_action("CONNECT", "STOMP")
    def connect(action: Any, self: Session, asked: Frame) -> bool:
        now = self.hub.now
        begun[:] = [each for each in begun if each > now - 1]
        begun.append(now)
        return False if len(begun) > 20 else bool(action(self, asked))


@fault("STOMP-LINGER-001", bindings=V11, hard=True)
def sessions_that_disconnect_are_counted_for_ever() -> None:
    """After thirty DISCONNECTs the server accepts no further session: their places are not given back."""
    taken = [0]

    @wrap_action("DISCONNECT")
    def disconnect(action: Any, self: Session, asked: Frame) -> bool:
        taken[0] += 1
        return bool(action(self, asked))

    @wrap_action("CONNECT", "STOMP")
    def connect(action: Any, self: Session, asked: Frame) -> bool:
        if taken[0] >= 30:
            raise ProtocolError("too many sessions", "Come back later.")
        return bool(action(self, asked))


@fault("STOMP-ERROR-009", bindings=V12, scope="binding")
def a_second_connect_ends_without_a_word() -> None:
    """A second CONNECT on a session closes the connection without ERROR, as a crashed process would."""
    close_without_error("already connected")
