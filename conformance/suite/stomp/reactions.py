"""The server's reaction to a frame that it may refuse or must refuse, found out without sleeping.

The reaction is awaited for a moment; then a fence shows that the server processes later frames. Frames that belong
before a close are asked for several times, each on a fresh connection, as the last frame may get lost
(STOMP-LINGER-002).
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.suite.stomp.error_frames import judge_error
from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.wire.cutting import cut_repr
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.suite.stomp.stomp_fixture import StompFixture
    from conformance.wire.frames import Frame
    from conformance.wire.link import Closed
    from conformance.wire.stomp import StompClient

    Provoke = Callable[[], StompClient]
    Fence = Callable[[StompClient, float], None]

#: Attempts, each on a fresh connection, until a frame that belongs before a close counts as missing.
ATTEMPTS = 3
#: Finding: the server leaves a connection open after a bad frame, and answers nothing more.
HANGS = "hangs after a bad frame"
#: Finding: the server ignores a frame that it can't carry out, and processes later ones.
SILENT = "goes on in silence after a frame that it can't carry out"


@dataclass
class Reaction:
    """The server's answer to a frame.

    `error` is the first ERROR, `receipts` are the RECEIPTs of the frame itself, `after_error` the frames behind the
    ERROR, `other_frames` all others. `closed` is None while the connection is open. `served_later_frames` is True if
    the server processed a frame that was sent later.
    """

    error: Frame | None = None
    receipts: list[Frame] = field(default_factory=list)
    after_error: list[Frame] = field(default_factory=list)
    other_frames: list[Frame] = field(default_factory=list)
    closed: Closed | None = None
    served_later_frames: bool = False
    attempts: int = 1

    @property
    def is_error_and_close(self) -> bool:
        """True if the server sent an ERROR and ended the connection."""
        return self.error is not None and self.closed is not None

    @property
    def is_bare_close(self) -> bool:
        """True if the connection ended without an ERROR, in every attempt."""
        return self.error is None and self.closed is not None

    @property
    def is_refusal(self) -> bool:
        """True if the server sent an ERROR, ended the connection, or did both."""
        return self.error is not None or self.closed is not None

    @property
    def is_accepted(self) -> bool:
        """True if the frame got its RECEIPT, without an ERROR or the end of the connection."""
        return bool(self.receipts) and not self.is_refusal

    def __str__(self) -> str:
        parts = [f"RECEIPT {frame.get('receipt-id')!r}" for frame in self.receipts]
        if self.error:
            parts.append(f"ERROR {cut_repr(self.error.octets, 400)}")
        parts += [f"{frame.command} behind the ERROR" for frame in self.after_error]
        if self.closed:
            parts.append(f"the end of the connection ({self.closed})")
        elif self.served_later_frames:
            parts.append("the connection stays open and carries out later frames")
        else:
            parts.append("the connection stays open and answers nothing")
        if not self.closed and not parts[:-1]:
            parts.insert(0, "nothing for the frame")
        return ", ".join(parts)


def reaction(
    fixture: StompFixture,
    provoke: Provoke,
    receipt: str | None = None,
    *,
    fence: Fence | None = None,
    must_react: bool = False,
    patience: float | None = None,
) -> Reaction:
    """The server's answer to the frame that `provoke` sends on a connection of its own.

    `receipt` is the value of the frame's `receipt` header. `fence` shows that the server processes later frames
    (default: `StompFixture.fence`). With `must_react` a missing reaction is waited for with all patience even after the
    fence, as that to a well-formed frame may be late; nothing behind a malformed one can be read. `patience` is the
    time for the first reaction in seconds; `SHORT_WAIT` is enough where none must come.
    """
    patience = _patience(fixture) if patience is None else patience
    end_attempt = fixture.begin_attempt()
    found = _observe(fixture, provoke(), receipt, fence, patience, must_react=must_react)
    while found.is_bare_close and found.attempts < ATTEMPTS:
        attempts = found.attempts + 1
        end_attempt()
        found = _observe(fixture, provoke(), receipt, fence, patience, must_react=must_react)
        found.attempts = attempts
    if found.closed is not None:
        came = "an ERROR" if found.error else "no ERROR"
        fixture.observe("STOMP-LINGER-002", f"{came} in attempt {found.attempts} before the close")
    return found


def _observe(
    fixture: StompFixture,
    client: StompClient,
    receipt: str | None,
    fence: Fence | None,
    patience: float,
    *,
    must_react: bool,
) -> Reaction:
    found = Reaction()
    deadline = time.monotonic() + fixture.usual_delay + patience
    _wait(client, fixture.usual_delay)
    if not client.closed and not client.errors:
        found.served_later_frames = _fenced(fixture, client, fence, deadline)
        if not found.served_later_frames:
            _wait(client, deadline - time.monotonic())
        elif must_react and not _is_receipted(client, receipt):
            _wait_for_reaction(fixture, client, deadline - time.monotonic())
    if client.errors and not client.closed:
        patience = _patience(fixture)
        deadline = max(deadline, time.monotonic() + patience)
        _wait_for_end(client, fixture.usual_delay)
        if not client.closed:
            found.served_later_frames = _fenced(fixture, client, fence, deadline)
        if not client.closed and not found.served_later_frames:
            _wait_for_end(client, deadline - time.monotonic())
    if not client.closed and not found.served_later_frames and patience == fixture.bench.patience:
        fixture.bench.findings.add(HANGS)
    _sort(found, client, receipt)
    client.close()
    return found


def _patience(fixture: StompFixture) -> float:
    """The patience of the bench; less once the server was seen to hang."""
    return SHORT_WAIT if HANGS in fixture.bench.findings else fixture.bench.patience


def _is_receipted(client: StompClient, receipt: str | None) -> bool:
    return receipt is not None and any(frame.get("receipt-id") == receipt for frame in client.inbox)


def _wait(client: StompClient, seconds: float) -> None:
    """Return at an ERROR, at the end of the connection, or after so many seconds."""
    if client.closed or client.errors:
        return
    with contextlib.suppress(PeerFailure):
        client.inbox.append(client.expect("ERROR", within=max(0.0, seconds)))


def _wait_for_reaction(fixture: StompFixture, client: StompClient, seconds: float) -> None:
    """As `_wait`; less long once the server was silent for the whole time."""
    was_silent = SILENT in fixture.bench.findings
    _wait(client, min(seconds, SHORT_WAIT) if was_silent else seconds)
    if not client.closed and not client.errors and seconds > SHORT_WAIT:
        fixture.bench.findings.add(SILENT)


def _wait_for_end(client: StompClient, seconds: float) -> None:
    with contextlib.suppress(PeerFailure):
        client.expect_end(within=max(0.0, seconds))


def _fenced(fixture: StompFixture, client: StompClient, fence: Fence | None, deadline: float) -> bool:
    """True if the server processes later frames: a second fence lets an overtaken answer arrive."""
    earlier = list(client.inbox)
    client.inbox.clear()
    try:
        for step in [fence] if fence else [fixture.fence, fixture.fence]:
            step(client, max(0.0, deadline - time.monotonic()))
    except PeerFailure:
        return False
    finally:
        client.inbox.extendleft(reversed(earlier))
    return True


def _sort(found: Reaction, client: StompClient, receipt: str | None) -> None:
    found.closed = client.closed
    for frame in client.inbox:
        if frame.command == "RECEIPT" and frame.get("receipt-id") == receipt:
            found.receipts.append(frame)
        elif found.error is not None:
            found.after_error.append(frame)
        elif frame.command == "ERROR":
            found.error = frame
        else:
            found.other_frames.append(frame)


def judge_refusal_rules(fixture: StompFixture, found: Reaction, receipt: str | None = None) -> None:
    """Judge the rules for every refusal, after the clause of the refusal itself.

    `receipt` is that of the refused frame if the server could read it.
    """
    fixture.judge(
        "STOMP-RECEIPT-003",
        not (found.receipts and found.is_refusal),
        expected="no RECEIPT for a frame that was refused",
        observed=found,
    )
    if found.error is None:
        return
    judge_error(fixture, found.error, receipt)
    fixture.judge(
        "STOMP-ERROR-001",
        found.closed is not None,
        expected="the end of the connection after the ERROR",
        observed=found,
    )
    fixture.judge(
        "STOMP-ERROR-002",
        not found.after_error and not found.served_later_frames,
        expected="nothing behind the ERROR",
        observed=found,
    )


def expect_error_and_close(
    fixture: StompFixture, clause: str, found: Reaction, receipt: str | None, what: str
) -> None:
    """Judge that the refusal of `what` is an ERROR and the end of the connection, and the rules for all refusals."""
    fixture.judge(
        clause,
        found.is_error_and_close,
        expected=f"ERROR and the end of the connection for {what}",
        observed=found,
    )
    judge_refusal_rules(fixture, found, receipt)


def expect_malformed(
    fixture: StompFixture, clause: str, provoke: Provoke, receipt: str | None = None, *, expected: str
) -> Reaction:
    """Judge `clause`, by which a malformed frame ends the connection, and the manner of that end."""
    found = reaction(fixture, provoke, receipt)
    fixture.judge(
        clause,
        found.closed is not None and not found.receipts,
        expected=f"the end of the connection: {expected}",
        observed=found,
    )
    fixture.judge(
        "STOMP-ERROR-008",
        found.error is not None,
        expected="an ERROR before the close",
        observed=found,
    )
    judge_refusal_rules(fixture, found)
    return found
