"""Threads that serve one connection after another."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from reference_server.server import threads
from reference_server.server.threads import Threads
from tests.server.wire import DEADLINE, Http

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.server.conftest import Serve


def idents_of(pool: Threads, works: int) -> list[int]:
    """Threads of so many works, each begun once the last one is over and its thread waits again."""
    found = []
    for _ in range(works):
        over = threading.Event()

        def work(over: threading.Event = over) -> None:
            found.append(threading.get_ident())
            over.set()

        pool.run(work)
        assert over.wait(DEADLINE)
        wait_until(lambda: pool.idle == 1)
    return found


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until it holds."""
    pause = threading.Event()
    for _ in range(int(DEADLINE / 0.005)):
        if holds():
            return
        pause.wait(0.005)
    pytest.fail("it did not come to hold")


def test_one_after_another_share_a_thread() -> None:
    """Works that do not overlap need one thread."""
    pool = Threads()
    assert len(set(idents_of(pool, 20))) == 1
    pool.close()


def test_works_at_once_have_threads_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """All run at once, however many; few of their threads are kept, and none after the end."""
    monkeypatch.setattr(threads, "IDLE_AT_MOST", 3)
    pool, together = Threads(), threading.Barrier(50)
    idents: set[int] = set()

    def work() -> None:
        together.wait(DEADLINE)  # passes only if all 50 run at once
        idents.add(threading.get_ident())

    for _ in range(50):
        pool.run(work)
    wait_until(lambda: len(idents) == 50 and pool.idle == 3)
    pool.close()
    wait_until(lambda: not idents & {thread.ident for thread in threading.enumerate()})


def test_a_work_that_ends_after_the_close() -> None:
    """A thread that is busy at the end of the pool ends with its work."""
    pool, go_on, idents = Threads(), threading.Event(), []

    def work() -> None:
        idents.append(threading.get_ident())
        go_on.wait(DEADLINE)

    pool.run(work)
    wait_until(lambda: bool(idents))
    pool.close()
    go_on.set()
    wait_until(lambda: idents[0] not in {thread.ident for thread in threading.enumerate()})


def test_connections_of_a_server(serve: Serve) -> None:
    """Connections one after another leave no thread behind for each."""
    server = serve()
    with Http.to(server) as client:
        assert client.get("/health").status == 200
    before = threading.active_count()
    for _ in range(40):
        with Http.to(server) as client:
            assert client.get("/health").status == 200
    assert threading.active_count() <= before + 10
