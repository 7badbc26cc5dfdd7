"""Target files written from data are read back as they were."""

from hypothesis import given
from hypothesis import strategies as st

from conformance.specification.clauses import BINDINGS
from conformance.targets.files import TargetFile, find_target, read_target
from conformance.targets.writing import to_toml
from conformance.verdicts.verdicts import Waiver

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
#: Values of headers of CONNECT, which can't be escaped there.
OF_CONNECT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=1)
REASONS = TEXTS.map(lambda text: f"x{text}".strip())
WAIVERS = st.builds(
    Waiver,
    st.just("ACK-OK-1"),
    REASONS,
    st.lists(st.sampled_from(BINDINGS), unique=True).map(tuple),
    st.booleans(),
)
FILES = st.builds(
    TargetFile,
    name=TEXTS,
    title=TEXTS,
    login=st.none() | OF_CONNECT,
    passcode=st.none() | OF_CONNECT,
    classes=st.lists(st.sampled_from(BINDINGS), unique=True).map(tuple),
    partitions=st.none() | st.integers(1, 100),
    queue=st.just("/q/{name}"),
    queue_headers=st.dictionaries(TEXTS, TEXTS, max_size=3),
    limits=st.dictionaries(TEXTS, st.integers(0, 2**40) | st.floats(0, 1e9), max_size=3),
    timings=st.dictionaries(st.just("eviction_grace"), st.floats(0, 1e6)),
    facts=st.dictionaries(st.sampled_from(["receipts", "queues"]), st.booleans()),
    waivers=st.lists(WAIVERS, max_size=3).map(tuple),
)


@given(file=FILES)
def test_a_written_target_file_is_read_back(tmp_path_factory, file):
    path = tmp_path_factory.mktemp("targets") / "made.toml"
    path.write_text(to_toml(file), "utf-8")
    assert read_target(path) == file


def test_a_written_file_is_found_by_any_name(tmp_path, monkeypatch):
    """`--write-waivers known` and `--target known` mean the same file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "known").write_text(to_toml(TargetFile(name="mine")), "utf-8")
    assert find_target("known").name == "mine"
    (tmp_path / "rabbitmq").write_text(to_toml(TargetFile(name="mine")), "utf-8")
    assert find_target("rabbitmq").name == "rabbitmq", "the known brokers go first"
