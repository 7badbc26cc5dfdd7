"""What a server does about a frame that it may or must not carry out, found out without sleeping.

A reaction is waited for a moment; where none shows, a fence tells that the server has gone on. What has to come
before a close is asked for several times, each on a fresh connection: the last frame may get lost (STOMP-LINGER-002).
"""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.suite.stomp.stomp_fixture import StompFixture
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient
    from conformance.wire.websocket import Closed

    Provoke = Callable[[], StompClient]
    Fence = Callable[[StompClient, float], None]

#: Attempts, each on a fresh connection, before a frame that should have come in front of a close is missing.
ATTEMPTS = 3
#: The word for a server that leaves a connection open after a bad frame, and answers nothing more.
HANGS = "hangs after a bad frame"
#: The word for a server that goes on after a frame that it can't carry out, without a word.
SILENT = "goes on in silence after a frame that it can't carry out"
_MIME_TYPE = re.compile(r"[^\s/;,]+/[^\s/;,]+ *(?:;.*)?")


@dataclass
class Reaction:
    """What came after a frame.

    `error` is the first ERROR, `receipts` are those of the frame itself, `behind` what followed the ERROR, `others`
    all other frames. `closed` is None while the connection is open. `served_later_frames`
    tells that a later frame was carried
    out.
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
        """Whether it was a refusal as the text has it."""
        return self.error is not None and self.closed is not None

    @property
    def is_bare_close(self) -> bool:
        """Whether the connection ended without a word, in every attempt."""
        return self.error is None and self.closed is not None

    @property
    def is_refusal(self) -> bool:
        """Whether the server showed that it refused: by an ERROR, a close or both."""
        return self.error is not None or self.closed is not None

    @property
    def is_accepted(self) -> bool:
        """Whether the frame got its RECEIPT and nothing bad came after it."""
        return bool(self.receipts) and not self.is_refusal

    def __str__(self) -> str:
        parts = [f"RECEIPT {frame.get('receipt-id')!r}" for frame in self.receipts]
        if self.error:
            parts.append(f"ERROR {self.error.octets[:400]!r}")
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
    """What the server does about the frame that `provoke` sends on a connection of its own.

    `receipt` is that of the frame, `fence` a way to see that the server goes on (default: `StompFixture.fence`). With
    `must_react` a reaction that has to come is waited for with all patience, also after a fence: that of a well-formed frame may be
    late, while nobody can read past a malformed one. `patience` in seconds is for the first reaction;
    where none has to come and all is only recorded, `SHORT_WAIT` will do.
    """
    patience = _patience(fixture) if patience is None else patience
    found = _observe(fixture, provoke(), receipt, fence, patience, must_react=must_react)
    while found.is_bare_close and found.attempts < ATTEMPTS:
        attempts = found.attempts + 1
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
    """All the patience there is, until the server was once seen to hang: then hanging is no news."""
    return SHORT_WAIT if HANGS in fixture.bench.findings else fixture.bench.patience


def _is_receipted(client: StompClient, receipt: str | None) -> bool:
    return receipt is not None and any(frame.get("receipt-id") == receipt for frame in client.inbox)


def _wait(client: StompClient, seconds: float) -> None:
    """Until an ERROR, the end, or so many seconds have passed."""
    if client.closed or client.errors:
        return
    with contextlib.suppress(PeerFailure):
        client.inbox.append(client.expect("ERROR", within=max(0.0, seconds)))


def _wait_for_reaction(fixture: StompFixture, client: StompClient, seconds: float) -> None:
    """As `_wait`, but less once it was in vain: then silence is no news."""
    was_silent = SILENT in fixture.bench.findings
    _wait(client, min(seconds, SHORT_WAIT) if was_silent else seconds)
    if not client.closed and not client.errors and seconds > SHORT_WAIT:
        fixture.bench.findings.add(SILENT)


def _wait_for_end(client: StompClient, seconds: float) -> None:
    with contextlib.suppress(PeerFailure):
        client.expect_end(within=max(0.0, seconds))


def _fenced(fixture: StompFixture, client: StompClient, fence: Fence | None, deadline: float) -> bool:
    """Whether the server works on: two fences, so that an answer which the first overtook is there too."""
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


def judge_error(fixture: StompFixture, error: Frame, receipt: str | None = None) -> None:
    """Judge what every ERROR looks like; `receipt` is that of the faulty frame, if it could be read."""
    shown = f"{error.octets[:600]!r}"
    fixture.judge("STOMP-ERROR-003", bool(error.get("message")), expected="a message header", observed=shown)
    if receipt is not None:
        fixture.judge(
            "STOMP-ERROR-004",
            error.get("receipt-id") == receipt,
            expected=f"receipt-id:{receipt} in the ERROR",
            observed=shown,
        )
    fixture.observe("STOMP-ERROR-006", "with a body" if error.body else "without a body")
    content_type = error.get("content-type")
    if error.body:
        length = error.get("content-length")
        fixture.judge(
            "STOMP-CLEN-004",
            length is not None and length.strip() == str(len(error.body)),
            expected=f"content-length:{len(error.body)} in the ERROR",
            observed=shown,
        )
        fixture.judge(
            "STOMP-CTYPE-002",
            content_type is not None,
            expected="a content-type in the ERROR",
            observed=shown,
        )
    if content_type is not None:
        judge_content_type(fixture, content_type, shown)


def judge_content_type(fixture: StompFixture, content_type: str, observed: object) -> None:
    """Judge that a content-type that the server set is a MIME type."""
    for clause in ("STOMP-CTYPE-003", "STOMP-CTYPE-004"):
        fixture.judge(
            clause,
            _MIME_TYPE.fullmatch(content_type) is not None,
            expected="type/subtype as content-type",
            observed=observed,
        )


def judge_refusal_rules(fixture: StompFixture, found: Reaction, receipt: str | None = None) -> None:
    """Judge what every refusal has in common, after the clause of the refusal itself was judged.

    `receipt` is that of the refused frame, if the server could read it.
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


def expect_malformed(
    fixture: StompFixture, clause: str, provoke: Provoke, receipt: str | None = None, *, expected: str
) -> Reaction:
    """Judge `clause`, that the server closes because of a malformed frame, and then how it does."""
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
