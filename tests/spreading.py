"""Spread of the tests over the workers of pytest-xdist, with `--dist loadscope --no-loadscope-reorder`.

The tests of a module run in one worker, since they may share a server. A few modules hold tests that take long, and
share nothing that is worth keeping: those start first, each wherever a worker is free. Groups by mark are xdist's own
way to say so, but it writes them into the names of tests, where pytest 9.2 does not look any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

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


class ByModule(LoadScopeScheduling):
    """Gives a worker all tests of a module, or one test of a module that is long."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)


def scope(nodeid: str, long: Sequence[str] = LONG) -> str:
    """Name of what stays together with a test: its module, or the test alone."""
    module = _module(nodeid)
    return nodeid if module in long else module


def sort(items: list[pytest.Item], long: Sequence[str] = LONG, early: Sequence[str] = EARLY) -> None:
    """Put the tests of early and of long modules first."""
    items.sort(key=lambda item: (_module(item.nodeid) not in early, _module(item.nodeid) not in long))


def _module(nodeid: str) -> str:
    return nodeid.partition("::")[0]
