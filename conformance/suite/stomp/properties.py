"""Properties over a live connection: Hypothesis draws the examples, which share a session while they succeed."""

from __future__ import annotations

import itertools
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from conformance.models.minimizer import Minimizer, StopExamples
from conformance.run.group_clock import Interrupted
from conformance.run.options import Effort
from conformance.suite.stomp.loopback import Loopback
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure, Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypothesis.strategies import SearchStrategy

    from conformance.bench.bench import Bench

#: Seconds to search for a smaller example than the first that failed, by effort.
SHRINK_SECONDS = (2, 8, 30)
#: Seconds that an answer may take during the search for a smaller example.
SHRINK_PATIENCE = 0.5
#: Names like those to which STOMP or a broker gives a meaning, such as `reply-to` (STOMP-SEND-004).
RESERVED = re.compile(r"[a-z_-]+", re.IGNORECASE)
#: Octets of bodies that WebSocket counts with eight octets, or nearly; a server may refuse them (STOMP-LIMIT-003).
LENGTHS = [65_535, 65_536, 70_000]


class PropertyRun:
    """The examples of one property: they share a session until one fails; the first failure is kept."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._minimizer = Minimizer(bench.examples(*SHRINK_SECONDS), bench.is_known, bench.has_run_ended)
        self._loopback: Loopback | None = None

    def patience(self, octets: int = 0) -> float:
        """Seconds to wait for an answer to so many octets, which come back."""
        if self._minimizer.failure is not None:
            return SHRINK_PATIENCE
        return self.bench.patience_for(octets)

    @contextmanager
    def loopback(self) -> Iterator[Loopback]:
        """A session for one example; a new one after an example that raised."""
        loopback, self._loopback = self._loopback or Loopback(StompFixture(self.bench)), None
        yield loopback
        self._loopback = loopback  # not after an exception: answers may still be on their way

    def run(self, examples: int, check: Callable[..., None], **strategies: SearchStrategy[Any]) -> None:
        """Try so many examples; raises the first failure by the smallest example found, and records its steps."""

        @self.bench.hypothesis(examples)
        @given(**strategies)
        def example(**drawn: Any) -> None:
            self._minimizer.check_time()
            self.bench.forget()
            try:
                check(**drawn)
            except Exception as failure:  # noqa: BLE001  the search keeps it, and it is raised below
                raise self._minimizer.keep_shortest(
                    failure, (f"{name} = {drawn[name]!r}" for name in drawn)
                ) from None

        try:
            example()
        except (
            StopExamples
        ) as stop:  # the time is up, or a SHOULD failed and was recorded, or the run has ended
            if self.bench.has_run_ended() and self._minimizer.failure is None:
                raise Interrupted("the run ended during a property") from stop
        except Exception:
            if self._minimizer.failure is None:
                raise
        if self._minimizer.failure is not None:
            for line in self._minimizer.program:
                self.bench.step(line)
            raise self._minimizer.failure


def delivers_body(bench: Bench, body: bytes) -> bool:
    """True if the server delivers a counted body unchanged; properties draw their bodies by it."""
    loopback = Loopback(StompFixture(bench))
    loopback.send_octets(
        b"SEND\ncontent-length:<length>\n<destination>\n\n<body>\0", length=len(body), body=body
    )
    loopback.send_octets(b"SEND\n<destination>\n\nmarker\0")
    try:
        return loopback.receive().body == body
    except (PeerFailure, Violation):  # either has a test of its own
        return False


def header_texts(version: str, smallest: int) -> SearchStrategy[str]:
    """Any text that a header of a version may hold: without NUL, and without CR before 1.2."""
    forbidden = "\0" if version == "1.2" else "\0\r"
    common = st.text(
        st.sampled_from("\\\\:\n nrc" + ("\r" if version == "1.2" else "")), min_size=smallest, max_size=8
    )
    anything = st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters=forbidden), min_size=smallest, max_size=30
    )
    return st.one_of(anything, common)


def header_lists(version: str) -> SearchStrategy[list[tuple[str, str]]]:
    """User-defined headers with different names."""
    names = header_texts(version, 1).filter(lambda name: not RESERVED.fullmatch(name.strip()))
    return st.lists(st.tuples(names, header_texts(version, 0)), max_size=5, unique_by=lambda pair: pair[0])


def delivers_long_bodies(bench: Bench) -> bool:
    """True if bodies as long as LENGTHS may be drawn; never with quick effort."""
    return bench.effort is not Effort.QUICK and delivers_body(bench, b"x" * max(LENGTHS))


def bodies(*, utf_8: bool, nul: bool, long: bool) -> SearchStrategy[bytes]:
    """Bodies of all kinds, some with the lengths at which WebSocket changes its header.

    Bodies with NUL must be counted. They are ASCII with `utf_8`, so that a server that counts characters, which is
    judged elsewhere (STOMP-CLEN-006), delivers them too.
    """
    sizes = [125, 126, 127, *(LENGTHS if long else [])]
    kinds = [
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200).map(
            str.encode
        ),
        st.sampled_from(sizes).map(lambda size: b"x" * size),
    ]
    if nul:
        kinds.append(st.text(st.sampled_from("\0\n\r:\\aS"), max_size=20).map(str.encode))
    if not utf_8:
        octets = st.binary(max_size=500)
        kinds.append(octets if nul else octets.map(lambda body: body.replace(b"\0", b"\1")))
    return st.one_of(kinds)


def content_length_header(body: bytes) -> list[tuple[str, str]]:
    """The `content-length` header of a body with NUL; none for other bodies."""
    return [("content-length", str(len(body)))] if b"\0" in body else []


def split_at(octets: bytes, cuts: list[float]) -> list[bytes]:
    """The octets cut at these places, given as shares of the whole, without empty pieces."""
    places = sorted({int(cut * len(octets)) for cut in cuts} | {0, len(octets)})
    return [octets[begin:end] for begin, end in itertools.pairwise(places)]


def cut_positions() -> SearchStrategy[list[float]]:
    """Places to cut at, as shares of the whole."""
    return st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=6)
