"""Maps of packages: the list of modules in the docstring of a package.

A map has one line per module: the name in backticks, then a description. Subpackages are named like modules and have
maps of their own.
"""

import importlib
import pkgutil
import re

#: Packages whose docstring has a map.
MAPPED_PACKAGES = (
    "conformance.adapters",
    "conformance.history",
    "conformance.history.workload",
)

ENTRY = re.compile(r"^`(?P<name>\w+)` +\S", re.MULTILINE)


def mapped(package: str) -> list[str]:
    """The names that the map of a package lists, in its order."""
    return [entry["name"] for entry in ENTRY.finditer(importlib.import_module(package).__doc__ or "")]


def modules(package: str) -> list[str]:
    """The modules and subpackages of a package, by name."""
    return [module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)]
