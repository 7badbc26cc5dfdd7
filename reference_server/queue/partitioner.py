"""Which partition a key maps to (PART-KEY-1, PART-KEY-2)."""

from __future__ import annotations

import hashlib
from functools import lru_cache


@lru_cache(maxsize=8192)
def key_number(key: str) -> int:
    """The first four octets of the MD5 of the key's UTF-8, as a little-endian number."""
    return int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest()[:4], "little")


def partition_of(key: str, partitions: int) -> int:
    """The index, from 0, of the partition that holds all records of `key`."""
    return key_number(key) % partitions
