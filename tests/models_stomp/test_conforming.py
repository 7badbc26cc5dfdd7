"""The model accepts every legal choice of a broker."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from conformance.models.machines import run
from conformance.models.stomp.machine import StompMachine
from tests.models_stomp.toy_adapter import ToyBrokerAdapter
from tests.models_stomp.toy_state import BrokerChoices

SETTINGS = settings(
    max_examples=15,
    stateful_step_count=30,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
CHOICES = {
    "plain": BrokerChoices(),
    "first and back": BrokerChoices(
        turn="first", back_to="back", acks="message-id", message_ids="per delivery"
    ),
    "last, ids per delivery": BrokerChoices(turn="last", message_ids="per delivery"),
    "random turns": BrokerChoices(turn="random", seed=3, acks="message-id", message_ids="per delivery"),
    "drops what is refused": BrokerChoices(nack="drop"),
    "grants late acknowledgements": BrokerChoices(late="grant"),
    "holds what a subscription left": BrokerChoices(unsubscribed="hold"),
    "delivers anew after an abort": BrokerChoices(aborted="anew"),
    "negative acknowledgements at once": BrokerChoices(nack_in_transaction="at once"),
    "begins again": BrokerChoices(begin_again="go on"),
    "ids only once": BrokerChoices(used_ids="refuse"),
    "individual in 1.0": BrokerChoices(cumulative_1_0=False),
    "window of one": BrokerChoices(window=1),
    "window of two, from the back": BrokerChoices(window=2, back_to="back", turn="first"),
    "receipts first": BrokerChoices(receipt_first=True),
    "loses what was not settled": BrokerChoices(redelivers=False),
    "queues end with their consumers": BrokerChoices(keeps=False),
    "notices losses late": BrokerChoices(notices_late=True, turn="last"),
    "notices late and loses": BrokerChoices(notices_late=True, redelivers=False),
    "lags": BrokerChoices(lags=True),
    "lags, notices late, window": BrokerChoices(lags=True, notices_late=True, window=1),
}


VERSIONS = ("1.2", "1.1", "1.0")
CASES = [(name, VERSIONS[number % 3]) for number, name in enumerate(CHOICES)]
CASES += [("plain", "1.0"), ("plain", "1.1"), ("individual in 1.0", "1.0"), ("lags", "1.2")]


@pytest.mark.parametrize(("name", "version"), CASES)
def test_every_legal_choice_passes(name: str, version: str) -> None:
    """No legal choice is a failure or a deviation."""
    choices = CHOICES[name]
    system: Any = ToyBrokerAdapter.of(choices, version)
    run(StompMachine, system, SETTINGS, name=f"toy {name} {version}", note=print)
    # STOMP-TX-002 recommends that a second BEGIN be refused.
    assert system.judge.deviations <= ({"STOMP-TX-002"} if choices.begin_again == "go on" else set())


def test_the_machine_reaches_its_states() -> None:
    """Nearly every rule runs in every class of state in which it can."""
    system: Any = ToyBrokerAdapter.of(BrokerChoices(), "1.2")
    reach = run(StompMachine, system, settings(SETTINGS, max_examples=150), name="toy reach", note=print)
    assert reach.share() > 0.9, reach.missed()
