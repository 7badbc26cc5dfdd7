"""Patched reference server: `python -m tests.mutants.serving NAME [flags of the server]`."""

import sys

from reference_server.__main__ import main
from tests.mutants.registry import faults, variants


def serve(name: str, flags: list[str]) -> int:
    """Patch this process and serve until it is terminated; returns the exit status."""
    {**faults(), **variants()}[name].apply()
    return main(["--port", "0", *flags])


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1], sys.argv[2:]))
