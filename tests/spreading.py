"""Spread of the tests over the workers of pytest-xdist, with `--dist loadgroup --no-loadscope-reorder`.

The tests of a module run in one worker, since they may share a server. A few modules hold tests that take long, and
share nothing that is worth keeping: those start first, each wherever a worker is free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Modules that take long as a whole, since their tests share what takes long.
EARLY = ("tests/hostile/test_bad_servers.py",)
LONG = (
    "tests/adapters/test_adapters.py",
    "tests/adapters/test_engines.py",
    "tests/command/test_connection_limits.py",
    "tests/command/test_outages.py",
    "tests/command/test_other_protocols.py",
    "tests/command/test_several_urls.py",
    "tests/first_server/test_judged.py",
    "tests/hostile/test_odd_times.py",
)


def spread(items: list[pytest.Item], long: Sequence[str] = LONG, early: Sequence[str] = EARLY) -> None:
    """Put the tests of early and of long modules first, and group those of each module that is not long."""
    for item in items:
        if _module(item) not in long:
            item.add_marker(pytest.mark.xdist_group(_module(item)))
    items.sort(key=lambda item: (_module(item) not in early, _module(item) not in long))


def _module(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]
