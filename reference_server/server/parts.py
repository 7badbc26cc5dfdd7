"""Parts of a body or of a message, in order: their number is bounded by their octets, however small they come."""

_FEW = 64
_SMALL = 4096


def add_part(parts: list[bytes], part: bytes) -> None:
    """Add a part; where there are many, a small one grows, since each object is larger than a few octets."""
    if len(parts) >= _FEW and len(parts[-1]) < _SMALL:
        parts[-1] += part
    else:
        parts.append(part)
