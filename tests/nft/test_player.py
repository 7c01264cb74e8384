"""The page and the animated SVG of a token in a browser: keys, both ways, and pointer give one state; text is text."""

import io
import json
import re
from itertools import pairwise

import pytest
from PIL import Image

from generation.course import Change, text_after
from nft.animated_svg import animated_svg
from nft.image import svg
from nft.layout import MARGIN, SIDE, TEXT_SIDE, WIDE_SCALE
from nft.player import player
from pages.themes import THEMES
from tests.nft.sets import course_to

TEXT = "Fix the reader, and\ttest it.\nTwice  over, at 3 places: abcdefghijklmnopqrstuvwxyz0123456789 is one word."
HOSTILE = (
    "</script><img src=x onerror=alert(1)> ]]> & \" ' \u2028\u2029 \u202e\u05d0\u05d1 \U0001f9ff <!--TEXT--> \r end"
)
CELLS = "[...document.querySelectorAll('#sheet i')].map(cell => [cell.textContent, cell.className])"
CALL = "Number(document.getElementById('call').value)"


def test_noise_of_characters_beyond_sixteen_bits_stays_whole():
    text, theme = "a\U0001f600b\U0001f603cde", THEMES["night"]
    found = re.search(r"^const noise = (.*?);", player(text, course_to(text), "made up #1", theme), re.MULTILINE)
    assert found and json.loads(found[1]) == theme.noise_of(text)
    found = re.search(r"^const noise = (.*?);", player(TEXT, course_to(TEXT), "made up #1", theme), re.MULTILINE)
    assert found and json.loads(found[1]) == "".join(theme.noise_of(TEXT))


@pytest.fixture
def played(visit, tmp_path):
    """A function (text, width, height, **options of Playwright) -> the page of a text, played by `course_to`."""

    def play(text: str, *size: int, theme: str = "paper", **options):
        path = tmp_path / "piece.html"
        page_source = player(text, course_to(text), "made up #1", THEMES[theme])
        path.write_text(page_source, encoding="utf-8", newline="\n")
        page = visit(path, *size, **options)
        page.on("dialog", lambda dialog: pytest.fail("a script of a text ran"))
        return page

    return play


def numbers(course: list[Change]) -> list[int]:
    """The calls that a page has of a course."""
    text = "".join("x" for change in course for _ in change.positions)
    [found] = re.findall(r"const course = (.*); //", player(text, course, "made up #1", THEMES["paper"]))
    return [call for call, _, _ in json.loads(found)]


def test_a_page_counts_no_calls_that_were_never_made():
    """`surest` counts a revision as if its stretch were full, whatever it writes again."""
    made = [*range(9), *range(33, 36), *range(33 + 4096, 36 + 4096)]
    assert numbers([Change(step, [place], "x") for place, step in enumerate(made)]) == [*range(15)]
    for usual in ([0, *range(1, 21), 33, 34, 41, 112], [k * 4 for k in range(100)]):  # nor other numbers than before
        assert numbers([Change(step, [place], "x") for place, step in enumerate(usual)]) == usual
    forged = [Change(0, [0], "x"), Change(1, [1], "y"), Change(2**53, [2], "z")]  # it would count through them
    assert numbers(forged) == [0, 1, 2] and numbers([]) == []


def state(text: str, call: int) -> list[list[str]]:
    """What the cells of a text hold after a call: the character, or nothing; `n` for what is still noise."""
    written = {}
    for step, places, characters in course_to(text):
        if step <= call:
            written |= dict(zip(places, characters, strict=True))
    shown = {place: "" if character == "\n" else character for place, character in written.items()}
    return [[shown.get(place, ""), "" if place in shown else "n"] for place in range(len(text))]


def test_keys_go_to_every_call_and_back_to_the_same_state(played):
    page = played(TEXT)
    page.keyboard.press("End")
    last = course_to(TEXT)[-1].step
    assert page.evaluate(CALL) == last and page.evaluate(CELLS) == state(TEXT, last)
    assert page.text_content("#text") == text_after(course_to(TEXT)) == TEXT
    page.keyboard.press("Home")
    assert page.evaluate(CALL) == 0 and page.evaluate(CELLS) == state(TEXT, 0)
    for key, step in (("ArrowRight", 1), ("ArrowLeft", -1)):
        for _ in range(last):
            page.keyboard.press(key)
            call = page.evaluate(CALL)
            assert page.evaluate(CELLS) == state(TEXT, call)
        assert call == (last if step > 0 else 0)
    assert page.get_attribute("#call", "aria-valuetext") == f"call 0 of {last}"


def test_the_pointer_scrubs(played):
    page = played(TEXT)
    box = page.locator("#call").bounding_box()
    for share in (0.8, 0.3, 0.6):
        page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        call = page.evaluate(CALL)
        assert abs(call / course_to(TEXT)[-1].step - share) < 0.05
        assert page.evaluate(CELLS) == state(TEXT, call) and page.get_attribute("#play", "aria-label") == "play"


def test_space_and_the_button_pause_and_play(played):
    page = played(TEXT)
    label = "document.getElementById('play').ariaLabel"
    page.wait_for_function(f"{CALL} > 3")
    page.keyboard.press("Space")
    assert page.evaluate(label) == "play"
    page.keyboard.press("End")
    page.click("#play")  # at the end it begins again, at once
    assert page.evaluate(label) == "pause" and page.evaluate(CALL) == 0
    page.keyboard.press("Space")  # with the focus on the button: once, not twice
    assert page.evaluate(label) == "play"


def test_it_plays_to_the_end_by_itself(played):
    page = played("a few words")
    page.wait_for_function(f"{CALL} === {course_to('a few words')[-1].step}")
    assert "".join(text for text, _ in page.evaluate(CELLS)) == "a few words"


def test_who_wants_no_motion_sees_the_finished_text_at_once(played):
    page = played(TEXT, reduced_motion="reduce")
    assert page.evaluate(CELLS) == state(TEXT, course_to(TEXT)[-1].step)
    assert page.evaluate("playing") is False


@pytest.mark.parametrize("size", [(390, 844), (1440, 900), (320, 480), (844, 390)])
def test_a_page_fits_every_window(played, size):
    page = played(TEXT, *size)
    assert page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [*size]
    inside = "(({ scrollHeight, clientHeight }) => scrollHeight <= clientHeight)(document.getElementById('page'))"
    assert page.evaluate(inside)
    assert page.evaluate("getComputedStyle(document.getElementById('play')).fontSize") == "18px"
    cells = page.evaluate("[...document.querySelectorAll('#sheet i')].map(c => c.getBoundingClientRect().toJSON())")
    assert all(cell["left"] >= 0 and cell["right"] <= size[0] for cell in cells)


def test_a_page_fits_a_frame_that_is_shown_later(played, visit, tmp_path):
    """As the contact sheet's frame sometimes is, and no event of its window tells of it."""
    played(TEXT)
    outer = tmp_path / "outer.html"
    outer.write_text(
        '<iframe src="piece.html" width="690" height="750" style="display: none"></iframe>', encoding="utf-8"
    )
    deaf = "const add = addEventListener; addEventListener = (kind, f) => kind === 'resize' || add(kind, f)"
    page = visit(outer, script=deaf)
    frame = page.frames[1]
    frame.wait_for_load_state()
    page.evaluate("document.querySelector('iframe').style.display = 'block'")
    frame.wait_for_function("page.clientHeight > 0 && page.scrollHeight <= page.clientHeight")


@pytest.mark.parametrize("size", [(390, 844), (900, 500)])
def test_a_long_text_scrolls(played, size):
    text = ("Fix the reader, and test it. " * 200)[:4000]
    page = played(text, *size, reduced_motion="reduce")
    assert float(page.evaluate("getComputedStyle(page).fontSize").removesuffix("px")) >= 16
    assert page.evaluate("page.scrollHeight > page.clientHeight && page.scrollWidth === page.clientWidth")
    assert page.evaluate("page.scrollTop") == 0  # a finished text is read from its beginning
    end = "page.scrollTop + page.clientHeight >= page.scrollHeight - 1"
    for _ in range(60):
        page.keyboard.press("PageDown")
    page.wait_for_function(end)
    page.keyboard.press("PageUp")
    page.wait_for_function(f"!({end})")
    page.mouse.move(200, 200)
    page.mouse.wheel(0, 10_000)
    page.wait_for_function(end)
    page.keyboard.press("Home")
    page.keyboard.press("End")
    assert "".join(text for text, _ in page.evaluate(CELLS)) == text


@pytest.mark.parametrize("theme", THEMES)
def test_hostile_text_stays_text_in_the_page(played, theme):
    page = played(HOSTILE, theme=theme)
    page.keyboard.press("End")
    assert page.text_content("#text") == HOSTILE
    assert "".join(text for text, _ in page.evaluate(CELLS)) == HOSTILE
    assert page.locator("img").count() == 0 and page.locator("script").count() == 1


def test_a_screen_reader_finds_the_text_alone(played):
    """In its own language and direction, and no stop of the Tab key at what is hidden from it."""
    page = played("Fix the reader, and test it. " * 200)
    attributes = page.evaluate("(e => [e.getAttribute('lang'), e.dir])(document.getElementById('text'))")
    assert attributes == ["", "auto"]
    box = page.locator("#text").bounding_box()
    assert box["width"] <= 1 and box["height"] <= 1
    for _ in range(4):
        page.keyboard.press("Tab")
        assert not page.evaluate("document.activeElement.closest('[aria-hidden]')")


def test_where_colours_are_the_systems_the_slider_is_still_seen(played):
    page = played(TEXT, forced_colors="active", reduced_motion="reduce")
    with Image.open(io.BytesIO(page.locator("#call").screenshot())) as shown:
        assert len(shown.convert("RGB").getcolors()) > 1


WIDE = "a\u4e2d\u6587b\U0001f600\U0001f680\u2728c\uff01d " * 6


def test_wide_characters_leave_their_neighbours_free(played):
    page = played(WIDE, reduced_motion="reduce")
    for call in ("End", "Home", "End"):
        page.keyboard.press(call)
        over = page.evaluate(
            f"""[...document.querySelectorAll("#sheet i")].filter(cell => {{
                if (!cell.textContent.trim()) return false;
                const range = new Range();
                range.selectNodeContents(cell);
                const own = cell.getBoundingClientRect(), seen = range.getBoundingClientRect();
                const middle = (own.left + own.right) / 2;
                const scale = getComputedStyle(cell).transform === "none" ? 1 : {WIDE_SCALE};
                return seen.width > own.width / scale + 0.5 || Math.abs((seen.left + seen.right) / 2 - middle) > 1;
            }}).map(cell => cell.textContent)"""
        )
        assert not over, call
    assert page.evaluate("document.querySelectorAll('i.w').length") == 36


def test_wide_characters_leave_their_neighbours_free_in_an_svg(visit, tmp_path):
    look, path = ("made up #1", THEMES["paper"]), tmp_path / "piece.svg"
    path.write_text(animated_svg(WIDE, course_to(WIDE), *look), encoding="utf-8", newline="\n")
    page = visit(path, reduced_motion="reduce")
    cells = page.evaluate(
        """[...document.querySelectorAll(".t text")].filter(text => getComputedStyle(text).opacity === "1")
            .flatMap(text => [...Array(text.getNumberOfChars()).keys()].map(k => text.getExtentOfChar(k)))
            .map(box => [box.x, box.x + box.width, box.y + box.height / 2])"""
    )
    found = sorted({(round(y / 60), left, right) for left, right, y in cells if right > left})
    assert len(found) == len(WIDE.replace(" ", ""))
    for (row, _, right), (next_row, left, _) in pairwise(found):
        assert row != next_row or left > right - 2
    path.write_text(svg(WIDE, *look), encoding="utf-8", newline="\n")
    lines = visit(path).evaluate("[...document.querySelectorAll('g text')].map(line => line.getComputedTextLength())")
    assert lines and max(lines) <= TEXT_SIDE


def test_an_svg_of_a_text_from_right_to_left_begins_at_the_right(visit, tmp_path):
    text, look, path = (
        "\u05e9\u05dc\u05d5\u05dd, \u05e2\u05d5\u05dc\u05dd (2024).",
        ("made up #1", THEMES["paper"]),
        tmp_path / "piece.svg",
    )
    path.write_text(svg(text, *look), encoding="utf-8", newline="\n")
    page = visit(path)
    line, caption = page.evaluate("[...document.querySelectorAll('text')].map(e => [e.getBBox().x, e.getBBox().width])")
    assert abs(sum(line) - (SIDE - MARGIN)) < 2 and abs(caption[0] - MARGIN) < 2
    first, last = page.evaluate(
        "(e => [0, e.getNumberOfChars() - 1].map(k => e.getExtentOfChar(k).x))(document.querySelector('g text'))"
    )
    assert last < first  # the full stop stands at the end of the line, which is its left
    assert 'direction="rtl"' not in svg(text, *look, set_format=10) + svg("plain", *look)


@pytest.mark.parametrize("text", [TEXT, HOSTILE], ids=["plain", "hostile"])
def test_a_moving_svg_keeps_its_text_and_plays_inside_a_page(visit, tmp_path, text):
    course, path = course_to(text), tmp_path / "piece.svg"
    path.write_text(animated_svg(text, course, text[:40], THEMES["paper"]), encoding="utf-8", newline="\n")
    still = visit(path, reduced_motion="reduce")
    visible = [character for character in text if character.strip()]
    all_shown = "document.querySelectorAll('.t text')"
    at_rest = f"[...{all_shown}].filter(e => getComputedStyle(e).opacity === '1').map(e => e.textContent).join('')"
    assert sorted(still.evaluate(at_rest)) == sorted(visible)
    assert still.text_content("desc") == text.replace("\r", "\n")  # as XML has it
    assert still.locator("script, img").count() == 0
    moving = visit(path)
    assert moving.evaluate("document.getAnimations().length") > 10
    (tmp_path / "readme.html").write_text('<meta charset="utf-8"><img src="piece.svg" width="600">', encoding="utf-8")
    page = visit(tmp_path / "readme.html")
    page.wait_for_function("document.images[0].naturalWidth === 1000")
    first = page.screenshot()
    page.wait_for_timeout(2500)
    assert page.screenshot() != first
