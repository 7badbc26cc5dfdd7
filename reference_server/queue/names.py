"""Names of topics, groups and consumers (NAME-1 to NAME-4)."""

import re

from reference_server.queue.refusal import Refusal

_NAME = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)


def check_name(name: str, member: str, longest: int) -> str:
    """Return `name` when it is one; raises Refusal (name-invalid) when not, naming the `member`."""
    if not _NAME.fullmatch(name) or name in {".", ".."} or len(name) > longest:
        shown = name if len(name) <= 40 else name[:40] + "…"
        allowed = f"1 to {longest} of A-Z a-z 0-9 . _ - are, except `.` and `..`"
        raise Refusal("name-invalid", f"{member} {shown!r} is not a name: {allowed}", member)
    return name
