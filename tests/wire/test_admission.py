"""Attempts at requests that a server refuses for now, or for good."""

from __future__ import annotations

import pytest

from conformance.wire import admission
from conformance.wire.admission import UNAVAILABLE, Admission
from conformance.wire.failures import Crowded

REQUEST = "POST /consumer/heartbeat"


@pytest.fixture
def of_a_test(monkeypatch: pytest.MonkeyPatch) -> Admission:
    """Admission of a test whose waits take no time."""
    one = Admission()
    monkeypatch.setattr(one.run.stopped, "wait", lambda _seconds: False)
    return one


def _refused(one: Admission, answers: str = REQUEST, **headers: str) -> int:
    """Number of attempts until the refusal is taken for the answer. Raises Crowded if it never is."""
    attempts, number = one.attempts(), 1
    while attempts.refused(UNAVAILABLE, headers, "503", answers):
        number += 1
    return number


def test_a_refusal_beside_other_tests_says_nothing(of_a_test: Admission) -> None:
    """It is waited out for a bounded time, and no other test knows it as an answer."""
    with pytest.raises(Crowded):
        _refused(of_a_test)
    assert not of_a_test.run.meant
    assert of_a_test.waited <= admission.DOUBT_SECONDS


def test_a_refusal_that_stays_for_a_test_alone_is_the_answer_from_then_on(of_a_test: Admission) -> None:
    """Later tests take it at once, and connect without pauses; other requests are tried as before."""
    of_a_test.is_alone = True
    assert _refused(of_a_test) > 1
    later = of_a_test.of_test()
    assert _refused(later) == 1
    assert later.run.pace.delay() == 0
    later.is_alone = True
    assert _refused(later, "POST /consumer/poll") > 1


@pytest.mark.parametrize(("answers", "headers"), [("", {}), (REQUEST, {"retry-after": "1"})])
def test_a_new_connection_and_a_request_to_come_back_are_no_answers(
    answers: str, headers: dict[str, str], of_a_test: Admission
) -> None:
    """Nothing is settled by them, though the request was refused for good before."""
    of_a_test.is_alone = True
    _refused(of_a_test)
    with pytest.raises(Crowded):
        _refused(of_a_test, answers, **headers)
