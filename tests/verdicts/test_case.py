"""Record that one test leaves in the run."""

import pytest

from conformance.verdicts.case import FAILURES_KEPT, OBSERVED_LENGTH, find_failure
from conformance.verdicts.recorder import Recorder
from conformance.verdicts.verdicts import Key, Stop, Waiver
from conformance.wire.cutting import ELLIPSIS
from conformance.wire.failures import PeerFailure, Violation
from tests.verdicts.recording import (
    ALL,
    BOOK,
    FRAME,
    HTTP,
    MAY,
    MUST,
    ROOT,
    SHOULD,
    case_in,
    check,
    recorder_of,
    tally,
)

# Assertions


def test_what_holds_is_counted_when_the_test_has_ended(recorder: Recorder):
    case = case_in(recorder, MUST)
    assert check(case, MUST, True)
    assert check(case, MUST, True)
    assert tally(recorder, MUST).held == 0
    case.finish(None)
    assert tally(recorder, MUST).held == 2
    assert tally(recorder, MUST).tests == {"test_it"}


def test_a_must_that_fails_ends_the_test(recorder: Recorder):
    case = case_in(recorder, MUST, SHOULD)
    with pytest.raises(Violation, match=MUST) as raised:
        check(case, MUST, False)
    case.finish(raised.value)
    [failure] = tally(recorder, MUST).failures
    assert (failure.clause, failure.binding, failure.test) == (MUST, HTTP, "test_it")
    assert (failure.expected, failure.observed) == ("an answer", "silence")
    assert tally(recorder, SHOULD).stops == [Stop("test_it", MUST)]


def test_a_test_learns_what_others_have_shown(recorder: Recorder):
    """A failure is known to other tests once the test that showed it has ended."""
    first, second = case_in(recorder, MUST), case_in(recorder, MUST)
    with pytest.raises(Violation) as raised:
        check(first, MUST, False)
    assert not first.failed_elsewhere(MUST)
    assert not second.failed_elsewhere(MUST)
    first.finish(raised.value)
    assert second.failed_elsewhere(MUST)


def test_a_test_goes_on_after_a_known_deviation_that_says_so():
    columns = {clause.id: clause.columns((HTTP, "stomp-1.2"), ()) for clause in BOOK}
    recorder = Recorder(BOOK, columns, [Waiver(MUST, "it says 400 and does it", (HTTP,), goes_on=True)])
    case = case_in(recorder, MUST, SHOULD)
    assert not check(case, MUST, False)
    assert check(case, SHOULD, True)
    case.finish(None)
    assert len(tally(recorder, MUST).failures) == 1
    assert tally(recorder, SHOULD).held == 1


def test_a_test_ends_at_a_known_deviation_that_does_not_say_so():
    columns = {clause.id: clause.columns((HTTP,), ()) for clause in BOOK}
    recorder = Recorder(BOOK, columns, [Waiver(MUST, "it is shy")])
    with pytest.raises(Violation):
        check(case_in(recorder, MUST), MUST, False)


def test_a_should_that_fails_does_not_end_the_test(recorder: Recorder):
    case = case_in(recorder, SHOULD, MUST)
    assert not check(case, SHOULD, False)
    assert check(case, MUST, True)
    case.finish(None)
    assert tally(recorder, SHOULD).broken == 1
    assert not tally(recorder, SHOULD).stops
    assert tally(recorder, MUST).held == 1


def test_a_may_never_fails(recorder: Recorder):
    case = case_in(recorder, MAY)
    assert not check(case, MAY, False)
    case.finish(None)
    assert not tally(recorder, MAY).failures
    assert tally(recorder, MAY).observations == ["not so: silence"]
    assert not tally(recorder, MAY).stops, "it was looked at"


def test_a_clause_that_no_chapter_has_is_a_mistake(recorder: Recorder):
    with pytest.raises(KeyError):
        check(case_in(recorder, MUST), "NOWHERE-1", True)


def test_what_is_seen_or_skipped_is_written_down_once(recorder: Recorder):
    case = case_in(recorder, MUST, MAY)
    for _ in range(100):
        case.observed(MAY, "it rounds down")
        case.skip(MUST, "no way to see")
    case.finish(None)
    assert tally(recorder, MAY).observations == ["it rounds down"]
    assert tally(recorder, MUST).skips == ["no way to see"]
    assert not tally(recorder, MUST).stops


def test_only_the_first_failures_are_kept_and_all_are_counted(recorder: Recorder):
    case = case_in(recorder, SHOULD)
    for number in range(10):
        case.judge(SHOULD, False, expected="an answer", observed=number)
    assert tally(recorder, SHOULD).broken == 10
    assert [failure.observed for failure in tally(recorder, SHOULD).failures] == ["0", "1", "2"][
        :FAILURES_KEPT
    ]


def test_what_was_observed_is_kept_up_to_a_length(recorder: Recorder):
    case_in(recorder, SHOULD).judge(SHOULD, False, expected="little", observed="x" * 1_000_000)
    assert tally(recorder, SHOULD).failures[0].observed == "x" * OBSERVED_LENGTH + ELLIPSIS


# Evidence


def test_a_failure_has_the_evidence_of_its_moment(recorder: Recorder):
    steps: list[str] = ["open"]
    case = case_in(recorder, SHOULD, evidence=lambda: (list(steps), [FRAME]))
    check(case, SHOULD, False)
    steps.append("close")
    [failure] = tally(recorder, SHOULD).failures
    assert failure.steps == ("open",)
    assert failure.frames == (FRAME,)


def test_the_evidence_that_a_failure_brings_goes_before_that_of_the_end(recorder: Recorder):
    case = case_in(recorder, MUST, evidence=lambda: (["the last example"], []))
    violation = Violation(MUST, "an answer", "silence")
    violation.evidence = (["the smallest example"], [FRAME])
    case.finish(violation)
    assert tally(recorder, MUST).failures[0].steps == ("the smallest example",)


# The end of a test


def test_a_peer_that_fails_counts_for_the_first_clause_that_is_open(recorder: Recorder):
    case = case_in(recorder, MAY, SHOULD, MUST)
    check(case, SHOULD, True)
    case.finish(PeerFailure("a reply", "the connection was closed"))
    assert tally(recorder, MUST).failures[0].expected == "a reply"
    assert not tally(recorder, SHOULD).failures
    assert tally(recorder, MAY).stops == [Stop("test_it", MUST)]


def test_silence_counts_for_the_clause_that_promises_the_answer(recorder: Recorder):
    """The test of another clause isn't charged for an answer that never came."""
    case = case_in(recorder, SHOULD)
    case.finish(PeerFailure("a reply", "nothing", promise=MUST))
    assert tally(recorder, MUST).failures[0].observed == "nothing"
    assert not tally(recorder, SHOULD).failures
    assert tally(recorder, SHOULD).stops == [Stop("test_it", MUST)]


def test_a_promise_that_is_not_judged_leaves_silence_to_the_test(recorder: Recorder):
    """A server that doesn't claim the class of the promise is judged by the test's own clause."""
    case = case_in(recorder, MUST)
    case.finish(PeerFailure("a reply", "nothing", promise="NOWHERE-1"))
    assert tally(recorder, MUST).broken == 1


def test_a_peer_that_fails_after_everything_was_asserted_counts_all_the_same(recorder: Recorder):
    case = case_in(recorder, MUST)
    check(case, MUST, True)
    case.finish(PeerFailure("a reply", "the connection was closed"))
    assert tally(recorder, MUST).broken == 1


def test_a_peer_that_fails_where_only_a_may_is_open_breaks_what_is_required(recorder: Recorder):
    case = case_in(recorder, MAY)
    case.finish(PeerFailure("a reply", "the connection was closed"))
    assert not tally(recorder, MAY).failures, "a MAY can't be broken"
    assert "the connection was closed" in tally(recorder, MAY).observations[0]


def test_a_mistake_of_the_suite_counts_for_what_is_open(recorder: Recorder):
    case = case_in(recorder, MUST, SHOULD)
    check(case, MUST, True)
    case.finish(KeyError("x"))
    assert tally(recorder, MUST).held == 1
    assert not tally(recorder, MUST).errors
    assert tally(recorder, SHOULD).errors == ["test_it: KeyError: 'x'"]
    assert not tally(recorder, SHOULD).stops


def test_a_mistake_after_everything_was_asserted_counts_for_all(recorder: Recorder):
    case = case_in(recorder, MUST)
    check(case, MUST, True)
    case.finish(KeyError("x"))
    assert tally(recorder, MUST).errors


def test_a_violation_of_an_unknown_clause_is_a_mistake_of_the_suite(recorder: Recorder):
    case = case_in(recorder, MUST)
    case.finish(Violation("NOWHERE-1", "an answer", "silence"))
    assert tally(recorder, MUST).errors
    assert not tally(recorder, MUST).failures


def test_a_test_that_asserts_nothing_leaves_its_clauses_open(recorder: Recorder):
    case_in(recorder, *ALL).finish(None)
    assert all(tally(recorder, clause).stops == [Stop("test_it", None)] for clause in ALL)


def test_a_failed_must_counts_also_where_the_test_catches_it(recorder: Recorder):
    case = case_in(recorder, MUST)
    with pytest.raises(Violation):
        check(case, MUST, False)
    case.finish(None)
    assert tally(recorder, MUST).broken == 1


def test_a_failed_must_counts_also_where_the_suite_breaks_after_it(recorder: Recorder):
    case = case_in(recorder, MUST, SHOULD)
    with pytest.raises(Violation):
        check(case, MUST, False)
    case.finish(KeyError("in the clean-up"))
    assert tally(recorder, MUST).broken == 1
    assert tally(recorder, SHOULD).errors


def test_a_test_that_is_cut_short_keeps_what_it_asserted(recorder: Recorder):
    case = case_in(recorder, MUST, ROOT, SHOULD)
    check(case, ROOT, True)
    with pytest.raises(Violation):
        check(case, MUST, False)
    case.finish_cut_short()
    assert tally(recorder, ROOT).held == 1
    assert tally(recorder, MUST).broken == 1
    assert not tally(recorder, SHOULD).stops


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_a_failure_is_found_in_groups(depth: int):
    error: Exception = Violation(MUST, "an answer", "silence")
    for _ in range(depth):
        error = ExceptionGroup("Hypothesis found 2 distinct failures", [KeyError("x"), error])
    found = find_failure(error)
    assert isinstance(found, Violation)
    assert find_failure(KeyError("x")) is None


def test_of_a_group_the_violation_counts_rather_than_the_closed_connection():
    group = ExceptionGroup("two", [PeerFailure("a", "b"), Violation(MUST, "c", "d")])
    assert isinstance(find_failure(group), Violation)


# Columns


def test_clauses_that_are_not_judged_in_the_binding_are_no_part_of_the_test(recorder: Recorder):
    case = case_in(recorder, MUST, "TALK-1")
    assert case.clauses == [MUST]
    assert Key("TALK-1", HTTP) not in recorder.tallies


def test_what_a_session_does_wrong_belongs_to_its_version_of_stomp(recorder: Recorder):
    case = case_in(recorder, MUST)
    with pytest.raises(Violation) as raised:
        check(case, "TALK-1", False)
    case.finish(raised.value)
    assert tally(recorder, "TALK-1", "stomp-1.2").broken == 1
    assert tally(recorder, MUST).stops == [Stop("test_it", "TALK-1")]


def test_a_clause_without_a_column_falls_to_the_first_open_one_of_the_test():
    recorder = recorder_of(HTTP)
    case = case_in(recorder, MUST)
    with pytest.raises(PeerFailure) as raised:
        check(case, "TALK-1", False)
    case.finish(raised.value)
    assert "TALK-1" in tally(recorder, MUST).failures[0].expected
    assert set(recorder.tallies) == {Key(MUST, HTTP)}


def test_a_should_without_a_column_is_left_out():
    recorder = recorder_of(HTTP)
    case = case_in(recorder, MUST)
    assert not check(case, "TALK-2", False)
    assert set(recorder.tallies) == {Key(MUST, HTTP)}
