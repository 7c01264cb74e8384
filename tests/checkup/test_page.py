"""The page of a checkup: what of a text stands in it, and that a browser reads none of it as markup."""

import re
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest

from checkup.estimate import Estimate
from checkup.findings import examine
from checkup.page import Checked, characters_plot, page_of
from checkup.plots import HEIGHT, WIDTH, bars, label
from checkup.records import Inspection
from checkup.sample import read_sample
from tests.helpers import TINY, toy_lines
from text.corpus import load_corpus

HOSTILE = (
    '</p></script><script>document.title = "owned"</script><img src="https://example.org/x.png" onerror="owned()">'
)


@pytest.fixture
def checked(tiny_run):
    """A function (lines, name, **sections) -> a checked text."""

    def examined(content, name="toy", **sections) -> Checked:
        run = tiny_run(content, name, **sections)
        seen = Inspection(run, load_corpus(run), read_sample(run), Estimate(3.0, 2000.0, 1.8e6, 1.8e7, 1_000_000, True))
        return Checked(seen, ["two facts, <b>both</b> of them"], examine(seen))

    return examined


class Reader(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


def test_every_finding_and_some_documents_stand_in_the_page(checked):
    text = checked([*toy_lines(40), "jane@example.org"])
    page = Reader(page_of([text]))
    for name, finding in text.findings.items():
        told = finding.sentence if finding.sentence.startswith(name) else f"{name}: {finding.sentence}"
        assert told in page.text
        assert all(part in page.text for part in finding.fix.split(": ", 1))
    assert "two facts, <b>both</b> of them" in page.text and toy_lines(40)[0] in page.text
    assert "Checkup of toy" in page.text and page.tags.count("svg") == 3


def test_nothing_of_a_text_is_read_as_markup(checked):
    text = checked([*[f"{HOSTILE} {number}" for number in range(30)], "<!--TEXTS--> \x1b[31m \u202e &amp;"])
    page = page_of([text])
    plain = page_of([checked([f"nothing {number}" for number in range(31)])])
    assert HOSTILE in Reader(page).text and "<!--TEXTS-->" in Reader(page).text
    tags = set(Reader(page).tags)
    assert tags <= set(Reader(plain).tags) | {"q", "code", "small", "details", "summary"} and "script" not in tags
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", page) and "//" not in re.sub("&.*?;", "", plain)


def test_several_texts_are_linked_and_a_stream_has_no_lengths(checked):
    page = page_of([checked(toy_lines(30), "one"), checked(toy_lines(30), "two", data={"format": "stream"})])
    assert re.findall('href="#(.*?)"', page) == re.findall('<h2 id="(.*?)"', page) == ["one", "two"]
    assert page.count("<b>Lengths</b>") == 1 and page.count("<b>Characters</b>") == 2


def test_a_warning_is_told_in_words_not_by_its_colour_alone(checked):
    page = page_of([checked(toy_lines(40))])  # too few characters, for one
    assert 0 < page.count('class="warning"') == page.count("<b>Warning.</b>")


def test_where_the_alphabet_ends_is_marked_only_where_it_is_drawn(checked):
    """Of a text with more characters than there are bars."""
    line = "".join(map(chr, range(0x4E00, 0x4E00 + 500)))
    for size, drawn in ((101, True), (400, False)):
        lines = [f"{line} {number}" for number in range(30)]
        page = page_of([checked(lines, data={**TINY["data"], "vocab_size": size})])
        assert (f">vocab_size {size}</text>" in page) == drawn
        assert (f"vocab_size {size} leaves out" in page) != drawn


def test_a_character_stands_out_by_whether_the_voice_knows_it_not_by_its_rank_in_the_sample(checked):
    seen = checked([f"abc abc {'ab' * (number % 7)}" for number in range(30)], data={"vocab_size": 4}).seen
    seen.sample.counts[ord("c")] = seen.sample.counts.max() + 1  # the whole text has it more rarely
    assert set(seen.corpus.vocabulary.characters) == {"\n", "a", "b", " "}
    body = characters_plot(seen)[1]
    [known] = re.findall('class="ink" d="(.*?)"', body)
    [unknown] = re.findall('class="lost" d="(.*?)"', body)
    assert unknown.startswith("M0") and unknown.count("M") == 1 and known.count("M") == 3


def test_bars_are_as_high_as_what_they_show():
    path = bars([0.0, 0.5, 1.0, 0.25])
    edges = [float(part) for part in re.findall(r"V([\d.]+)H", path)]
    heights = (HEIGHT - np.array(edges)) / (HEIGHT - edges[1])
    assert np.allclose(heights, [0.5, 1.0, 0.25]) and [float(x) for x in re.findall(r"M([\d.]+)", path)] == [
        90,
        180,
        270,
    ]
    assert 'text-anchor="end"' in label(1.0, 0, "x") and f'x="{WIDTH}' in label(1.0, 0, "x")
    assert unescape(label(0.5, 0, "<&>")).count("<&>") == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_a_browser_shows_it_without_a_network_and_within_its_width(checked, visit, tmp_path, width, scheme):
    texts = [
        checked([*[f"{HOSTILE} {number}" for number in range(30)], "W" * 3000], name) for name in ("one", "b" * 60)
    ]
    path = tmp_path / "check.html"
    path.write_text(page_of(texts), encoding="utf-8")
    page = visit(path, width, 844, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width and page.title() == "Checkup"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == {
        "light": "rgb(246, 243, 236)", "dark": "rgb(20, 21, 25)",
    }[scheme]  # fmt: skip
    boxes = page.evaluate(
        "[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect()).map(r => [r.left, r.right])"
    )
    assert boxes and all(left >= 0 and right <= width for left, right in boxes)
