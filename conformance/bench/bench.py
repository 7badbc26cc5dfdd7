"""Fixture of a test: the server under test, connections that end with the test, recorded assertions.

A test gets a `Bench` as its only fixture. `bench.binding` is the binding in which the test runs: the queue over HTTP
or over STOMP, a version of STOMP, WebSocket or TCP.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

import hypothesis

from conformance.bench.connections import Connections
from conformance.bench.steps import Steps
from conformance.run.options import Effort
from conformance.run.run import RecordedHistory
from conformance.specification import schemas
from conformance.specification.clauses import BINDINGS
from conformance.wire.acknowledged_publishing import AcknowledgedPublishing, Spelling, find_spelling
from conformance.wire.connection import SLOWEST
from conformance.wire.failures import Evidence, NotAdmitted, PeerFailure, RunEnded, Violation
from conformance.wire.leaving import LeavingOperations
from conformance.wire.operations import (
    HttpOperations,
    Operations,
    QueueClient,
    SeparatePublishing,
    StompOperations,
    encoded,
)
from conformance.wire.stomp import StompClient
from conformance.wire.trace import bounded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.run.faults import FaultRecord
    from conformance.run.group_clock import QueueClock
    from conformance.run.run import Run
    from conformance.targets.commands import Command
    from conformance.verdicts.case import Case
    from conformance.wire.http import HttpClient

#: Newest frames in the evidence of a failure.
FRAMES_KEPT = 80
EVIDENCE_OCTETS = 128 << 10
#: Phases of Hypothesis, without `explain`: no report shows explanations, and they cost a trace of every example.
PHASES = tuple(phase for phase in hypothesis.Phase if phase is not hypothesis.Phase.explain)

_JSON = {"Content-Type": "application/json"}
_NO_PUBLISHING = (
    "no record could be published, and most tests show nothing: there is no WebSocket for producers ({}). A server "
    "that takes records by POST /producer/publish/{{topic}} has the class http-publish: declare it, or give "
    "--class queue-http --class http-publish"
)


class Bench(Connections):
    """One test in one binding. Thread-safe, but each connection is for one thread at a time."""

    def __init__(self, run: Run, binding: str) -> None:
        super().__init__(run, binding)
        self.binding = binding
        self.effort = run.options.effort
        self.seed = run.options.seed or 0
        self.clock: QueueClock = run.clock
        self.findings = run.findings
        """Findings about this server; later tests use them to skip waits."""
        self.case: Case | None = None
        self._run = run
        self._steps = Steps()

    # Asserting

    def judge(self, clause: str, ok: bool, *, expected: str, observed: object) -> bool:
        """Record an assertion of the clause; returns `ok`. Raises Violation or PeerFailure if a MUST fails."""
        assert self.case is not None
        try:
            held = self.case.judge(clause, ok, expected=expected, observed=observed)
        except (Violation, PeerFailure) as failure:
            # Hypothesis reports its smallest failure: keep the frames of each, not those of the last example.
            failure.evidence = self.evidence()
            raise
        if held:
            self._trace.hold(clause)
        return held

    def judge_schema(self, clause: str, name: str, document: object) -> bool:
        """Assert that a body is valid against `spec/schemas/{name}.json`; otherwise as `judge`."""
        found = schemas.problems(name, document)
        observed = f"{'; '.join(found[:3])} in {document!r}" if found else document
        return self.judge(clause, not found, expected=f"a body as schema {name} has it", observed=observed)

    def keep_history(self, lines: Iterable[str]) -> None:
        """Keep the lines of a history for the report; without one nothing is kept."""
        assert self.case is not None
        if self._run.options.report is not None:
            self._run.histories.append(RecordedHistory(self.case.test, self.binding, tuple(lines)))

    def is_known(self, failure: Exception) -> bool:
        """True if another test has already recorded a failure of the same clause in this binding."""
        assert self.case is not None
        return isinstance(failure, Violation) and self.case.failed_elsewhere(failure.clause)

    def has_run_ended(self) -> bool:
        """True once the run ends early: interrupted, after `--fail-fast`, or because the server is gone."""
        return bool(self._run.ended_early)

    def observe(self, clause: str, text: str) -> None:
        """Record the server's behaviour where the text leaves a choice."""
        assert self.case is not None
        self.case.observed(clause, text)

    def skip(self, clause: str, reason: str) -> None:
        """Record why the clause can't be judged on this server."""
        assert self.case is not None
        self.case.skip(clause, reason)

    def step(self, text: str) -> None:
        """Add a step to the evidence of a failure."""
        self._steps.append(text)
        self._trace.note("", "step", text=text)

    def evidence(self) -> Evidence:
        """First and newest steps, newest frames, and the recording if reports are written.

        Of what the server sent before the last EVIDENCE_OCTETS, only beginnings are kept.
        """
        recording = self._trace.recording() if self._run.options.report is not None else None
        frames = bounded(self._trace.entries()[-FRAMES_KEPT:], EVIDENCE_OCTETS)
        return Evidence(self._steps.lines(), frames, recording)

    def forget(self) -> None:
        """Drop the steps and events of earlier examples of this test."""
        self._steps.clear()
        self._trace.forget()

    # Faults

    @property
    def faults(self) -> tuple[Command, ...]:
        """Faults that the user gives."""
        return self._run.options.faults

    @property
    def heal(self) -> Command | None:
        """The command that undoes any fault."""
        return self._run.options.heal

    @property
    def restart(self) -> Command | None:
        """The command that restarts all nodes."""
        return self._run.options.restart

    @property
    def interrupted(self) -> threading.Event:
        """Set when the run ends early."""
        return self._run.interrupted

    def wait(self, seconds: float) -> bool:
        """Wait so many seconds of real time; True if the run ends meanwhile."""
        return self._run.interrupted.wait(seconds)

    def since_start(self, moment: float) -> float:
        """Seconds of the run at a moment of time.monotonic()."""
        return time.time() - self._run.started - (time.monotonic() - moment)

    def note_faults(self, record: FaultRecord) -> None:
        """Keep a record of faults for the reports."""
        self._run.fault_records.append(record)

    def end_run(self, why: str) -> NoReturn:
        """End the run early. Raises RunEnded."""
        self._run.end_early(why)
        raise RunEnded(why)

    @property
    def test(self) -> str:
        """Full name of the test."""
        assert self.case is not None
        return self.case.test

    # Facts

    def declares(self, extension: str) -> bool:
        """True if the server declares the extension, and it applies in the binding of the test."""
        return extension in self.extensions()

    def extensions(self) -> frozenset[str]:
        """Declared extensions that apply here: an acknowledgement carries no position."""
        left_out = {"record-position", "http-publish"} if self.binding == "stomp-publish" else set[str]()
        return self.target.extensions - left_out

    def claims(self, binding: str) -> bool:
        """True if the server claims the binding, such as `queue-stomp`, and it is judged in this run."""
        asked = [name for name in self._run.options.classes if name in BINDINGS]
        return binding in self.target.classes and (not asked or binding in asked)

    def limit(self, name: str) -> float | None:
        """Limit that the server declares, in bytes or a plain number; None if it declares none.

        In the bindings to STOMP it is that of frames, where the server declares one of its own.
        """
        names = [name] if self.binding == "queue-http" else [f"stomp_{name}", name]
        limits = self.target.limits
        return next((limits[each] for each in names if each in limits), None)

    def partitions_of(self, topic: str) -> int | None:
        """Number of partitions of a topic that was added without a number; None if unknown."""
        if self.declares("introspection"):
            document = self.http().request("GET", f"/topics/{topic}").json()
            if isinstance(document, dict) and isinstance(document.get("partitions"), list):
                return len(document["partitions"])
        return self.target.partitions

    def fresh(self, stem: str) -> str:
        """Name that is unused on this server: at most 40 letters, digits and hyphens."""
        return self._run.fresh(stem)

    def scheduling_delay(self) -> float:
        """Longest scheduling delay of this machine so far, in seconds.

        Tests of timers add it to their tolerance, so that a busy machine doesn't count against the server.
        """
        return self._run.scheduling_delay.longest()

    def patience_for(self, octets: int) -> float:
        """Seconds to wait for an answer to so many octets, which may all be sent back, on a slow network."""
        return self.patience + 2 * octets / SLOWEST

    # Clients of the queue

    def queue(self) -> QueueClient:
        """Client of the queue in the binding of the test; publishes over STOMP if the server can't over HTTP."""
        operations: Operations
        if self.binding in {"queue-http", "stomp-publish"} or not self._speaks_queue_stomp():
            operations = HttpOperations(self.http(), self.http)
            if self.binding == "stomp-publish" or not self.declares("http-publish"):
                operations = SeparatePublishing(operations, self._publishing)
        else:
            operations = self._stomp_operations()
        self.at_end(operations.close)
        if not self.target.has_virtual_clock:
            # In real time, consumers that a test leaves behind would be evicted while later tests run.
            operations = LeavingOperations(operations)
            self.at_end(operations.leave)
        return QueueClient(operations)

    # Time

    def pass_time(self, seconds: float, groups: Iterable[str] = ()) -> None:
        """Let `seconds` pass for these groups: on a virtual clock if there is one, else in real time."""
        self.step(f"{seconds:g} s pass")
        self.clock.pass_time(seconds, groups, self._post)

    # Effort

    def examples(self, quick: int, standard: int, thorough: int) -> int:
        """Number of examples for the effort of the run."""
        return {Effort.QUICK: quick, Effort.STANDARD: standard, Effort.THOROUGH: thorough}[self.effort]

    def hypothesis(self, examples: int, **more: Any) -> hypothesis.settings:
        """Settings for a property or a state machine: no deadline, and the same examples in every run without a seed.

        Raises RuntimeError if the test is not marked `@main_thread_only`.
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

    # How this server is published to

    def _speaks_queue_stomp(self) -> bool:
        return self.claims("queue-stomp") or self.binding == "queue-stomp"

    def _publishing(self) -> Operations:
        """Publishing over STOMP for a test that does all else over HTTP: by replies only if they are judged too."""
        if self.binding != "stomp-publish" and self.claims("queue-stomp"):
            return self._stomp_operations()
        return self.acknowledged_publishing()

    def acknowledged_publishing(self) -> AcknowledgedPublishing:
        """Publishing on a session of its own, confirmed by producer acknowledgements alone."""
        return AcknowledgedPublishing(self.producer(), self.publish_spelling(), self._publish_promise())

    def publish_spelling(self) -> Spelling:
        """The spelling of publishing that the server serves, found by two records at the first call of the run.

        Raises PeerFailure if neither is acknowledged.
        """
        return self._run.publish_spelling(self._find_spelling, self._has_room)

    def _has_room(self) -> bool:
        """True if no connection of the test went without an answer while others were open."""
        return self.admission is None or not self.admission.crowd

    def producer(self) -> StompClient:
        """A session of a producer that sends no CONNECT, by the rules of STOMP 1.0 (PUB-STOMP-1).

        Raises NotAdmitted, which counts in tests of publishing only.
        """
        try:
            return StompClient(self.link("producer"), "1.0")
        except NotAdmitted as refusal:
            if not any(map(self.claims, ("stomp-publish", "queue-stomp"))) and not self.declares(
                "http-publish"
            ):
                self._run.warn(_NO_PUBLISHING.format(refusal.observed))
            refusal.promised_by(self._publish_promise())
            raise

    def _find_spelling(self) -> Spelling:
        topic = self.fresh("spelling")
        self.http().request("POST", "/topic/add-topic", encoded({"topicName": topic}), _JSON)
        return find_spelling(self.producer(), topic, self._publish_promise())

    def _publish_promise(self) -> str:
        """The clause that promises a producer an acknowledgement."""
        return "PUB-STOMP-1" if self.claims("stomp-publish") else "PUB-ACK-1"

    def _stomp_operations(self) -> StompOperations:
        return StompOperations(self.stomp())

    def _post(self, path: str, body: bytes) -> Any:
        """POST to the clock: on one connection per thread, or on a new one each time where there is little room."""
        client: HttpClient | None = getattr(self.of_thread, "clock", None)
        if client is None:
            client = self.of_thread.clock = self.http()
        try:
            return client.request("POST", path, body, _JSON)
        finally:
            if self.admission is None or not self.admission.run.places.is_roomy:
                client.close()
