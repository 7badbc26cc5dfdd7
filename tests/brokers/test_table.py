"""The table of brokers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from conformance.targets.files import find_target
from tests.brokers.installing import PROGRAMS
from tests.brokers.judging import about
from tests.brokers.table import BROKERS, TRANSPORTS, Broker

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=BROKERS.values(), ids=list(BROKERS))
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each broker of the table."""
    return request.param


def test_a_broker_has_a_target_file_and_known_transports(broker: Broker) -> None:
    assert find_target(broker.target).name == broker.target
    assert set(broker.transports) <= set(TRANSPORTS)
    assert re.fullmatch(r"\d+(\.\d+)+", broker.version)


def test_the_version_that_is_named_is_the_one_that_is_installed(broker: Broker) -> None:
    """Debian and Spring Boot choose theirs."""
    if broker.name not in ("rabbitmq", "stompserver", "spring-simple"):
        assert broker.version in broker.installation.source


def test_a_class_of_websocket_is_claimed_where_there_is_the_transport(broker: Broker) -> None:
    assert ("websocket" in find_target(broker.target).classes) == ("websocket" in broker.transports)


def test_the_programs_of_libraries_are_there(broker: Broker) -> None:
    program = getattr(broker.installation, "program", None)
    if program is not None and not str(program).startswith("/"):
        assert (PROGRAMS / program).is_file()


def test_what_lies_beside_a_report_is_complete(broker: Broker) -> None:
    assert all(about(broker, broker.transports[0]).values())


def test_every_program_belongs_to_a_broker(tmp_path: Path) -> None:
    names = {getattr(broker.installation, "program", "") for broker in BROKERS.values()}
    own = {path.name for path in PROGRAMS.iterdir() if path.suffix in (".java", ".go")}
    assert own <= names
