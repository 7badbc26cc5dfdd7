"""Parts that the parsers of `judge`, `replay` and `--adapter` share: the layout of their help, options, values."""

import argparse
from collections.abc import Callable
from pathlib import Path

from conformance.command.once_more import PROGRAM
from conformance.command.preparation import check_folder
from conformance.history.promises import BY_NAME

#: Words for the largest values of `seconds`.
_WORDS = {3600: "an hour", 86_400: "a day"}


def command_parser(
    name: str, *, description: str, epilog: str, usage: str | None = None
) -> argparse.ArgumentParser:
    """A parser of `python -m conformance NAME`, whose epilog is printed as it is; options are not abbreviated."""
    return argparse.ArgumentParser(
        prog=f"{PROGRAM} {name}".rstrip(),
        usage=usage,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_promises(parser: argparse.ArgumentParser, text: str) -> None:
    """Add `--promise NAME`, which may be repeated; the value is `promises`, None without one."""
    parser.add_argument(
        "--promise", dest="promises", action="append", metavar="NAME", choices=list(BY_NAME), help=text
    )


def add_report(parser: argparse.ArgumentParser, text: str) -> None:
    """Add `--report DIR`; the value is a path, or None."""
    parser.add_argument("--report", metavar="DIR", type=Path, default=None, help=text)


def check_report(parser: argparse.ArgumentParser, folder: Path | None) -> None:
    """Raises SystemExit, with a message, if the report can't be written to this folder."""
    if folder is not None:
        try:
            check_folder(folder)
        except ValueError as error:
            parser.error(str(error))


def whole_number(most: int) -> Callable[[str], int]:
    """Type of an option for a whole number from 1 to `most`."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 1 to {most}")
        return int(text)

    return parse


def seconds(most: int) -> Callable[[str], float]:
    """Type of an option for a time above 0 and up to `most` seconds, an hour or a day."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"{text!r}: expected seconds, up to {_WORDS[most]}")
        return value

    return parse
