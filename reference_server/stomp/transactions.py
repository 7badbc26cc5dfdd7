"""Transactions of one session: frames wait for COMMIT and are then processed together (STOMP-TX-003, -004)."""

from collections.abc import Mapping

import msgspec

from reference_server.budget import Budget, Charge
from reference_server.stomp.errors import ProtocolError, check_budget
from reference_server.stomp.frame import Frame
from reference_server.stomp.limits import StompLimits
from reference_server.stomp.subscriptions import Delivery

_STEP_OCTETS = 500
"""Octets that a step takes besides its texts and its body."""


class Settlement(msgspec.Struct, frozen=True):
    """An ACK (`consumed`) or NACK that waits for COMMIT (STOMP-ACK-006, STOMP-NACK-004)."""

    delivery: Delivery
    consumed: bool


class _Open(msgspec.Struct):
    steps: list[Frame | Settlement]
    charge: Charge
    own: int
    """Octets that it takes besides its steps."""
    octets: int = 0


class Transactions:
    """The open transactions of one connection (STOMP-TX-010, STOMP-TX-012)."""

    def __init__(self, limits: StompLimits, budget: Budget) -> None:
        self._limits = limits
        self._budget = budget
        self._open: dict[str, _Open] = {}

    def begin(self, headers: Mapping[str, str]) -> None:
        """Open a transaction (STOMP-TX-001); raises ProtocolError (STOMP-TX-002, STOMP-TX-014)."""
        name = _name_of(headers, "BEGIN")
        if name in self._open:
            raise ProtocolError("transaction already open", "COMMIT or ABORT it, or choose another name.")
        if len(self._open) >= self._limits.transactions:
            raise ProtocolError("too many transactions", f"{self._limits.transactions} may be open at once.")
        octets = _STEP_OCTETS + 3 * len(name)
        check_budget(self._budget, octets)
        self._open[name] = _Open([], Charge(self._budget, octets), own=octets)

    def add(self, name: str, step: Frame | Settlement, octets: int) -> None:
        """Keep a step of an open transaction; raises ProtocolError (STOMP-TX-009)."""
        self.check(name)
        limits = self._limits
        frames = sum(len(transaction.steps) for transaction in self._open.values())
        total = sum(transaction.octets for transaction in self._open.values()) + octets
        is_full = frames >= limits.transaction_frames or not self._budget.has_room(octets)
        if is_full or total > limits.transaction_bytes:
            bounds = f"{limits.transaction_frames} frames and {limits.transaction_bytes} octets"
            raise ProtocolError("transaction too large", f"Those of a connection may hold {bounds}.")
        transaction = self._open[name]
        transaction.steps.append(step)
        transaction.octets += octets
        transaction.charge.set(transaction.own + transaction.octets + _STEP_OCTETS * len(transaction.steps))

    def check(self, name: str) -> None:
        """Raise ProtocolError if no such transaction is open (STOMP-TX-009)."""
        if name not in self._open:
            raise ProtocolError("no such transaction", f"{name[:100]!r} is not open; BEGIN opens it.")

    def end(self, headers: Mapping[str, str], command: str) -> list[Frame | Settlement]:
        """Close a transaction, return its steps (STOMP-TX-005, -006, -011, -015); raises ProtocolError."""
        name = _name_of(headers, command)
        self.check(name)
        return self._open.pop(name).steps

    def clear(self) -> None:
        """Abort all (STOMP-TX-007, STOMP-TX-008)."""
        self._open.clear()


def _name_of(headers: Mapping[str, str], command: str) -> str:
    name = headers.get("transaction")
    if name is None:
        raise ProtocolError(f"{command} without transaction", "Name it in the transaction header.")
    return name
