"""Server with a fault or an oddity: `python -m tests.mutants.serving NAME [flags of the server]`."""

import importlib
import sys

from tests.mutants.registry import REFERENCE, Fault, faults, variants


def serve(name: str, flags: list[str]) -> int:
    """Patch this process and serve until it is terminated; returns the exit status."""
    mutant = {**faults(), **variants()}[name]
    mutant.apply()
    module = importlib.import_module(mutant.server if isinstance(mutant, Fault) else REFERENCE)
    status: int = module.main(["--port", "0", *flags])
    return status


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1], sys.argv[2:]))
