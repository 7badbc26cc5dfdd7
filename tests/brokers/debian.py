"""Installation of a Debian package."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.brokers.installing import CannotInstall, carry_out, tool


@dataclass(frozen=True)
class DebianPackage:
    """A package of the distribution; an installed one is used as it is, whoever installed it."""

    name: str
    #: Path of a file by which the package is known to be there.
    program: str

    @property
    def source(self) -> str:
        """Package and registry, for people."""
        return f"Debian package {self.name}"

    def install(self, cache: Path) -> Path:
        """Root of the file system, with the package installed. Raises CannotInstall."""
        if not Path(self.program).exists():
            if os.geteuid() != 0:
                raise CannotInstall(
                    f"{self.name} is not installed: run `apt-get install {self.name}` as root"
                )
            apt = tool("apt-get", "Debian")
            carry_out([apt, "update", "-q"])
            # The package's own service would take the broker's usual ports.
            carry_out(
                [
                    "env",
                    "RUNLEVEL=1",
                    "DEBIAN_FRONTEND=noninteractive",
                    apt,
                    "install",
                    "-y",
                    "-q",
                    "--no-install-recommends",
                    self.name,
                ]
            )
        if not Path(self.program).exists():
            raise CannotInstall(
                f"{self.name} is installed and has no {self.program}: expected that of Debian 12"
            )
        return Path("/")

    def installed_version(self) -> str:
        """Version of the installed package, "" if there is none."""
        done = subprocess.run(
            ["dpkg-query", "-W", "-f=${Version}", self.name],
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        return done.stdout if done.returncode == 0 else ""
