"""The tox environment `lowest` pins what pyproject.toml admits."""

import configparser
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _versions(requirements: list[str], operator: str) -> dict[str, tuple[int, ...]]:
    """Versions by package, without zeros at their end."""
    found = {}
    for requirement in requirements:
        name, version = requirement.split(operator)
        found[name] = tuple(int(number) for number in re.sub(r"(\.0)+$", "", version).split("."))
    return found


def test_the_lowest_versions_are_those_of_the_dependencies() -> None:
    """Every dependency has its lower bound in the environment, and nothing else is pinned there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", "utf-8")
    pinned = tox["testenv:lowest"]["deps"].split()
    assert _versions(pinned, "==") == _versions(project["dependencies"], ">=")
