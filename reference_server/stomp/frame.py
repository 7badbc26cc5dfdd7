"""Frames (interface; the behaviour follows)."""

import msgspec


class Frame(msgspec.Struct):
    """One frame of a client."""

    command: str
    headers: dict[str, str]
    body: bytes
