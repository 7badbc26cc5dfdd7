"""Settings for all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from conformance.runner.examples import draw_no_program_constants

if TYPE_CHECKING:
    from xdist.scheduler import Scheduling

# No deadline: on a busy machine every example takes longer.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
draw_no_program_constants()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    """Spread the tests over the workers of pytest-xdist by module, if the command asks for scopes."""
    from tests.spreading import ByModule  # xdist need not be there

    return ByModule(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start long tests first, in each worker of pytest-xdist."""
    if hasattr(config, "workerinput"):
        from tests.spreading import sort  # xdist need not be there

        sort(items)
