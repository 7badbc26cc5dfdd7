"""A state machine that is fed by one partition of Kafka: it applies every entry, in order, on every node alike."""

import itertools
import logging
import secrets
import struct
import threading
import time
from collections.abc import Callable  # noqa: TC003  as everywhere in this package
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from reference_server.events import tell
from reference_server.kafka.commands import Command, decode, encode
from reference_server.kafka.entries import Entry, Place
from reference_server.kafka.log import Appended, Log, OutcomeUnknown, Unavailable

_KEY = struct.Struct(">8sQ")
NODE = secrets.token_bytes(8)
"""This node, in the keys of its commands."""
_serials = itertools.count(1)


class Machine(Protocol):
    """A state that only commands change, each by the time that its entry has."""

    def apply(self, command: Command, now: float, offset: int) -> Any:
        """Apply a command; return its result. Deterministic; an exception is a result, too."""

    def dump(self) -> bytes:
        """Return the whole state."""

    def load(self, state: bytes) -> None:
        """Take over a state that `dump` returned."""


SomeMachine = TypeVar("SomeMachine", bound=Machine)


class Pending:
    """A command of this node that is on its way through the log."""

    __slots__ = ("_ended", "error", "result")

    def __init__(self) -> None:
        self._ended = threading.Event()
        self.result: Any = None
        self.error: Exception | None = None

    def end(self, result: Any = None, error: Exception | None = None) -> None:
        """Set the result, or the error without one."""
        self.result, self.error = result, error
        self._ended.set()

    def wait(self, seconds: float) -> Any:
        """Return the result. Raises OutcomeUnknown, or the Refusal that the result is."""
        if not self._ended.wait(seconds):
            raise OutcomeUnknown("the command was not read back in time")
        if self.error is not None:
            raise self.error
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


class Replica(Generic[SomeMachine]):
    """One machine of this node. `lock` guards the machine."""

    def __init__(self, log: Log, place: Place, machine: SomeMachine) -> None:
        self.log = log
        self.place = place
        self.machine = machine
        self.lock = threading.RLock()
        self.applied = 0
        """Offset of the next entry to apply."""
        self.now = 0.0
        """The greatest time of any entry so far."""
        self.used = time.monotonic()
        """Monotonic time at which a client asked for it last."""
        self.after: Callable[[Command, bool], None] = lambda _command, _is_own: None
        """Called under the lock when a command was applied, with whether it is one of this node."""
        self.is_lost = False
        """True from a gap on until the machine has taken a snapshot."""
        self.lost: Callable[[Replica[SomeMachine]], None] = lambda _replica: None
        """Called when entries are gone that were not applied here."""
        self._moved = threading.Condition(self.lock)
        self._pending: dict[int, Pending] = {}
        self._ahead = -1e12
        """Estimate of Kafka's time less the monotonic time of this node, from below."""
        self._ahead_since = 0.0

    # Commands

    def submit(self, command: Command) -> Pending:
        """Append a command. Raises Unavailable if nothing can have happened."""
        serial, pending, value = next(_serials), Pending(), encode(command)
        key = _KEY.pack(NODE, serial)
        self._pending[serial] = pending

        def done(appended: Appended) -> None:
            if appended.error is None:
                self._note_time(appended.time)
                with self.lock:
                    # The entry need not be read back if nothing lies between.
                    if appended.offset == self.applied:
                        self._apply(Entry(appended.offset, appended.time, key, value))
                return
            late = self._pending.pop(serial, None)
            if late is not None:
                late.end(error=OutcomeUnknown(f"Kafka: {appended.error.str()}"))

        try:
            self.log.append(self.place, value, done, key=key)
        except Unavailable:
            self._pending.pop(serial, None)
            raise
        return pending

    def run(self, command: Command) -> Any:
        """Append a command, and return its result. Raises Unavailable, OutcomeUnknown, Refusal."""
        pending = self.submit(command)
        try:
            return pending.wait(self.log.timeout + 1)
        except OutcomeUnknown:
            self.log.note_silence(self.place)
            raise

    def catch_up(self) -> None:
        """Read to what is the end of the log now. Raises Unavailable."""
        (end,) = self.log.ends([self.place])
        self.wait_for(end)

    def wait_for(self, offset: int) -> None:
        """Wait until all before an offset is applied. Raises Unavailable."""
        with self._moved:
            if not self._moved.wait_for(lambda: self.applied >= offset, self.log.left()):
                raise Unavailable(f"{self.place[0]} was not read within {self.log.timeout:g} s")

    def estimated_now(self) -> float:
        """Kafka's time in seconds, or a little less."""
        return max(self.now, self._ahead + time.monotonic())

    # Reading

    def deliver(self, entries: list[Entry]) -> None:
        """Apply entries that were read; those that were applied already are skipped."""
        with self.lock:
            if not entries:
                self._lose()
            for entry in entries:
                if entry.offset > self.applied:
                    self._lose()
                    return
                if entry.offset == self.applied:
                    self._apply(entry)
        if entries:
            self._note_time(entries[-1].time)

    def _lose(self) -> None:
        if not self.is_lost:
            self.is_lost = True
            self.lost(self)

    def _note_time(self, when: float) -> None:
        here = time.monotonic()
        if when - here > self._ahead or here - self._ahead_since > 60:
            self._ahead, self._ahead_since = when - here, here

    def _apply(self, entry: Entry) -> None:
        self.applied = entry.offset + 1
        self.now = max(self.now, entry.time)
        try:
            command = decode(entry.value)
        except msgspec.MsgspecError:
            # Not ours, or of a later version; every node that can't read it skips it.
            tell(logging.ERROR, "command-unknown", log=self.place[0], offset=entry.offset)
            return
        try:
            result = self.machine.apply(command, self.now, entry.offset)
        except Exception as error:  # noqa: BLE001  every outcome of a command is a result, on every node the same
            result = error
        node, serial = _KEY.unpack(entry.key) if len(entry.key) == _KEY.size else (b"", 0)
        if node == NODE and (pending := self._pending.pop(serial, None)) is not None:
            pending.end(result)
        self.after(command, node == NODE)
        self._moved.notify_all()
