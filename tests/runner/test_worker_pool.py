"""Concurrent tests: their order, their number, their end."""

import threading

from conformance.runner.worker_pool import WorkerPool

#: Longest wait for a required event, in seconds.
DEADLINE = 20.0


class Example:
    """Test that ends once `let` is set."""

    def __init__(self, begun: list["Example"], *, ends: bool = True) -> None:
        self._begun = begun
        self.let = threading.Event()
        self.ended = threading.Event()
        if ends:
            self.let.set()

    def run(self) -> None:
        self._begun.append(self)
        assert self.let.wait(DEADLINE)
        self.ended.set()


def test_tests_begin_in_their_order():
    begun: list[Example] = []
    tests = [Example(begun) for _ in range(20)]
    WorkerPool(tests, 1, lambda: False).start()
    assert tests[-1].ended.wait(DEADLINE)
    assert begun == tests


def test_one_that_takes_long_does_not_hold_up_the_others():
    begun: list[Example] = []
    slow, *others = Example(begun, ends=False), *(Example(begun) for _ in range(20))
    WorkerPool([slow, *others], 2, lambda: False).start()
    assert others[-1].ended.wait(DEADLINE)
    assert not slow.ended.is_set()
    slow.let.set()
    assert slow.ended.wait(DEADLINE)


def test_no_more_than_so_many_at_a_time():
    begun: list[Example] = []
    tests = [Example(begun, ends=False) for _ in range(4)]
    pool = WorkerPool(tests, 2, lambda: False)
    pool.start()
    tests[0].let.set()
    assert tests[0].ended.wait(DEADLINE)
    assert not pool.has_started(tests[3])
    for test in tests:
        test.let.set()
    assert all(test.ended.wait(DEADLINE) for test in tests)


def test_what_has_not_begun_when_the_run_is_stopped_never_does():
    begun: list[Example] = []
    stopped = threading.Event()
    first, second = Example(begun, ends=False), Example(begun)
    pool = WorkerPool([first, second], 1, stopped.is_set)
    pool.start()
    stopped.set()
    first.let.set()
    assert first.ended.wait(DEADLINE)
    assert not pool.has_started(second)
    assert second not in begun


def test_after_the_end_nothing_begins():
    begun: list[Example] = []
    first, second = Example(begun, ends=False), Example(begun)
    pool = WorkerPool([first, second], 1, lambda: False)
    pool.start()
    pool.stop()
    first.let.set()
    assert first.ended.wait(DEADLINE)
    assert not pool.has_started(second)
