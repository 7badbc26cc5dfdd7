"""Apply every patch, each in a process of its own: `python -m tests.mutants.applying` prints those that fail."""

from __future__ import annotations

import os
import sys
import traceback

from tests.mutants.processes import preload
from tests.mutants.registry import faults, variants


def failing() -> list[str]:
    """The names of the patches that raise; why is written to the standard error."""
    preload()
    failed = []
    for mutant in [*faults().values(), *variants().values()]:
        child = os.fork()
        if child == 0:
            try:
                mutant.apply()
            except BaseException:  # noqa: BLE001  whatever it is, the patch does not fit the server
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            failed.append(mutant.name)
    return failed


if __name__ == "__main__":
    names = failing()
    for name in names:
        print(name)
    sys.exit(1 if names else 0)
