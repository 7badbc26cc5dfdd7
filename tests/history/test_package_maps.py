"""Maps of packages name every module, and nothing else."""

import pytest

from tests.package_maps import MAPPED_PACKAGES, mapped, modules


@pytest.mark.parametrize("package", MAPPED_PACKAGES)
def test_the_map_names_every_module_once(package: str) -> None:
    """The docstring of the package lists its modules and subpackages, each once."""
    assert sorted(mapped(package)) == sorted(modules(package))
    assert modules(package)
