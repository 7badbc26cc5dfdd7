"""Bounds of the server: sizes of stored values, and refusals of requests that exceed a bound."""

from reference_server.queue.refusal import Refusal


def octets_of(value: str | float) -> int:
    """Octets that a stored value counts: those of its UTF-8, or 8 for a number."""
    if not isinstance(value, str):
        return 8
    return len(value) if value.isascii() else len(value.encode())


def check_range(member: str, value: int, most: int) -> None:
    """Raise Refusal (member-value) unless the value of a member is 0, for the default, or up to `most`."""
    if not 0 <= value <= most:
        raise Refusal("member-value", f"{member} is {value}; from 1 to {most} are possible", member)


def check_room(used: int, bound: int, things: str, more: int = 1) -> None:
    """Raise Refusal (too-many) unless so many `more` things fit below the bound."""
    if used + more > bound:
        raise Refusal("too-many", f"this server holds {bound} {things} at most")
