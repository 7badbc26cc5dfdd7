"""Tallies of a run: blocked tests, tests that never ran, threads."""

import threading

from conformance.verdicts.case import FAILURES_KEPT
from conformance.verdicts.recorder import Recorder
from conformance.verdicts.verdicts import Stop
from conformance.wire.failures import Violation
from tests.verdicts.recording import HTTP, MAY, MUST, ROOT, SHOULD, case_in, check, tally


def break_(recorder: Recorder, clause: str, *, held: int = 0) -> None:
    case = case_in(recorder, clause)
    for _ in range(held):
        check(case, clause, True)
    case.finish(Violation(clause, "an answer", "silence"))


def test_a_test_is_blocked_when_a_root_of_all_its_clauses_never_held(recorder: Recorder):
    assert recorder.failed_root([MUST, SHOULD], HTTP) is None
    break_(recorder, ROOT)
    assert recorder.failed_root([MUST, SHOULD], HTTP) == ROOT
    assert recorder.failed_root([MUST, MAY], HTTP) is None, "a MAY of the test doesn't depend on it"
    assert recorder.failed_root(["TALK-1"], HTTP) is None, "nothing of the test is judged here"


def test_a_root_that_held_at_times_leaves_hope(recorder: Recorder):
    break_(recorder, ROOT, held=1)
    assert recorder.failed_root([MUST], HTTP) is None


def test_what_is_not_run_for_want_of_hope_or_time_is_recorded(recorder: Recorder):
    recorder.stop("test_it", [MUST, "TALK-1"], HTTP, ROOT)
    recorder.never_run([SHOULD, "TALK-1"], HTTP, "interrupted")
    assert tally(recorder, MUST).stops == [Stop("test_it", ROOT)]
    assert tally(recorder, SHOULD).never_run == ["interrupted"]
    assert len(recorder.tallies) == 2


def test_several_threads_lose_no_count(recorder: Recorder):
    def work() -> None:
        for _ in range(50):
            case = case_in(recorder, MUST, SHOULD)
            check(case, MUST, True)
            check(case, SHOULD, False)
            case.finish(None)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally(recorder, MUST).held == tally(recorder, SHOULD).broken == 400
    assert len(tally(recorder, SHOULD).failures) == FAILURES_KEPT
