"""Recorders and cases for the tests."""

from conformance.verdicts.case import Case
from conformance.verdicts.recorder import Recorder
from conformance.verdicts.verdicts import Key
from conformance.wire.trace import TraceEntry
from tests.verdicts import books

BOOK = books.book()
HTTP = "queue-http"
MUST, ROOT, SHOULD, MAY = "ACCOUNT-CLOSE-1", "ACCOUNT-PAY-1", "ACCOUNT-PAY-2", "ACCOUNT-PAY-3"
ALL = (MUST, SHOULD, MAY)
FRAME = TraceEntry(0.1, "http-1", ">", "http", b"GET /", 5)


def recorder_of(*bindings: str) -> Recorder:
    """Recorder of a run on a server with these classes."""
    return Recorder(BOOK, {clause.id: clause.columns(bindings, ()) for clause in BOOK})


def case_in(recorder: Recorder, *clauses: str, binding: str = HTTP, evidence=lambda: ((), ())) -> Case:
    recorder.plan("test_it", clauses, binding)
    return Case(recorder, "test_it", clauses, binding, version="1.2", evidence=evidence)


def tally(recorder: Recorder, clause: str, binding: str = HTTP):
    return recorder.tallies[Key(clause, binding)]


def check(case: Case, clause: str, ok: bool) -> bool:
    return case.judge(clause, ok, expected="an answer", observed="silence")
