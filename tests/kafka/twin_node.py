"""`python -m tests.kafka.twin_node NAME:NUMBER FLAGS…`: a node with a fault of `twins`, as the node of that number."""

from __future__ import annotations

import sys

from reference_server.__main__ import main as serve
from tests.kafka.twins import TWINS


def main(arguments: list[str]) -> int:
    """Serve until a signal comes; return the exit status of the server."""
    name, _, number = arguments[0].partition(":")
    TWINS[name].apply(int(number))
    return serve(arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
