"""Options for runs in CI: known deviations as a file, and as a promise that is kept up to date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def add_ci_options(group: argparse._ArgumentGroup) -> None:
    """Add the options."""
    group.add_argument(
        "--write-waivers",
        metavar="FILE",
        type=Path,
        default=None,
        help="write a target file in which every requirement that this run found broken is a known deviation; judge "
        "later runs with `--target FILE`",
    )
    group.add_argument(
        "--strict-waivers",
        action="store_true",
        help="end with status 1 if a known deviation of the target deviates no more",
    )


def ci_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Members of `Options` from parsed arguments."""
    return {"write_waivers": values["write_waivers"], "strict_waivers": values["strict_waivers"]}
