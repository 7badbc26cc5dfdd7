"""Names, keys and counts that brokers get wrong, shared by all tests that need some.

Names of one list are easily taken for one another: one begins another one, or they differ only by case, in the octet
that joins two words, as numbers, or in the last of 128 characters. Keys look like the absence of a key, or
differ only in ways that normalising, trimming or comparing as numbers removes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from conformance.suite.generators import NUMBER_LIKE, OBJECT_MEMBERS

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Greatest length of a name that every server takes (NAME-1), in characters.
NAME_LENGTH = 128

#: Names that look like nothing, like a literal, or like what every object of a language has. On a server in use they
#: may be taken.
LITERALS = (
    *("null", "undefined", "None", "nil", "NaN", "true", "false", "0", "-1", "1e3", "...", "_", "-"),
    *OBJECT_MEMBERS,
)

#: Names that a server may accept or refuse, but not alter, by templates for a name that is unused.
FREE_NAMES = (
    "{}" + "n" * 129,
    "{}" + "n" * 255,
    "{}" + "n" * 1000,
    "{}tópico",
    "{}to\u0301pico",
    "{}主题",
    "{}a b",
    "{}a%2Fb",
    "{}a:b",
    "{}a\\b",
    "{}a?b#c",
    "{}a+b",
    "{}a;b=c",
    "{}a&b=c@d!e",
    " {}",
    "{} ",
    " {} ",
    "\u00a0{}\u00a0",
    "{}\ufeff",
)

#: Keys that are texts like any other, though a client or a broker may take them for no key, or for one another.
KEYS: tuple[str, ...] = (
    "null",
    "undefined",
    "None",
    "NULL",
    "nil",
    "NaN",
    "0",
    "00",
    "0.0",
    "-0",
    "1",
    "1.0",
    "true",
    "false",
    " ",
    "  ",
    "\t",
    "\u0000",
    "\u00a0",
    "\ufeff",
    "[]",
    "{}",
    '""',
    "a",
    "A",
    " a",
    "a ",
    "\u00e9",
    "e\u0301",
    "%41",
    "a+b",
    "&lt;",
    "\ufb01",
    "fi",
    "\u212b",
    "\u00c5",
    "\u00df",
    "ss",
    "k" * 127,
    "k" * 128,
    "k" * 255,
    "k" * 256,
    "k" * 257,
    "k" * 256 + "x",
    *NUMBER_LIKE,
)

#: Octets of a body that every server is taken to accept where it declares no limit.
UNDECLARED_BODY = 20_000

#: Numbers that are 1 in 32 or in 64 bits: a cast turns them into a value that is possible.
WRAPPING = (2**32 + 1, 2**40 + 1, 2**64 + 1)

#: Greatest id of a record (POLL-OK-2).
_HIGHEST_ID = 2**63 - 1

#: Just above the numbers at which buffers, windows and pools of brokers end.
COUNTS = (11, 17, 33, 65, 101, 129, 257, 1001)


def similar_names(bench: Bench, stem: str) -> list[str]:
    """Valid names (NAME-1) that are unused on this server, and easily taken for one another.

    The first of them begins most of the others.
    """
    name = bench.fresh(stem)
    plain = name.replace("-", "a")
    number = 10**16 + int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")
    return [
        plain,
        f"{plain}0",
        f"{plain}00",
        f"{plain}-",
        f"{plain}-1",
        f"{plain}.1",
        f"{plain}_1",
        f"{plain}--1",
        f"{plain}..1",
        f"..{plain}",
        f"{plain}-P0",
        f"{plain}-null",
        f"-{plain}",
        plain.swapcase(),
        plain.capitalize() + "x",
        plain.capitalize() + "X",
        f"{number}",
        f"{number + 1}",
        f"0{number}",
        f"{number}.0",
        plain.ljust(NAME_LENGTH - 1, "n"),
        plain.ljust(NAME_LENGTH, "n"),
        plain.ljust(NAME_LENGTH - 1, "n") + "m",
    ]


def room_for_text(bench: Bench) -> int:
    """Half of the octets that the declared limits leave to a message, as a partition has to hold others too."""
    declared = [bench.limit("body_bytes"), bench.limit("frame_bytes"), bench.limit("partition_bytes")]
    return int(min((limit for limit in declared if limit), default=UNDECLARED_BODY)) // 2


def similar_ids(message_id: int) -> list[int]:
    """Other ids that a server may take for this one: equal in 32 or in 53 bits, or in their first or last digits."""
    digits = str(message_id)
    numbers = [message_id + further for further in (2**32, 2**53, -(2**32))]
    numbers += [
        int(text) for text in (digits[:-1], digits[1:], digits[:1], f"{digits}0", f"1{digits}") if text
    ]
    return [
        number for number in dict.fromkeys(numbers) if 0 <= number <= _HIGHEST_ID and number != message_id
    ]


def beyond(limit: float | None, otherwise: float | None = None) -> list[int]:
    """Whole numbers above a declared limit: the next one, and those that a cast to fewer bits would make possible.

    Without a limit they are above `otherwise`; without either there are none.
    """
    most = limit or otherwise
    if not most:
        return []
    return [*([int(limit) + 1] if limit else []), *(number for number in WRAPPING if number > most)]


def count_up_to(bench: Bench, most: float | None, quick: int, standard: int, thorough: int) -> int:
    """Largest of COUNTS that the effort of the run asks for and the server allows; `most` itself if that is less."""
    wanted = bench.examples(quick, standard, thorough)
    return wanted if most is None else int(min(wanted, most))
