"""The toy broker as a broker under test, and a judge that knows the levels of clauses."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from conformance.models.stomp.server_findings import ServerFindings
from conformance.specification.clauses import Level, book
from conformance.wire.failures import Violation
from tests.models_stomp.toy_broker import ToyBroker
from tests.models_stomp.toy_state import BrokerChoices, ToySession


class StompLedger:
    """Judge that counts assertions, collects failed SHOULDs, and raises on the first failed MUST."""

    def __init__(self) -> None:
        self.asserted: Counter[str] = Counter()
        self.deviations: set[str] = set()

    def __call__(self, clause: str, ok: bool, /, *, expected: str, observed: object) -> bool:
        self.asserted[clause] += 1
        level = book()[clause].level
        if not ok and level is Level.MUST:
            raise Violation(clause, expected, observed)
        if not ok and level is Level.SHOULD:
            self.deviations.add(clause)
        return ok


class ToyBrokerAdapter:
    """A `BrokerUnderTest` in memory; time passes only in `wait`."""

    def __init__(self, broker: ToyBroker) -> None:
        self.broker = broker
        self.version = broker.version
        self.judge = StompLedger()
        self.redelivers = broker.choices.redelivers
        self.keeps = broker.choices.keeps
        self.destination_headers: dict[bool, Sequence[tuple[str, str]]] = {True: (), False: ()}
        self.sessions: list[ToySession] = []
        self.findings = ServerFindings()
        self.names = 0

    @classmethod
    def of(cls, choices: BrokerChoices, version: str, broker: type[ToyBroker] = ToyBroker) -> Any:
        return cls(broker(choices, version))

    def connect(self) -> ToySession:
        self.sessions.append(self.broker.connect())
        return self.sessions[-1]

    def destination(self, *, is_queue: bool) -> str:
        self.names += 1
        return f"{'queue' if is_queue else 'topic'}-{self.names}"

    def wait(self, clients: Sequence[Any]) -> bool:
        noticed = self.broker.notice_lost(now=True)
        came = [client.flush() for client in clients]
        return noticed or any(came)
