"""Properties over a live connection: examples drawn by Hypothesis, one session for as long as it works."""

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
from conformance.suite.stomp.loopback import Echo
from conformance.suite.stomp.scene import Scene
from conformance.wire.failures import PeerFailure, Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypothesis.strategies import SearchStrategy

    from conformance.bench.bench import Bench

#: Seconds for finding a smaller example than the first that failed, by effort.
SHRINK_SECONDS = (2, 8, 30)
#: Seconds that an answer may take while a smaller example is looked for.
SHRINK_PATIENCE = 0.5
#: Names like those to which STOMP or a broker gives a meaning, such as `reply-to` (STOMP-SEND-004).
RESERVED = re.compile(r"[a-z_-]+", re.IGNORECASE)
#: Octets of bodies that WebSocket counts with eight octets, or nearly; a server may refuse them (STOMP-LIMIT-003).
LENGTHS = [65_535, 65_536, 70_000]


class Trial:
    """The examples of one property: a session that is made anew after trouble, and the first failure."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._minimizer = Minimizer(bench.examples(*SHRINK_SECONDS), bench.is_known, bench.has_run_ended)
        self._echo: Echo | None = None

    def patience(self, octets: int = 0) -> float:
        """Seconds to wait for an answer to so many octets, which come back."""
        if self._minimizer.failure is not None:
            return SHRINK_PATIENCE
        return self.bench.patience_for(octets)

    @contextmanager
    def echo(self) -> Iterator[Echo]:
        """A session for one example."""
        echo, self._echo = self._echo or Echo(Scene(self.bench)), None
        yield echo
        self._echo = echo  # not after an exception: nobody knows what is still on its way

    def run(self, examples: int, check: Callable[..., None], **strategies: SearchStrategy[Any]) -> None:
        """Try so many examples; raises the first failure, in the smallest example found, and records its steps."""

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


def carries(bench: Bench, body: bytes) -> bool:
    """Whether a counted body comes back as it was: what a property may draw from depends on it."""
    echo = Echo(Scene(bench))
    echo.client.send_octets(echo.raw([b"content-length:%d" % len(body)], body))
    echo.client.send_octets(echo.raw(body=b"marker"))
    try:
        return echo.hear().body == body
    except (PeerFailure, Violation):  # either has a test of its own
        return False


def header_texts(version: str, smallest: int) -> SearchStrategy[str]:
    """Any text that a header of a version may hold: no NUL, and no CR before 1.2 wrote it as a pair."""
    forbidden = "\0" if version == "1.2" else "\0\r"
    common = st.text(
        st.sampled_from("\\\\:\n nrc" + ("\r" if version == "1.2" else "")), min_size=smallest, max_size=8
    )
    anything = st.text(
        st.characters(codec="utf-8", exclude_characters=forbidden), min_size=smallest, max_size=30
    )
    return st.one_of(anything, common)


def header_lists(version: str) -> SearchStrategy[list[tuple[str, str]]]:
    """User-defined headers with different names."""
    names = header_texts(version, 1).filter(lambda name: not RESERVED.fullmatch(name.strip()))
    return st.lists(st.tuples(names, header_texts(version, 0)), max_size=5, unique_by=lambda pair: pair[0])


def carries_long(bench: Bench) -> bool:
    """Whether bodies may be drawn that are as long as LENGTHS; quickly, none are."""
    return bench.effort is not Effort.QUICK and carries(bench, b"x" * max(LENGTHS))


def bodies(*, utf_8: bool, nul: bool, long: bool) -> SearchStrategy[bytes]:
    """Bodies of all kinds, some as long as the lengths at which WebSocket changes its header.

    Those with NUL, which have to be counted, are ASCII where they are UTF-8: whether a server counts octets or
    characters is not the question (STOMP-CLEN-006).
    """
    sizes = [125, 126, 127, *(LENGTHS if long else [])]
    kinds = [
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200).map(str.encode),
        st.sampled_from(sizes).map(lambda size: b"x" * size),
    ]
    if nul:
        kinds.append(st.text(st.sampled_from("\0\n\r:\\aS"), max_size=20).map(str.encode))
    if not utf_8:
        octets = st.binary(max_size=500)
        kinds.append(octets if nul else octets.map(lambda body: body.replace(b"\0", b"\1")))
    return st.one_of(kinds)


def length_of(body: bytes) -> list[tuple[str, str]]:
    """The header by which a body is counted; none where it needs none."""
    return [("content-length", str(len(body)))] if b"\0" in body else []


def pieces(octets: bytes, cuts: list[float]) -> list[bytes]:
    """The octets cut at these places, given as shares of the whole; empty pieces are left out."""
    places = sorted({int(cut * len(octets)) for cut in cuts} | {0, len(octets)})
    return [octets[begin:end] for begin, end in itertools.pairwise(places)]


def cut_places() -> SearchStrategy[list[float]]:
    """Places to cut at, as shares of the whole."""
    return st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=6)
