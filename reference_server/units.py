"""Types of settings: the range of a value, and the unit that `--help` shows."""

from typing import Annotated

import msgspec

KIB = 1024
MIB = 1024 * KIB

Count = Annotated[int, msgspec.Meta(ge=1)]
Octets = Annotated[int, msgspec.Meta(ge=1, extra={"unit": "bytes"})]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=1e6, extra={"unit": "s"})]
Delay = Annotated[float, msgspec.Meta(ge=0, le=1e6, extra={"unit": "s"})]
