"""What a test works with: the server under test, connections that end with the test, and the record of assertions.

A test gets a `Bench` as its only fixture. `bench.binding` is the column in which the test runs: the queue over HTTP
or over STOMP, a version of STOMP, or WebSocket.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import hypothesis

from conformance.run.options import Effort
from conformance.specification import schemas
from conformance.wire.connection import Connection
from conformance.wire.failures import PeerFailure, Violation
from conformance.wire.http import HttpClient
from conformance.wire.operations import (
    HttpOperations,
    Operations,
    QueueClient,
    SeparatePublishing,
    StompOperations,
)
from conformance.wire.stomp import StompClient
from conformance.wire.trace import Trace
from conformance.wire.websocket import WebSocketLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from conformance.run.group_clock import QueueClock
    from conformance.run.run import Run
    from conformance.targets.target import Target
    from conformance.verdicts.recorder import Case
    from conformance.wire.trace import TraceEntry

#: Steps and trace entries that go into the evidence of a failure.
STEPS_KEPT = 200
FRAMES_KEPT = 80
#: How often a server on this machine, and we, may be kept waiting as long as ever was seen, before an answer is there.
PATIENCE_PER_DELAY = 10
#: The most that this may add, in usual patiences: a machine that slept for an hour makes nobody wait for hours.
MOST_EXTRA_PATIENCE = 2
#: Octets a second that get through everywhere, however badly they are connected.
SLOWEST = 8 << 10
#: What Hypothesis does. It need not explain a failure: no report of ours shows that, and it would trace every try.
PHASES = tuple(phase for phase in hypothesis.Phase if phase is not hypothesis.Phase.explain)


class Bench:
    """One test in one binding. May be used by several threads, but each connection by one at a time."""

    def __init__(self, run: Run, binding: str) -> None:
        self.target: Target = run.target
        self.binding = binding
        self.version = run.target.version_for(binding)
        usual = run.target.patience
        self.patience = usual + min(
            PATIENCE_PER_DELAY * run.scheduling_delay.longest(), MOST_EXTRA_PATIENCE * usual
        )
        """Seconds to wait for an answer that must come: longer where this machine keeps threads waiting."""
        self.effort = run.options.effort
        self.seed = run.options.seed or 0
        self.clock: QueueClock = run.clock
        self.findings = run.findings
        """Words for what tests of this run found out about the server, so that later ones needn't wait for it."""
        self.case: Case | None = None
        self._run = run
        self._trace = Trace()
        self._steps: deque[str] = deque(maxlen=STEPS_KEPT)
        self._at_end: list[Callable[[], object]] = []

    # Asserting

    def judge(self, clause: str, ok: bool, *, expected: str, observed: object) -> bool:
        """Record that the clause was asserted; returns `ok`. Raises Violation where a MUST fails."""
        assert self.case is not None
        try:
            return self.case.judge(clause, ok, expected=expected, observed=observed)
        except (Violation, PeerFailure) as failure:
            # Of many examples the smallest failure is reported: with its own frames, not the last one's.
            failure.evidence = self.evidence()
            raise

    def judge_schema(self, clause: str, name: str, document: object) -> bool:
        """Assert that a body is valid by `spec/schemas/{name}.json`."""
        found = schemas.problems(name, document)
        observed = f"{'; '.join(found[:3])} in {document!r}" if found else document
        return self.judge(clause, not found, expected=f"a body as schema {name} has it", observed=observed)

    def is_known(self, failure: Exception) -> bool:
        """Whether another test has shown already that the clause of this failure is broken."""
        assert self.case is not None
        return isinstance(failure, Violation) and self.case.failed_elsewhere(failure.clause)

    def has_run_ended(self) -> bool:
        """True once the run ends early: interrupted, after `--fail-fast`, or without a server."""
        return bool(self._run.ended_early)

    def observe(self, clause: str, text: str) -> None:
        """Record what the server did where it has the choice."""
        assert self.case is not None
        self.case.observed(clause, text)

    def skip(self, clause: str, reason: str) -> None:
        """Record why this server gives no way to judge a clause."""
        assert self.case is not None
        self.case.skip(clause, reason)

    def step(self, text: str) -> None:
        """Write down what the test does, for the reader of a failure."""
        self._steps.append(text)

    def evidence(self) -> tuple[Sequence[str], Sequence[TraceEntry]]:
        """The newest steps and frames."""
        return tuple(self._steps), tuple(self._trace.entries()[-FRAMES_KEPT:])

    # Facts

    def declares(self, extension: str) -> bool:
        """Whether the server declares an extension."""
        return extension in self.target.extensions

    def claims(self, binding: str) -> bool:
        """Whether the server claims a binding, such as `queue-stomp`."""
        return binding in self.target.classes

    def limit(self, name: str) -> float | None:
        """A limit that the server declares; None where it doesn't."""
        return self.target.limits.get(name)

    def partitions_of(self, topic: str) -> int | None:
        """How many partitions a topic has that was added without saying; None where nobody tells."""
        if self.declares("introspection"):
            document = self.http().request("GET", f"/topics/{topic}").json()
            if isinstance(document, dict) and isinstance(document.get("partitions"), list):
                return len(document["partitions"])
        return self.target.partitions

    def fresh(self, stem: str) -> str:
        """A name that nobody used on this server: letters, digits and hyphens, at most 40 of them."""
        return self._run.fresh(stem)

    def scheduling_delay(self) -> float:
        """The longest time, in seconds, that this machine let a thread of ours wait for its turn in this run.

        Timers are judged with that much more tolerance: a busy machine is not a broken server.
        """
        return self._run.scheduling_delay.longest()

    def patience_for(self, octets: int) -> float:
        """Seconds to wait for an answer to so many octets, which may all come back, on the slowest of networks."""
        return self.patience + 2 * octets / SLOWEST

    # Connections; all of them end with the test

    def queue(self) -> QueueClient:
        """A client of the queue in the binding of the test; publishing goes over STOMP where HTTP can't."""
        operations: Operations
        if self.binding == "queue-http" or not self._speaks_queue_stomp():
            operations = HttpOperations(self.http(), self.http)
            if not self.declares("http-publish"):
                operations = SeparatePublishing(operations, self._stomp_operations)
        else:
            operations = self._stomp_operations()
        client = QueueClient(operations)
        self.at_end(client.close)
        return client

    def http(self) -> HttpClient:
        """A client on an HTTP connection of its own, kept alive."""
        target = self.target
        client = HttpClient(
            target.host, target.port, tls=target.tls, trace=self._trace, patience=self.patience
        )
        self.at_end(client.close)
        return client

    def link(
        self,
        path: str | None = None,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> WebSocketLink:
        """A WebSocket connection, by default to the path under test.

        Raises UpgradeRefused, PeerFailure, Unreachable.
        """
        link = WebSocketLink(
            self.target.websocket_url(path),
            subprotocols,
            self._trace,
            self.patience,
            tls=self.target.tls,
            headers=headers,
        )
        self.at_end(link.close)
        return link

    def stomp(
        self,
        path: str | None = None,
        *,
        version: str | None = None,
        connect: bool = True,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str | None] | None = None,
    ) -> StompClient:
        """A STOMP session in the version of the test; with `connect=False` before its CONNECT.

        `headers` are added to CONNECT, or take the place of its defaults; None leaves one out.
        """
        client = StompClient(self.link(path, subprotocols), version or self.version)
        if connect:
            client.connect({**self.credentials(), **(headers or {})})
        return client

    def credentials(self) -> dict[str, str | None]:
        """The headers by which CONNECT is let in: login, passcode, host."""
        target = self.target
        return {
            "login": target.login,
            "passcode": target.passcode,
            "host": target.host_header or None,
        }

    def tcp(self) -> Connection:
        """A bare connection. Raises Unreachable."""
        target = self.target
        connection = Connection(target.host, target.port, tls=target.tls, patience=self.patience)
        self.at_end(connection.close)
        return connection

    def at_end(self, call: Callable[[], object]) -> None:
        """Have something called when the test has ended, the latest first; what it raises is of no interest."""
        self._at_end.append(call)

    def close(self) -> None:
        """End the test: do what `at_end` was told."""
        while self._at_end:
            with contextlib.suppress(Exception):
                self._at_end.pop()()

    # Time

    def pass_time(self, seconds: float, groups: Iterable[str] = ()) -> None:
        """Let time pass for these groups: on a virtual clock at no cost, else really."""
        self.step(f"{seconds:g} s pass")
        self.clock.pass_time(seconds, groups, self._post)

    # Effort

    def examples(self, quick: int, standard: int, thorough: int) -> int:
        """As many examples as the effort of the run asks for."""
        return {Effort.QUICK: quick, Effort.STANDARD: standard, Effort.THOROUGH: thorough}[self.effort]

    def hypothesis(self, examples: int, **more: Any) -> hypothesis.settings:
        """Settings for a property or a machine: no time limit of its own, the same examples in every run.

        Raises RuntimeError where the test is not marked `@main_thread_only`.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("a test that uses Hypothesis needs @main_thread_only")
        return hypothesis.settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=self._run.options.seed is None,
            print_blob=False,
            report_multiple_bugs=False,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=PHASES,
            **more,
        )

    # Parts of the above

    def _speaks_queue_stomp(self) -> bool:
        return self.claims("queue-stomp") or self.binding == "queue-stomp"

    def _stomp_operations(self) -> StompOperations:
        return StompOperations(self.stomp())

    def _post(self, path: str, body: bytes) -> Any:
        client = self.http()
        try:
            return client.request("POST", path, body, {"Content-Type": "application/json"})
        finally:
            client.close()
