"""Each fault, seen from outside: it shows if it is on, and only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.first_server import faults, more_demonstrations
from tests.first_server.demonstrations import ALL, Demonstration

if TYPE_CHECKING:
    from tests.first_server.conftest import Serve
    from tests.first_server.faults import Fault

CASES = [
    pytest.param(fault, demonstration, id=f"{fault.name}-{demonstration.shows.__name__}")
    for fault, demonstrations in ALL.items()
    for demonstration in demonstrations
]


def test_each_module_of_demonstrations_is_read() -> None:
    """The second module adds its demonstrations to the table of the first."""
    assert {each.shows.__module__ for listed in ALL.values() for each in listed} >= {
        more_demonstrations.__name__
    }


def test_every_fault_is_demonstrated() -> None:
    """Every row of the table has a demonstration."""
    assert set(ALL) == set(faults.TABLE)


@pytest.mark.parametrize(("fault", "demonstration"), CASES)
def test_a_fault_shows_when_it_is_on(serve: Serve, fault: Fault, demonstration: Demonstration) -> None:
    """With the fault alone the server behaves as the table says."""
    assert demonstration.shows(serve(*demonstration.options, "--fault", fault.name))


@pytest.mark.parametrize(("fault", "demonstration"), CASES)
def test_a_fault_does_not_show_when_it_is_off(
    serve: Serve, fault: Fault, demonstration: Demonstration
) -> None:
    """Without the fault the server behaves as the clauses require."""
    assert not demonstration.shows(serve(*demonstration.options))
