"""Settings for all tests."""

import hypothesis
import pytest

from tests.spreading import spread

# No deadline: on a busy machine every example takes longer.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Spread the tests over the workers of pytest-xdist, if there are any and the command asks for groups."""
    if getattr(config.option, "loadgroup", False):
        spread(items)
