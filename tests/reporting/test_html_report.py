"""HTML report: complete without network or scripts, and safe for any text of a server."""

import dataclasses
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.reporting import html_report
from conformance.reporting.summary import closing_sentence
from conformance.verdicts.decision import decide
from conformance.verdicts.verdicts import Exit, Failure, Key, Result, Tally
from tests.reporting import samples
from tests.reporting.samples import BOOK, META, NASTY, SECRET, TARGET
from tests.verdicts.test_situations import SITUATIONS

VOID = {"meta"}


class Page(HTMLParser):
    """Parser of the page that collects its elements and text for the tests."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def values(self, attribute: str) -> list[str]:
        return [str(attrs[attribute]) for _, attrs in self.tags if attribute in attrs]


def page(result: Result, **more) -> Page:
    return Page(html_report.build(result, BOOK, more.pop("target", TARGET), META, **more))


@pytest.fixture(scope="module")
def whole() -> Page:
    return page(samples.result())


def test_the_page_needs_nothing_else():
    text = html_report.build(samples.result(), BOOK, TARGET, META)
    found = Page(text)
    assert not {tag for tag, _ in found.tags} & {"script", "link", "img", "iframe", "object", "base", "form"}
    assert not found.values("src")
    assert not [name for _, attrs in found.tags for name in attrs if name.startswith("on")]
    assert all(target.startswith("#") for target in found.values("href"))
    assert not re.search(r"url\(|@import", text)


def test_every_tag_is_closed_and_every_link_leads_somewhere(whole: Page):
    assert not whole.unbalanced
    assert not whole.open
    ids = whole.values("id")
    assert len(ids) == len(set(ids))
    assert {target[1:] for target in whole.values("href")} == set(ids)


def test_the_page_has_all_that_a_person_asks_for(whole: Page):
    for fact in (
        "Sample broker 1.0",
        closing_sentence(samples.result()),
        TARGET.url,
        "queue-http, stomp-1.1, stomp-1.2",
        "12 for 8 clauses, quick effort, seed 7",
        "2024-05-06 07:08:09 UTC, took 12.5 s",
        "The server MUST open an account.",
        "Keeping accounts, spec/chapter0.md:5",
        "an answer",
        "step 3",
        "accept-version:1.2",
        "<ff><fe>^[[2J^@",
        f"python -m conformance {TARGET.url} --clause ACCOUNT-OPEN-1",
        "a grunt",
        "1.1 is not greeted, and nobody minds",
        "was mended long ago",
        "KeyError",
        "it rounds down",
        "the server has no cents",
        "its test ended at ACCOUNT-OPEN-1, which failed",
    ):
        assert fact in whole.text, fact
    assert all(clause.id in whole.text for clause in BOOK)


def test_what_is_broken_is_unfolded_and_the_rest_is_not(whole: Page):
    unfolded = {attrs["id"]: "open" in attrs for tag, attrs in whole.tags if tag == "details"}
    assert unfolded.pop("ACCOUNT-OPEN-1-fail") is True
    assert unfolded
    assert not any(unfolded.values())


def test_a_clause_may_have_sections_for_several_verdicts():
    keys = [Key("TALK-1", "stomp-1.1"), Key("TALK-1", "stomp-1.2")]
    tallies = {key: Tally(broken=1, failures=[samples.failure(key)]) for key in keys}
    ids = page(decide(BOOK, keys, tallies, samples.WAIVERS[:1])).values("id")
    assert sorted(ids) == ["TALK-1-fail", "TALK-1-fail-known"]


def test_the_passcode_of_the_target_is_not_on_the_page(whole: Page):
    assert SECRET not in whole.text


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_every_situation_has_a_page(situation):
    found = page(situation.result())
    assert not found.unbalanced
    assert closing_sentence(situation.result()) in found.text


def test_a_server_that_was_not_there_has_a_page():
    assert "nobody answers" in page(Result((), (), Exit.USAGE)).text


@settings(max_examples=40)
@given(st.one_of(st.just(NASTY), st.text(st.characters(exclude_categories=()))), st.binary())
def test_whatever_a_server_says_stays_text(said: str, octets: bytes):
    key = Key("TALK-1", "stomp-1.2")
    frames = (samples.frame(0.5, said, "<", "stomp", octets),)

    def of(text: str, evidence: tuple) -> Page:
        failure = Failure(*key, text, text, text, (text,), evidence)
        result = decide(BOOK, [key], {key: Tally(broken=1, failures=[failure])}, ended_early=f"x{text}")
        target = dataclasses.replace(TARGET, title=f"x{text}", extensions=frozenset({text}))
        return page(result, target=target, replay_command=lambda _: text)

    found = of(f"<script>{said}", frames)
    plain = of("x", (samples.frame(0.5, "ws-1", "<", "stomp", b"x"),))
    assert not found.unbalanced
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in plain.tags]


def test_the_file_is_utf_8(tmp_path):
    path = tmp_path / "report.html"
    html_report.write(path, samples.result(), BOOK, dataclasses.replace(TARGET, title="Größe"), META)
    assert "Größe" in path.read_bytes().decode("utf-8")
