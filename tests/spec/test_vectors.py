"""Test vectors, recomputed from the text and checked against suite and reference server."""

import hashlib
import json
from typing import Any

import pytest

from conformance.wire import encoding
from reference_server.queue.partitioner import key_number, partition_of
from reference_server.stomp import escapes
from reference_server.stomp.errors import ProtocolError
from tests.spec.documents import ROOT

PARTITIONER = json.loads((ROOT / "vectors/partitioner.json").read_text("utf-8"))
ESCAPES = json.loads((ROOT / "vectors/frame-escapes.json").read_text("utf-8"))
#: Escapes as in the table of the chapter on frames.
PAIRS = {
    "1.0": {},
    "1.1": {"\n": "\\n", ":": "\\c", "\\": "\\\\"},
    "1.2": {"\n": "\\n", ":": "\\c", "\\": "\\\\", "\r": "\\r"},
}


def _shown(vector: dict[str, Any]) -> str:
    text = vector.get("key", vector.get("raw", vector.get("encoded")))
    return f"{vector.get('version', '')}{ascii(text)[:24]}-{len(text)}"


@pytest.mark.parametrize("vector", PARTITIONER["vectors"], ids=_shown)
def test_partitioner(vector: dict[str, Any]) -> None:
    """PART-KEY-2: recomputed here, and by the reference server."""
    octets = hashlib.md5(vector["key"].encode("utf-8")).digest()[:4]
    number = octets[0] + 256 * (octets[1] + 256 * (octets[2] + 256 * octets[3]))
    assert vector["digest_prefix"] == octets.hex()
    assert vector["number"] == number == key_number(vector["key"])
    for count, partition in vector["partitions"].items():
        assert partition == number % int(count) == partition_of(vector["key"], int(count))


def test_partitioner_vectors_are_worth_having() -> None:
    """Some vectors expose signed numbers, other byte orders, other encodings and truncated keys."""
    vectors = PARTITIONER["vectors"]
    keys = [vector["key"] for vector in vectors]
    assert len(set(keys)) == len(keys)
    assert PARTITIONER["without_key"]["keys"] == [None, ""]
    assert not {None, ""} & set(keys)
    assert any(vector["number"] >= 2**31 for vector in vectors)
    assert any(ord(character) > 0xFFFF for key in keys for character in key)
    assert any(len(key) > 1000 for key in keys)
    assert {"\u00e9", "e\u0301"} <= set(keys)
    assert all({"1", "2", "3", "4", "7"} <= set(vector["partitions"]) for vector in vectors)


@pytest.mark.parametrize("vector", ESCAPES["vectors"], ids=_shown)
def test_escapes(vector: dict[str, str]) -> None:
    """STOMP-ENC-002, -004 and -009: recomputed here, and by the codecs of both sides."""
    version, raw, encoded = vector["version"], vector["raw"], vector["encoded"]
    assert encoded == "".join(PAIRS[version].get(character, character) for character in raw)
    assert escapes.escape(raw, version) == encoding.escape(raw, version) == encoded
    assert escapes.unescape(encoded, version) == encoding.unescape(encoded, version) == raw


@pytest.mark.parametrize("vector", ESCAPES["undefined"], ids=_shown)
def test_undefined_escapes(vector: dict[str, str]) -> None:
    """STOMP-ENC-003: both sides refuse a backslash that begins no escape."""
    with pytest.raises(ProtocolError):
        escapes.unescape(vector["encoded"], vector["version"])
    with pytest.raises(ValueError, match="escape"):
        encoding.unescape(vector["encoded"], vector["version"])


def test_escape_vectors_cover_every_pair_of_every_version() -> None:
    """The vectors have every escape of each version, and text that successive replacements would decode wrongly."""
    for version, pairs in PAIRS.items():
        encoded = [vector["encoded"] for vector in ESCAPES["vectors"] if vector["version"] == version]
        assert encoded
        assert all(any(pair in text for text in encoded) for pair in pairs.values())
        assert version == "1.0" or "\\\\n" in encoded
