"""WebSocket messages as a stream, under generated examples: any split, any group, any fragments."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from conformance.bench.marks import clauses, main_thread_only
from conformance.models.minimizer import StopExamples
from conformance.suite.stomp.properties import (
    PropertyRun,
    bodies,
    cut_positions,
    delivers_body,
    delivers_long_bodies,
    split_at,
)
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.suite.websocket.links import websocket_of
from conformance.suite.websocket.test_messages import takes_binary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.loopback import Loopback


COUNTED = b"SEND\ncontent-length:<length>\n<destination>\n\n<body>\0"
UNCOUNTED = b"SEND\n<destination>\n\n<body>\0"


def stream(loopback: Loopback, texts: list[bytes], ends: list[int]) -> bytes:
    """SEND frames with these bodies, each followed by its number of line ends."""
    frames = (
        loopback.octets(COUNTED if b"\0" in text else UNCOUNTED, length=len(text), body=text)
        for text in texts
    )
    return b"".join(frame + b"\n" * count for frame, count in zip(frames, ends, strict=True))


def characters(octets: bytes, cuts: list[float]) -> list[bytes]:
    """Pieces of the octets as from `pieces`, but never cut inside of a character."""
    text = octets.decode()
    places = sorted({int(cut * len(text)) for cut in cuts} | {0, len(text)})
    return [text[begin:end].encode() for begin, end in itertools.pairwise(places)]


def came(loopback: Loopback, count: int, within: float) -> Iterator[bytes]:
    """Bodies of the messages that arrive, up to `count` of them; each may take `within` seconds."""
    for _ in range(count):
        message = loopback.message_or_none(within=within)
        if message is None:
            return
        yield message.body


@clauses("STOMP-WS-003", "STOMP-WS-004")
@main_thread_only
def test_messages_are_cut_from_the_stream_at_any_place(bench: Bench) -> None:
    """Send several frames in messages that begin and end anywhere in the stream; expect every message back."""
    run = PropertyRun(bench)
    binary = takes_binary(StompFixture(bench))

    def check(texts: list[bytes], ends: list[int], cuts: list[float], is_binary: bool) -> None:
        with run.loopback() as loopback:
            octets = stream(loopback, texts, ends[: len(texts)])
            is_binary = is_binary and binary
            for piece in split_at(octets, cuts) if is_binary else characters(octets, cuts):
                loopback.client.send_octets(piece, binary=is_binary)
            bodies_back = list(came(loopback, len(texts), run.patience(len(octets))))
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

    run.run(
        bench.examples(15, 120, 1000),
        check,
        texts=st.lists(
            bodies(utf_8=True, nul=delivers_body(bench, b"a\0b"), long=delivers_long_bodies(bench)),
            min_size=1,
            max_size=4,
        ),
        ends=st.lists(st.integers(0, 3), min_size=4, max_size=4),
        cuts=cut_positions(),
        is_binary=st.booleans(),
    )


@clauses("STOMP-WS-005")
@main_thread_only
def test_any_fragments_make_one_message(bench: Bench) -> None:
    """Send a message in any fragments, also empty ones, with a ping between them or none; expect the message back."""
    run = PropertyRun(bench)

    def check(text: bytes, cuts: list[float], empty: bool, ping: bytes | None) -> None:
        with run.loopback() as loopback:
            parts = split_at(stream(loopback, [text], [0]), cuts)
            websocket_of(loopback.client).send_fragments([b"", *parts, b""] if empty else parts, ping=ping)
            bodies_back = list(came(loopback, 1, run.patience(len(text))))
            bench.judge(
                "STOMP-WS-005",
                bodies_back == [text],
                expected=f"the body {text!r:.300}",
                observed=f"{bodies_back!r:.300}",
            )

    run.run(
        bench.examples(15, 120, 1000),
        check,
        text=bodies(utf_8=True, nul=delivers_body(bench, b"a\0b"), long=delivers_long_bodies(bench)),
        cuts=cut_positions(),
        empty=st.booleans(),
        ping=st.none() | st.binary(max_size=20),
    )
