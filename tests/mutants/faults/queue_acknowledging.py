"""Faults in acknowledging and committing."""

from typing import Any

from reference_server.queue.group import Cursor
from tests.mutants.patching import wrap
from tests.mutants.registry import fault

QUEUE = ("queue-http",)


@fault("ACK-COMMIT-1", bindings=QUEUE)
def an_acknowledgement_commits_nothing() -> None:
    """An acknowledged record is free again."""

    @wrap(Cursor, "settle")
    def settle(original: Any, self: Cursor, *, commit: bool) -> None:
        del commit
        original(self, commit=False)
