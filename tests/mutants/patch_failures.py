"""Patches that fail themselves: after a change of the server they call what is not there any more.

Such a server breaks clauses, though not by its fault: it would count as caught.
"""

from __future__ import annotations

import re

#: The innermost frame of a traceback and its error, on lines of their own or escaped in a line of the log.
_INNERMOST = re.compile(
    r'File \\?"(?P<file>[^"\\]*)\\?", line (?P<line>\d+), in [^\n\\]+(?:\\n|\n)(?:(?!File ).)*?(?:\\n|\n)'
    r"(?P<error>(?:TypeError|AttributeError|NameError|ImportError|UnboundLocalError): [^\n]*)",
    re.DOTALL,
)


def patch_failure(log: str) -> str:
    """The first error in the log of a server that its patch made by calling what is not there; "" if there is none."""
    for found in _INNERMOST.finditer(log):
        if "tests/mutants/" in found["file"]:
            file = found["file"].partition("tests/mutants/")[2]
            return f"the patch fails itself, tests/mutants/{file}:{found['line']}: {found['error'][:300]}"
    return ""
