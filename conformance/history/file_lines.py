"""Lines of a history file as JSON documents, with a message for everything that is none (spec/histories.md)."""

import json
from collections.abc import Iterator
from typing import IO, Any

from conformance.history.system_facts import BadHistory

#: Longest line, in octets.
LINE_LIMIT = 16 << 20
#: First octets of files that are taken for histories by mistake, with the advice for each.
_OTHER_FILES = (
    (b"\x1f\x8b", "the file is compressed by gzip: unpack it first (gunzip)"),
    (b"PK\x03\x04", "the file is a zip archive: unpack it first"),
    (b"BZh", "the file is compressed by bzip2: unpack it first"),
    (b"\xfd7zXZ", "the file is compressed by xz: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "the file is compressed by zstd: unpack it first"),
    (b"\xff\xfe", "the file is in UTF-16: write it in UTF-8"),
    (b"\xfe\xff", "the file is in UTF-16: write it in UTF-8"),
)


def documents(stream: IO[bytes], name: str) -> Iterator[tuple[int, Any]]:
    """Number and document of each line that is not empty. Raises BadHistory, with the number of the line."""
    number = 0
    while line := stream.readline(LINE_LIMIT + 1):
        number += 1
        try:
            _check(number, line)
            document = _document(line)
        except BadHistory as error:
            is_last = number > 1 and not line.endswith(b"\n") and "Extra data" not in str(error)
            cut = ", and the file ends in this line: it may be cut" if is_last else ""
            raise BadHistory(f"{name}, line {number}: {error}{cut}") from None
        if document is not None:
            yield number, document


def _check(number: int, line: bytes) -> None:
    if len(line) > LINE_LIMIT:
        raise BadHistory(f"expected at most {LINE_LIMIT} octets")
    if number > 1:
        return
    for beginning, advice in _OTHER_FILES:
        if line.startswith(beginning):
            raise BadHistory(f"expected lines of JSON; {advice}")


def _document(line: bytes) -> Any:
    """The document of a line; None if the line is empty. Raises BadHistory."""
    try:
        text = line.decode("utf-8-sig").strip()
        return json.loads(text, parse_constant=_no_constant) if text else None
    except UnicodeDecodeError as error:
        raise BadHistory(f"expected UTF-8: {error.reason} at octet {error.start + 1}") from None
    except RecursionError:
        raise BadHistory("expected an object with members, found one that nests too deeply") from None
    except json.JSONDecodeError as error:
        raise BadHistory(
            f"expected a JSON object on a line of its own: {error.msg} at character {error.pos + 1} of "
            f"{len(text)}"
        ) from None
    except ValueError as error:
        raise BadHistory(f"expected a JSON object: {error}") from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
