"""Faults in transactions: early effects, lost steps, mixed transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import Frame
from reference_server.stomp.router import Router
from reference_server.stomp.session import Session
from reference_server.stomp.transactions import Settlement, Transactions
from tests.mutants.patching import wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import V10, V11, V12, edit_headers, overlook, wrap_action

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Transactions that a shared place keeps: more would reach the limit of each connection, another fault.
FEW = 50


def _without_transaction(frame: Frame) -> Frame:
    headers = {name: value for name, value in frame.headers.items() if name != "transaction"}
    return msgspec.structs.replace(frame, headers=headers)


def _send_all(session: Session) -> None:
    """Process all SENDs in the open transactions of a session."""
    for transaction in session._transactions._open.values():
        for step in transaction.steps:
            if isinstance(step, Frame):
                session.hub.router.send(session, step)


# Effects of COMMIT, ABORT and the end of a connection


@fault("STOMP-TX-004", "STOMP-TX-006", bindings=V12)
def a_transaction_delays_nothing() -> None:
    """A SEND in a transaction takes effect at once."""

    @wrap_action("SEND")
    def send(action: Any, self: Session, frame: Frame) -> bool:
        if "transaction" in frame.headers:
            self._transactions.check(frame.headers["transaction"])
        return bool(action(self, _without_transaction(frame)))


@fault("STOMP-TX-004", "STOMP-TX-006", bindings=V10, hard=True)
def a_transaction_leaks_to_queues() -> None:
    """A SEND to a queue in a transaction takes effect at once."""

    @wrap_action("SEND")
    def send(action: Any, self: Session, frame: Frame) -> bool:
        if "transaction" in frame.headers and frame.headers.get("destination", "").startswith("/queue/"):
            self._transactions.check(frame.headers["transaction"])
            frame = _without_transaction(frame)
        return bool(action(self, frame))


@fault("STOMP-TX-004", bindings=V11, hard=True)
def a_commit_forgets_the_last_send() -> None:
    """A COMMIT of more than two steps drops the last one."""

    @wrap(Transactions, "end")
    def end(original: Any, self: Transactions, headers: Mapping[str, str], command: str) -> list[Any]:
        steps: list[Any] = original(self, headers, command)
        return steps[:-1] if len(steps) > 2 else steps


@fault("STOMP-TX-006", bindings=V12)
def an_abort_commits() -> None:
    """An ABORT commits its transaction."""

    @wrap_action("ABORT")
    def abort(action: Any, self: Session, frame: Frame) -> bool:
        name = frame.headers.get("transaction", "")
        for step in self._transactions._open[name].steps if name in self._transactions._open else ():
            if isinstance(step, Frame):
                self.hub.router.send(self, step)
        return bool(action(self, frame))


@fault("STOMP-TX-006", "STOMP-SEND-002", bindings=V11)
def an_open_transaction_takes_every_send() -> None:
    """While a transaction of a connection is open, all frames of the connection belong to it."""

    def edit(session: Session, frame: Frame) -> Mapping[str, str]:
        if frame.command != "SEND" or "transaction" in frame.headers or not session._transactions._open:
            return frame.headers
        return {**frame.headers, "transaction": next(iter(session._transactions._open))}

    edit_headers(edit)


@fault("STOMP-TX-007", bindings=V12)
def a_disconnect_commits() -> None:
    """DISCONNECT commits open transactions."""

    @wrap_action("DISCONNECT")
    def disconnect(action: Any, self: Session, frame: Frame) -> bool:
        _send_all(self)
        return bool(action(self, frame))


@fault("STOMP-TX-008", bindings=V12)
def a_lost_connection_commits() -> None:
    """The loss of a connection commits its open transactions."""

    @wrap(Session, "lost")
    def lost(original: Any, self: Session, now: float) -> None:
        if not self.closing:
            _send_all(self)
        original(self, now)


# Atomicity


@fault("STOMP-TX-003", bindings=V12)
def a_commit_stops_where_it_fails() -> None:
    """A COMMIT that fails at one step leaves the steps before that one in effect."""

    @wrap_action("SEND")
    def send(action: Any, self: Session, frame: Frame) -> bool:
        transaction = frame.headers.get("transaction")
        if transaction is None:
            return bool(action(self, frame))
        self._transactions.add(transaction, frame, len(frame.body))
        return True


@fault("STOMP-TX-003", bindings=V10)
def a_commit_leaves_out_what_fails() -> None:
    """A COMMIT with a step that fails carries out the others, and gets its RECEIPT."""

    @wrap_action("SEND")
    def send(action: Any, self: Session, frame: Frame) -> bool:
        transaction = frame.headers.get("transaction")
        try:
            return bool(action(self, frame))
        except ProtocolError:
            if transaction is None or transaction not in self._transactions._open:
                raise
            return True


@fault("STOMP-TX-003", "STOMP-TX-004", bindings=V11)
def a_commit_reaches_one_destination() -> None:
    """A COMMIT delivers only the messages to the destination of the first one."""

    @wrap(Transactions, "end")
    def end(original: Any, self: Transactions, headers: Mapping[str, str], command: str) -> list[Any]:
        steps: list[Any] = original(self, headers, command)
        destinations = [step.headers.get("destination") for step in steps if isinstance(step, Frame)]
        return [
            step
            for step in steps
            if isinstance(step, Settlement) or step.headers.get("destination") == destinations[0]
        ]


@fault("STOMP-TX-014", bindings=V12)
def a_second_begin_empties_the_transaction() -> None:
    """A BEGIN of an open transaction starts it anew, and drops its steps."""

    @wrap(Transactions, "begin")
    def begin(original: Any, self: Transactions, headers: Mapping[str, str]) -> None:
        self._open.pop(headers.get("transaction", ""), None)
        original(self, headers)


@fault("STOMP-TX-002", bindings=V12)
def a_second_begin_is_receipted() -> None:
    """A BEGIN of an open transaction gets its RECEIPT, and has no effect."""
    overlook("transaction already open", receipt=True)


# Separate transactions


@fault("STOMP-TX-010", bindings=V12)
def transactions_are_those_of_the_server() -> None:
    """A connection may use and end the transactions of all others."""
    shared: dict[str, Any] = {}

    @wrap(Transactions, "__init__")
    def begin(original: Any, self: Transactions, *bounds: Any) -> None:
        original(self, *bounds)
        self._open = shared

    @wrap(Transactions, "begin")
    def open_one(original: Any, self: Transactions, headers: Mapping[str, str]) -> None:
        if len(shared) > FEW:
            shared.pop(next(iter(shared)))
        if headers.get("transaction") not in shared:
            original(self, headers)

    @wrap(Transactions, "clear")
    def clear(original: Any, self: Transactions) -> None:
        """Shared transactions have no owner, so no session ends them."""


@fault("STOMP-TX-012", bindings=V12)
def a_commit_ends_all_transactions() -> None:
    """A COMMIT commits all open transactions of its connection."""

    @wrap_action("COMMIT")
    def commit(action: Any, self: Session, frame: Frame) -> bool:
        for name in tuple(self._transactions._open):
            if name != frame.headers.get("transaction"):
                steps = self._transactions._open[name].steps
                for step in [each for each in steps if isinstance(each, Frame)]:
                    self.hub.router.send(self, step)
                steps.clear()
        return bool(action(self, frame))


@fault("STOMP-TX-012", bindings=V11)
def a_send_joins_the_transaction_that_began_last() -> None:
    """SENDs of one open transaction go to another one that was opened later."""

    def edit(session: Session, frame: Frame) -> Mapping[str, str]:
        names = list(session._transactions._open)
        if frame.command != "SEND" or frame.headers.get("transaction") not in names:
            return frame.headers
        return {**frame.headers, "transaction": names[-1]}

    edit_headers(edit)


# Frames that must be refused


@fault("STOMP-TX-001", bindings=V12)
def a_begin_needs_no_name() -> None:
    """A BEGIN without transaction gets its RECEIPT."""
    overlook("BEGIN without transaction", receipt=True)


@fault("STOMP-TX-005", bindings=V12)
def a_commit_of_no_transaction_is_receipted() -> None:
    """A COMMIT of a transaction that is not open gets its RECEIPT."""
    _receipt_unknown("COMMIT")


@fault("STOMP-TX-015", bindings=V10)
def an_abort_of_no_transaction_is_receipted() -> None:
    """An ABORT of a transaction that is not open gets its RECEIPT."""
    _receipt_unknown("ABORT")


@fault("STOMP-TX-015", bindings=V11)
def an_abort_may_come_twice() -> None:
    """A second ABORT of a transaction gets its RECEIPT."""
    aborted: set[tuple[Session, str]] = set()

    @wrap_action("ABORT")
    def abort(action: Any, self: Session, frame: Frame) -> bool:
        key = self, frame.headers.get("transaction", "")
        if key in aborted and key[1] not in self._transactions._open:
            return True
        done = bool(action(self, frame))
        aborted.add(key)
        return done


def _receipt_unknown(command: str) -> None:
    @wrap_action(command)
    def end(action: Any, self: Session, frame: Frame) -> bool:
        try:
            return bool(action(self, frame))
        except ProtocolError as error:
            if "no such transaction" not in error.summary and "without transaction" not in error.summary:
                raise
            return True


@fault("STOMP-TX-009", bindings=V12)
def a_send_in_no_transaction_is_sent_at_once() -> None:
    """A SEND in a transaction that is not open takes effect at once."""

    @wrap_action("SEND")
    def send(action: Any, self: Session, frame: Frame) -> bool:
        if frame.headers.get("transaction") not in self._transactions._open:
            frame = _without_transaction(frame)
        return bool(action(self, frame))


@fault("STOMP-TX-009", bindings=V11)
def an_ack_in_no_transaction_is_carried_out() -> None:
    """An ACK or NACK in a transaction that is not open takes effect at once."""

    @wrap_action("ACK", "NACK")
    def settle(action: Any, self: Session, frame: Frame) -> bool:
        if frame.headers.get("transaction") not in self._transactions._open:
            frame = _without_transaction(frame)
        return bool(action(self, frame))


@fault("STOMP-TX-009", bindings=V10)
def a_send_opens_its_transaction() -> None:
    """A SEND in a transaction that is not open opens it."""

    @wrap_action("SEND")
    def send(action: Any, self: Session, frame: Frame) -> bool:
        name = frame.headers.get("transaction")
        if name is not None and name not in self._transactions._open:
            self._transactions.begin({"transaction": name})
        return bool(action(self, frame))


@fault("STOMP-TX-003", "STOMP-TX-004", bindings=V12)
def a_commit_sends_one_message_only_of_equal_ones() -> None:
    """Only the first of several messages of a transaction with equal bodies and destinations is sent."""

    @wrap(Router, "check_together")
    def check(original: Any, self: Router, frames: list[Frame]) -> None:
        original(self, frames)
        seen: set[tuple[str, bytes]] = set()
        for frame in tuple(frames):
            key = frame.headers["destination"], frame.body[:1]
            if key in seen:
                frames.remove(frame)
            seen.add(key)
