"""Maps of packages: the docstring of `__init__` names every module of its package, and nothing else."""

import pkgutil
import re
from types import ModuleType

import pytest

from conformance import models
from conformance.models import stomp

ENTRY = re.compile(r"^`(\w+)` +\S", re.MULTILINE)


@pytest.mark.parametrize("package", [models, stomp], ids=lambda package: package.__name__)
def test_the_map_names_every_module_and_nothing_else(package: ModuleType) -> None:
    """Each module and subpackage has exactly one entry, a line that begins with its name."""
    named = ENTRY.findall(package.__doc__ or "")
    assert sorted(named) == sorted(module.name for module in pkgutil.iter_modules(package.__path__))
