"""The codec under drawn examples: any header text, any body, any cut over TCP segments, any group of frames."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from conformance.bench.marks import clauses, main_thread_only
from conformance.suite.stomp.properties import (
    PropertyRun,
    bodies,
    content_length_header,
    cut_positions,
    delivers_body,
    delivers_long_bodies,
    header_lists,
    split_at,
)
from conformance.wire.cutting import cut_repr
from conformance.wire.encoding import encode

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.stomp.loopback import Loopback

#: Seconds between the pieces of a message, so that the server reads them one by one.
PIECE_INTERVAL = 0.001
COUNTED = b"SEND\ncontent-length:<length>\n<destination>\n\n<body>\0"
UNCOUNTED = b"SEND\n<destination>\n\n<body>\0"
NOT_UTF_8 = b"\xff\xfe\x80"


def frame(loopback: Loopback, headers: list[tuple[str, str]], body: bytes) -> bytes:
    """A SEND to the topic of `loopback`."""
    pairs = [*loopback.destination.all_headers, *headers]
    return encode("SEND", [*pairs, *content_length_header(body)], body, loopback.client.version)


@clauses(
    "STOMP-SEND-004",
    "STOMP-ABNF-006",
    "STOMP-ENC-002",
    "STOMP-ENC-007",
    "STOMP-ENC-008",
    "STOMP-ENC-009",
)
@main_thread_only
def test_any_header_text_comes_back(bench: Bench) -> None:
    """Send headers with names and values of any characters; expect them unchanged in the MESSAGE."""
    run = PropertyRun(bench)

    def check(headers: list[tuple[str, str]]) -> None:
        with run.loopback() as loopback:
            loopback.client.send_octets(frame(loopback, headers, b"body"))
            came = loopback.receive(within=run.patience())
            lost = [header for header in headers if header not in came.headers]
            for clause in _clauses_of(*lost[0]) if lost else EACH:
                bench.judge(clause, not lost, expected=f"the headers {lost or headers}", observed=came.octets)

    check([("n\\:\n", "v\\:\n\\n"), ("plain", "plain"), (" blank ", " "), ("empty", "")])
    run.run(bench.examples(15, 120, 1000), check, headers=header_lists(bench.version))


EACH = (
    "STOMP-SEND-004",
    "STOMP-ABNF-006",
    "STOMP-ENC-002",
    "STOMP-ENC-007",
    "STOMP-ENC-008",
    "STOMP-ENC-009",
)
SPECIAL = re.compile(r"[\\:\n\r]")
LIKE_A_PAIR = re.compile(r"\\[nrc\\]")


def _clauses_of(name: str, value: str) -> tuple[str]:
    """The clause that the loss of this header most likely breaks."""
    if LIKE_A_PAIR.search(name) or LIKE_A_PAIR.search(value):
        return ("STOMP-ENC-009",)
    if SPECIAL.search(name):
        return ("STOMP-ENC-007",)
    if SPECIAL.search(value):
        return ("STOMP-ENC-002",)
    if not value:
        return ("STOMP-ABNF-006",)
    return ("STOMP-ENC-008",) if (name, value) != (name.strip(), value.strip()) else ("STOMP-SEND-004",)


@clauses("STOMP-SEND-005")
@main_thread_only
def test_any_body_comes_back(bench: Bench) -> None:
    """Send bodies of any octets, without NUL also uncounted; expect them octet for octet."""
    run = PropertyRun(bench)
    # Octets that are not UTF-8 need binary messages both ways, and a server of 1.0 need not count.
    nul = bench.version != "1.0" or delivers_body(bench, b"a\0b")
    kinds = bodies(utf_8=not delivers_body(bench, NOT_UTF_8), nul=nul, long=delivers_long_bodies(bench))

    def check(body: bytes, counted: bool) -> None:
        with run.loopback() as loopback:
            template = COUNTED if counted or b"\0" in body else UNCOUNTED
            loopback.send_octets(template, length=len(body), body=body)
            came = loopback.receive(within=run.patience(len(body)))
            bench.judge(
                "STOMP-SEND-005",
                came.body == body,
                expected=f"{body[:200]!r}",
                observed=cut_repr(came.octets, 600),
            )

    run.run(bench.examples(15, 120, 1000), check, body=kinds, counted=st.booleans())


@clauses("STOMP-FRAME-006", "STOMP-FRAME-005")
@main_thread_only
def test_any_frames_may_be_cut_anywhere(bench: Bench) -> None:
    """Send several frames as one stream, cut into TCP segments anywhere; expect a MESSAGE for each."""
    run = PropertyRun(bench)

    def check(texts: list[bytes], cuts: list[float]) -> None:
        with run.loopback() as loopback:
            client = loopback.client
            parts = split_at(client.link.wire(*(frame(loopback, [], text) for text in texts)), cuts)
            client.link.send_pieces(parts, lambda: client.listen(PIECE_INTERVAL))
            within = run.patience(sum(map(len, texts)))
            came = [loopback.receive(within=within).body for _ in texts]
            for clause in ("STOMP-FRAME-006", "STOMP-FRAME-005"):
                bench.judge(
                    clause, came == texts, expected=f"the bodies {texts!r:.300}", observed=f"{came!r:.300}"
                )

    nul = delivers_body(bench, b"a\0b")  # a server that cuts bodies at NUL breaks STOMP-CLEN-001, not these
    texts = bodies(utf_8=True, nul=nul, long=delivers_long_bodies(bench))
    run.run(
        bench.examples(12, 100, 800),
        check,
        texts=st.lists(texts, min_size=1, max_size=5),
        cuts=cut_positions(),
    )
