"""Words of a shell command that refer to secrets by environment variables, so that what is printed holds none."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from conformance.targets.secrets import may_be_secret, shown_url

if TYPE_CHECKING:
    from collections.abc import Mapping


def variable(*names: str) -> str:
    """Environment variable of a secret, such as STOMPLIANCE_HEADER_AUTHORIZATION."""
    return "_".join(["STOMPLIANCE", *(re.sub(r"[^A-Za-z0-9]", "_", name).upper() for name in names)])


def referring(word: str, secrets: Mapping[str, str]) -> str:
    """Quoted word, with `secrets` (values and their variables) as references that fail where the variable is unset.

    The word ends up as one argument.
    """
    known = {secret: name for secret, name in secrets.items() if secret}
    if not known:
        return shlex.quote(word)
    pattern = "|".join(re.escape(secret) for secret in sorted(known, key=len, reverse=True))
    quoted = ""
    for piece in re.split(f"({pattern})", word):
        if piece in known:
            quoted += f'"${{{known[piece]}:?}}"'
        elif piece:
            quoted += shlex.quote(piece)
    return quoted or "''"


def url_without_secrets(url: str, *kind: str) -> str:
    """Quoted URL, with references in place of its user and of the values of its query that may be secrets.

    `kind` is a part of the variables' names.
    """
    if shown_url(url) == url:
        return shlex.quote(url)
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    scheme, _, rest = url.partition("://")
    quoted = shlex.quote(f"{scheme}://")
    if at:
        quoted += f'"${{{variable(*kind, "USER")}:?}}"'
        rest = rest[len(user) :]
    path, mark, query = rest.partition("?")
    quoted += shlex.quote(path) if path else ""
    separator = mark
    for pair in query.split("&") if mark else []:
        name, equals, value = pair.partition("=")
        quoted += separator and shlex.quote(f"{separator}{name}{equals}")
        if may_be_secret(name, value):
            quoted += f'"${{{variable(*kind, "QUERY", name)}:?}}"'
        elif value:
            quoted += shlex.quote(value)
        separator = "&"
    return quoted
