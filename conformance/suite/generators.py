"""Lengths and counts along which servers break, shared by all tests.

A length matters where a buffer or a form of writing it ends, a count where a table or window does. Tests take the ones
of the run's effort, so that quick runs stay quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

KIB, MIB = 1 << 10, 1 << 20
#: Lengths at which WebSocket, a table of a broker or a buffer changes, in octets.
BORDERS = (125, 126, 127, 255, KIB, 4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB, MIB)
#: Longest length by effort: quick, standard, thorough.
LONGEST = (16 * KIB, 64 * KIB, MIB)
#: Numbers beyond which implementations were seen to lose things.
COUNTS = (10, 16, 32, 64, 100, 128, 256, 1000)

#: Endings of two names that differ, and that a server may take for one.
SIMILAR = (
    ("1", "10"),
    ("", "-"),
    ("a.b", "a_b"),
    ("a-b", "a_b"),
    ("a:b", "a:c"),
    ("a", "a:b"),
    ("a/b", "a-b"),
    ("Name", "name"),
    ("0", "00"),
    ("null", "undefined"),
    ("1", "1.0"),
    ("constructor", "toString"),
    ("__proto__", "__class__"),
)
#: Texts that a broker may read as numbers, and write anew.
NUMBER_LIKE = ("007", "1.50", "1e3", "0x1F", "+1", "-0", "1_000", ".5", "9007199254740993")
#: Names that every object of JavaScript or Python has: a map that is such an object seems to hold them.
OBJECT_MEMBERS = ("constructor", "toString", "__proto__", "__class__")
#: Values that differ by a blank, which 1.0 may trim and later versions may not.
BLANKS = (("a", " a"), ("a", "a "))


def lengths(bench: Bench, at_most: int = MIB + 1, at_least: int = 1) -> list[int]:
    """Lengths around all borders up to that of the effort, in octets, rising and within the bounds."""
    longest = bench.examples(*LONGEST)
    around = {border + near for border in BORDERS if border <= longest for near in (-1, 0, 1)}
    return sorted(length for length in around if at_least <= length <= at_most)


def many(bench: Bench) -> int:
    """Number of things that exceeds the counts of the effort: 128, 256 or 1000."""
    return bench.examples(135, 270, 1010)
