"""WebSocket messages as a stream, under generated examples: any split, any group, any fragments."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from conformance.bench.marks import clauses, main_thread_only
from conformance.models.minimizer import StopExamples
from conformance.suite.stomp.properties import (
    Trial,
    bodies,
    carries,
    carries_long,
    cut_places,
    length_of,
    pieces,
)
from conformance.suite.stomp.scene import Scene
from conformance.suite.websocket.test_messages import takes_binary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.loopback import Echo


def stream(echo: Echo, texts: list[bytes], ends: list[int]) -> bytes:
    """SEND frames with these bodies, each followed by its number of line ends."""
    frames = (
        echo.raw([f"{name}:{value}".encode() for name, value in length_of(text)], text) for text in texts
    )
    return b"".join(frame + b"\n" * count for frame, count in zip(frames, ends, strict=True))


def characters(octets: bytes, cuts: list[float]) -> list[bytes]:
    """Pieces of the octets as from `pieces`, but never cut inside of a character."""
    text = octets.decode()
    places = sorted({int(cut * len(text)) for cut in cuts} | {0, len(text)})
    return [text[begin:end].encode() for begin, end in itertools.pairwise(places)]


def came(echo: Echo, count: int, within: float) -> Iterator[bytes]:
    """Bodies of the messages that arrive, up to `count` of them; each may take `within` seconds."""
    for _ in range(count):
        message = echo.maybe(within=within)
        if message is None:
            return
        yield message.body


@clauses("STOMP-WS-003", "STOMP-WS-004")
@main_thread_only
def test_messages_are_cut_from_the_stream_at_any_place(bench: Bench) -> None:
    """Send several frames in messages that begin and end anywhere in the stream; expect every message back."""
    trial = Trial(bench)
    binary = takes_binary(Scene(bench))

    def check(texts: list[bytes], ends: list[int], cuts: list[float], is_binary: bool) -> None:
        with trial.echo() as echo:
            octets = stream(echo, texts, ends[: len(texts)])
            is_binary = is_binary and binary
            for piece in pieces(octets, cuts) if is_binary else characters(octets, cuts):
                echo.client.send_octets(piece, binary=is_binary)
            bodies_back = list(came(echo, len(texts), trial.patience(len(octets))))
            held = [
                bench.judge(
                    clause,
                    bodies_back == texts,
                    expected=f"the bodies {texts!r:.300}, cut at {cuts} of the whole",
                    observed=f"{bodies_back!r:.300}",
                )
                for clause in ("STOMP-WS-003", "STOMP-WS-004")
            ]
            if not all(held):
                raise StopExamples

    trial.run(
        bench.examples(15, 120, 1000),
        check,
        texts=st.lists(
            bodies(utf_8=True, nul=carries(bench, b"a\0b"), long=carries_long(bench)), min_size=1, max_size=4
        ),
        ends=st.lists(st.integers(0, 3), min_size=4, max_size=4),
        cuts=cut_places(),
        is_binary=st.booleans(),
    )


@clauses("STOMP-WS-005")
@main_thread_only
def test_any_fragments_make_one_message(bench: Bench) -> None:
    """Send a message in any fragments, also empty ones, with a ping between them or none; expect the message back."""
    trial = Trial(bench)

    def check(text: bytes, cuts: list[float], empty: bool, ping: bytes | None) -> None:
        with trial.echo() as echo:
            parts = pieces(stream(echo, [text], [0]), cuts)
            echo.client.link.send_fragments([b"", *parts, b""] if empty else parts, ping=ping)
            bodies_back = list(came(echo, 1, trial.patience(len(text))))
            bench.judge(
                "STOMP-WS-005",
                bodies_back == [text],
                expected=f"the body {text!r:.300}",
                observed=f"{bodies_back!r:.300}",
            )

    trial.run(
        bench.examples(15, 120, 1000),
        check,
        text=bodies(utf_8=True, nul=carries(bench, b"a\0b"), long=carries_long(bench)),
        cuts=cut_places(),
        empty=st.booleans(),
        ping=st.none() | st.binary(max_size=20),
    )
