"""Parts that the adapters share: members of groups as processes of their own, options, and the restart of the engine.

Each member of a group is a process. So it can fail as the machines of a real group do: `cut` kills the process, and
`silence` stops it by SIGSTOP, heartbeats of its client library included, until the next request that names it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from missing import needs

with needs("stompliance"):
    from conformance.adapters.serving import Adapter, Closed, Failed, NoAnswer, Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

#: Seconds that a member has for an answer beyond the `wait` of a poll, and an engine for its restart. The suite waits
#: for 30.
ANSWER_SECONDS, RESTART_SECONDS = 25.0, 28.0
#: Seconds between two calls of `Member.idle`, between two looks for a restarted engine, and of a failed poll at least.
IDLE, LOOK, FAILED_POLL = 0.2, 0.2, 0.2
BROKEN = ("commit-first", "keep-given-back", "two-owners")
_most = max  # "max" is a member of the request to poll
_CONTEXT = multiprocessing.get_context("forkserver")


class Member(Protocol):
    """A member of a group, in a process of its own. A method raises as those of an adapter do."""

    def poll(self, wait: float, most: int) -> dict[str, Any] | None:
        """At most `most` records, as soon as there is one; none after `wait` seconds."""

    def acknowledge(self, record: dict[str, Any]) -> dict[str, Any] | None:
        """Done with the record."""

    def leave(self) -> dict[str, Any] | None:
        """Leave the group in an orderly way."""

    def idle(self) -> None:
        """Called all the time between requests, for clients that have no thread of their own for heartbeats."""


class EngineAdapter(Adapter):
    """An adapter whose members are processes. `member` makes one from the options, and consumer, group and topics."""

    def __init__(self, options: argparse.Namespace, member: Callable[..., Member]) -> None:
        self.options = options
        self._make = member
        self._members: dict[str, _MemberProcess] = {}
        if hasattr(member, "give_back"):
            self.give_back = self._give_back
        if options.restart:
            self.restart = self._restart

    def join(self, consumer: str, group: str, topics: list[str]) -> None:
        """Start the process of a member, which joins."""
        member = self._members[consumer] = _MemberProcess(self._make, self.options, consumer, group, topics)
        member.answer(0, ANSWER_SECONDS)

    def poll(self, consumer: str, wait: float, max: int) -> dict[str, Any] | None:  # noqa: A002  the protocol's word
        """Records for a member."""
        began = time.monotonic()
        try:
            return self._member(consumer).ask("poll", wait + ANSWER_SECONDS, wait, max)
        except Failed:
            # A client that is not connected fails at once; nobody is helped by a thousand such polls a second.
            threading.Event().wait(_most(0.0, began + FAILED_POLL - time.monotonic()))
            raise

    def acknowledge(self, consumer: str, record: dict[str, Any]) -> dict[str, Any] | None:
        """Done with the record."""
        return self._member(consumer).ask("acknowledge", ANSWER_SECONDS, record)

    def _give_back(self, consumer: str, record: dict[str, Any]) -> dict[str, Any] | None:
        return self._member(consumer).ask("give_back", ANSWER_SECONDS, record)

    def leave(self, consumer: str) -> None:
        """Leave, and end the process. A twin that keeps what it should give back lives on until the end."""
        self._member(consumer).ask("leave", ANSWER_SECONDS)
        if self.options.broken != "keep-given-back":
            self._members.pop(consumer).kill()

    def silence(self, consumer: str) -> None:
        """Stop the process."""
        self._member(consumer).stop()

    def cut(self, consumer: str) -> None:
        """Kill the process; its connections end with it."""
        if (member := self._members.pop(consumer, None)) is not None:
            member.kill()

    def close(self) -> None:
        """Kill all members."""
        for consumer in list(self._members):
            self.cut(consumer)

    def answers(self) -> None:
        """Ask the engine for anything. Raises any exception while it doesn't serve clients."""
        raise NotImplementedError

    def _member(self, consumer: str) -> _MemberProcess:
        if consumer not in self._members:
            raise Refused("the consumer is not there any more")
        return self._members[consumer]

    def _restart(self) -> None:
        deadline = time.monotonic() + RESTART_SECONDS
        try:
            subprocess.run(  # noqa: S602  the user's own command
                self.options.restart, shell=True, check=True, stdout=sys.stderr, timeout=RESTART_SECONDS
            )
        except (subprocess.SubprocessError, OSError) as error:
            raise Failed(f"--restart {self.options.restart!r}: {error}") from error
        while True:
            try:
                return self.answers()
            except Exception as error:  # whatever a client library raises
                if time.monotonic() > deadline:
                    raise NoAnswer(f"the engine is not back: {error}") from error
            threading.Event().wait(LOOK)


class _MemberProcess:
    """The process of one member, asked through a pipe, one request at a time."""

    def __init__(self, make: Callable[..., Member], *arguments: Any) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_run_member, args=(theirs, make, arguments), daemon=True)
        self._process.start()
        theirs.close()
        self._lock = threading.Lock()
        self._asked = 0
        self._stopped = False

    def ask(self, method: str, seconds: float, *arguments: Any) -> dict[str, Any] | None:
        """Result of a method of the member; a stopped one goes on. Raises as `answer` does."""
        with self._lock:
            if self._stopped:
                self._signal(signal.SIGCONT)
                self._stopped = False
            self._asked += 1
            try:
                self._pipe.send((self._asked, method, arguments))
            except OSError as error:
                raise Failed("the process of the member has ended") from error
            return self.answer(self._asked, seconds)

    def answer(self, number: int, seconds: float) -> dict[str, Any] | None:
        """Result of the request with this number. Raises Refused, Failed, and NoAnswer after `seconds`."""
        deadline = time.monotonic() + seconds
        try:
            while self._pipe.poll(_most(0.0, deadline - time.monotonic())):
                answered, error, result = self._pipe.recv()
                if answered == number:
                    if error is not None:
                        raise error(result)
                    return result  # type: ignore[no-any-return]
        except (EOFError, OSError) as error:
            raise Failed("the process of the member has ended") from error
        raise NoAnswer(f"no answer within {seconds:g} s")

    def stop(self) -> None:
        """Stop the process until the next request."""
        self._stopped = True
        self._signal(signal.SIGSTOP)

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.join(ANSWER_SECONDS)
        self._pipe.close()

    def _signal(self, number: signal.Signals) -> None:
        if self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, number)


def _run_member(pipe: Connection, make: Callable[..., Member], arguments: tuple[Any, ...]) -> None:
    """The program of a member: answers requests until the other end of the pipe is closed."""
    os.dup2(2, 1)  # the standard output is for answers of the adapter
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    made: list[Member] = []
    try:
        pipe.send((0, *_outcome(lambda: made.append(make(*arguments)))))
        while made:
            while not pipe.poll(IDLE):
                made[0].idle()
            number, method, given = pipe.recv()
            pipe.send((number, *_outcome(partial(getattr(made[0], method), *given))))
    except (EOFError, OSError):
        return


def _outcome(call: Callable[[], Any]) -> tuple[type[Exception] | None, Any]:
    """Exception and its text, or None and the result."""
    try:
        return None, call()
    except (Closed, Refused, NoAnswer) as error:
        return type(error), str(error)
    except Exception as error:  # noqa: BLE001  whatever a client library raises: nothing is known then
        return Failed, f"{type(error).__name__}: {error}"


def parser(name: str, text: str, *, broken: tuple[str, ...] = BROKEN) -> argparse.ArgumentParser:
    """Parser with the options that all adapters have; `text` is the docstring of the adapter."""
    made = argparse.ArgumentParser(
        prog=f"python adapters/{name}.py",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Speaks JSON lines on its standard input and output: docs/adapters.md.",
        allow_abbrev=False,
    )
    made.add_argument(
        "--restart",
        metavar="COMMAND",
        default="",
        help="shell command that kills the engine, after which it is started again; without one it is never restarted",
    )
    made.add_argument(
        "--broken",
        choices=broken,
        default="",
        help="behave wrong on purpose, to see that the suite finds it: commit before processing, keep what is to be "
        "given back, let two consumers read where one may",
    )
    made.add_argument(
        "--slack",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="allowance for a busy machine (default: %(default)s)",
    )
    return made


def partition_of(key: str | None, text: str, partitions: int) -> int:
    """Partition of a record: by a hash of the key, or of the text if there is none."""
    return zlib.crc32((text if key is None else key).encode()) % partitions
