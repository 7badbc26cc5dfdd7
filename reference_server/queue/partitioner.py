"""The mapping of keys to partitions (PART-KEY-1, PART-KEY-2)."""

import hashlib
from functools import lru_cache

#: Longer keys are not cached, to keep the cache small.
_REMEMBERED_LENGTH = 256


def key_number(key: str) -> int:
    """The first four octets of the MD5 of the key's UTF-8, as a little-endian number."""
    return int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest()[:4], "little")


_remembered_number = lru_cache(maxsize=8192)(key_number)


def partition_of(key: str, partitions: int) -> int:
    """The index, from 0, of the partition that holds all records of `key`."""
    number = _remembered_number(key) if len(key) <= _REMEMBERED_LENGTH else key_number(key)
    return number % partitions
