"""Command line `python -m tests.mutants.applying`: applies each patch in a process, and prints those that fail.

A patch fails if it does not apply, or if no broker can be built after it.
"""

from __future__ import annotations

import os
import sys
import traceback

from reference_server.config import Settings
from reference_server.server.application import Application
from tests.mutants.processes import preload
from tests.mutants.registry import faults, variants


def failing() -> list[str]:
    """Names of the patches that raise; their tracebacks go to standard error."""
    preload()
    failed = []
    for mutant in [*faults().values(), *variants().values()]:
        child = os.fork()
        if child == 0:
            try:
                mutant.apply()
                Application(Settings(virtual_clock=True), "patched")
            except BaseException:  # noqa: BLE001  any exception means that the patch does not fit the server
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
