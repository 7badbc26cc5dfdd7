"""Status, words, time and memory of the suite before each of the bad servers."""

from __future__ import annotations

import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from conformance.targets.server_process import running_server
from tests.hostile.judging import MIB, Ended, judged
from tests.hostile.servers import BEHAVIOURS

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY = 512 * MIB
FIRST_CONTACT_SECONDS = 30.0
#: Time for the few clauses that are asked for: far less than the three minutes of a whole run.
SECONDS = 60.0
#: Runs at a time: most of them wait.
TOGETHER = 4
#: Longest sentences of a first contact, in characters.
SENTENCE = 2000
CONNECT = ("--class", "stomp-1.2", "--clause", "STOMP-CONNECT-001", "--clause", "STOMP-SEND-001")
POST = ("--class", "queue-http", "--clause", "HTTP-POST-1", "--clause", "TOPIC-ADD-1")


@dataclass(frozen=True)
class Case:
    """One bad server: the options of the run, its status, and what it says."""

    name: str
    status: int
    said: str
    options: tuple[str, ...] = ()
    seconds: float = SECONDS


FIRST_CONTACT = [
    Case("capabilities_at_16_kb_a_second", 2, "no whole reply in time"),
    Case("capabilities_octet_by_octet", 2, "no whole reply in time"),
    Case("header_lines_without_end", 2, "no whole reply in time"),
    Case("many_header_lines_without_end", 2, "more than 100 headers"),
    Case("one_header_line_without_end", 2, "65536"),
    Case("interim_replies_without_end", 2, "no longer than the suite reads"),
    Case("a_body_of_2_gib", 2, "2147483648 octets"),
    Case("a_body_to_the_end_that_never_comes", 2, "a body of at most 1048576 octets"),
    Case("capabilities_of_100_mb", 2, "a body of at most 1048576 octets"),
    Case("deep_capabilities", 2, "JSON of at most 64 levels"),
    Case("chunk_size_below_zero", 2, "the chunk size b'-5"),
    Case("an_upgrade_with_a_status_of_5000_digits", 2, "Invalid status line"),
]
RUNS = [
    Case("a_frame_without_end", 1, "STOMP-CONNECT-001", CONNECT),
    Case("a_frame_octet_by_octet", 1, "STOMP-CONNECT-001", CONNECT),
    Case("a_frame_of_the_highest_length", 1, "a frame of 9223372036854775807", CONNECT),
    Case("long_messages", 1, "STOMP-CONNECT-001", CONNECT),
    Case("long_messages_later", 1, "a frame of", CONNECT),
    Case("masked_frames", 1, "a masked frame of the server", CONNECT),
    Case("pings_without_end", 1, "pings and pongs", CONNECT),
    Case("pings_without_end_later", 1, "pings and pongs", CONNECT),
    Case("fragments_without_end", 1, "fragments", CONNECT),
    Case("long_fragments_without_end", 1, "fragments", CONNECT),
    Case("empty_fragments_without_end", 1, "fragments", CONNECT),
    Case("deflate_that_nobody_asked_for", 1, "a reserved bit", CONNECT),
    Case("a_long_close_frame", 1, "a control frame", CONNECT),
    Case("handshake_headers_without_end", 1, "answer to the upgrade", CONNECT),
    Case("one_handshake_header_without_end", 1, "answer to the upgrade", CONNECT),
    Case("a_refusal_with_a_body_without_end", 1, "answer to the upgrade", CONNECT),
    Case("connected_with_a_million_headers", 1, "a frame of", CONNECT),
    Case("connected_with_many_headers", 1, "a head of", CONNECT),
    Case("messages_without_end", 1, "frames", CONNECT),
    Case("tiny_frames_in_one_message", 1, "fewer frames at once", CONNECT),
    Case("line_ends_without_end", 1, "STOMP-SEND-001", CONNECT),
    Case("a_head_without_end", 1, "STOMP-SEND-001", CONNECT),
    Case("deep_stomp_replies", 1, "JSON of at most", ("--class", "queue-stomp", "--clause", "TOPIC-ADD-1")),
    Case("replies_at_16_kb_a_second", 1, "HTTP-POST-1", POST),
    Case("replies_with_a_chunk_below_zero", 1, "the chunk size b'-5", POST),
    Case("replies_with_a_chunk_that_is_no_number", 1, "the chunk size b'0x5", POST),
    Case("replies_with_a_chunk_without_end", 1, "octets or more", POST),
    Case("replies_with_a_length_below_zero", 1, "the content-length '-5'", POST),
    Case("replies_with_two_lengths", 1, "the content-length '5, 6'", POST),
    Case("replies_with_a_length_of_5000_digits", 1, "9… octets or more", POST),
    Case("deep_replies", 1, "JSON of at most 64 levels", POST),
    Case("replies_900_levels_deep", 1, "JSON of at most 64 levels", POST),
    Case("wide_replies", 1, "HTTP-POST-1", POST),
]


def _run(case: Case) -> Ended:
    with running_server(f"{sys.executable} -m tests.hostile.servers {case.name}") as url:
        return judged(url, "--effort", "quick", *case.options, within=case.seconds)


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Ended]]]:
    """The runs of the selected tests, some at a time."""
    selected = {
        item.callspec.params.get("case") for item in request.session.items if hasattr(item, "callspec")
    }
    with ThreadPoolExecutor(TOGETHER) as pool:
        yield {case.name: pool.submit(_run, case) for case in [*FIRST_CONTACT, *RUNS] if case in selected}
        pool.shutdown(cancel_futures=True)


def expect(case: Case, ended: Ended) -> None:
    """Status and words of a case, and what holds for all of them."""
    told = f"{ended.status} after {ended.seconds:.0f} s, {ended.memory // MIB} MiB: {ended.out}{ended.err}"
    assert ended.status == case.status, told
    assert case.said in ended.said, told
    assert "Traceback" not in ended.said, told
    assert "mistake of the suite" not in ended.said, told
    assert "suite itself failed" not in ended.said, told
    assert ended.memory <= MEMORY, told


@pytest.mark.parametrize("case", FIRST_CONTACT, ids=lambda case: case.name)
def test_the_first_contact_ends_with_a_sentence(runs: dict[str, Future[Ended]], case: Case) -> None:
    ended = runs[case.name].result()
    expect(case, ended)
    assert ended.seconds <= FIRST_CONTACT_SECONDS
    assert len(ended.err.strip().splitlines()) == 1
    assert len(ended.err) <= SENTENCE


@pytest.mark.parametrize("case", RUNS, ids=lambda case: case.name)
def test_a_bad_answer_counts_against_the_clause_that_promises_it(
    runs: dict[str, Future[Ended]], case: Case
) -> None:
    expect(case, runs[case.name].result())


def test_every_behaviour_is_tried() -> None:
    assert {case.name for case in [*FIRST_CONTACT, *RUNS]} == set(BEHAVIOURS)
