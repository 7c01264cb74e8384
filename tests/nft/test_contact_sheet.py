"""The page of a set shows its texts as text, leaves a phone's screen to them, and is worked by keys in a browser."""

import json
from dataclasses import replace
from html import escape

import pytest

from nft.contact_sheet import TEMPLATE, contact_sheet, sheet_identity
from nft.edition import Edition
from nft.formats import SET_FORMAT
from nft.player import TEMPLATE as PLAYER
from nft.selection import COMMENT, OF_SHEET, THOUSANDS, TOKEN_RANGE, UNCLEAR, token_ids
from nft.store import SetFolder
from nft.traits import TRAITS
from tests.nft.sets import made_up_edition, made_up_set
from utils import hash_json

HOSTILE = "</script><img src=x onerror=alert(1)> ]]> & \" ' \u2028 \u202e\u05d0 <!--TITLE--> /*TOKENS*/[]"


def test_a_page_and_a_picture_never_take_text_for_markup(studio):
    _, make = studio
    _, folder = make("set", 3, "--title", "</title><script>alert(1)</script>")
    record = json.loads((folder / "samples.jsonl").read_text("utf-8").splitlines()[0])
    record["text"] = "</script><img src=x onerror=alert(1)> & more"
    page = contact_sheet(Edition(SetFolder(folder).info(), [record], {}, []))
    assert page.count("<script>") == 1 and page.count("</script>") == 1 and "<img" not in page
    svg = (folder / "images/1.svg").read_text("utf-8")
    assert "<script" not in svg and "&lt;script&gt;" in svg
    assert "http" not in page  # no network


def test_a_title_with_a_place_of_the_template_stays_a_title():
    title = "/*TOKENS*/[] <!--STATEMENT--> <!--TITLE--> /*SCRIPT*/\n \\1"
    page = page_with_every_trait(title)
    assert page.count(f">{escape(title)}</") == 2 and page.count('"text":"words"') == 1


def test_what_pages_are_made_of_goes_with_the_format():
    """A page of other bytes makes honest sets wrong, so it needs a format of its own: see WRITTEN_OTHERWISE."""
    parts = (*(TEMPLATE.with_suffix(end) for end in (".html", ".css", ".js")), PLAYER)
    sources = [part.read_text(encoding="utf-8") for part in parts]
    patterns = [each.pattern for each in (TOKEN_RANGE, COMMENT, THOUSANDS, UNCLEAR, OF_SHEET)]
    assert (SET_FORMAT, hash_json([*sources, *patterns])[:16]) == (11, "716fc4d6d7e11517")


def page_with_every_trait(title: str) -> str:
    bands = {name: {"edges": [], "labels": ["middle"]} for name in TRAITS}
    figures = {"novelty": 0.5, "confidence": 0.5, "traits": dict.fromkeys(TRAITS, "middle")}
    record = {"token_id": 1, "text": "words", "flags": [], **figures}
    info = made_up_edition({1: "words"}).info.model_copy(update={"title": title})
    return contact_sheet(Edition(info, [record], bands, []))


@pytest.mark.parametrize(("width", "height"), [(390, 844), (320, 568), (844, 390), (1280, 800)])
def test_the_header_leaves_a_screen_to_the_texts(visit, tmp_path, width, height):
    """A filter for each trait and a long title take a sixth at most."""
    page_file = tmp_path / "page.html"
    page_file.write_text(page_with_every_trait("A title that no phone shows in one line " * 2), encoding="utf-8")
    page = visit(page_file, width, height)
    assert 0 < page.evaluate("document.querySelector('header').offsetHeight") <= height / 6
    text, card = (page.locator(f"article{part}").bounding_box() for part in (" p", ""))
    assert text["height"] >= 3 * 21 and card["height"] <= height  # three lines, and what they are marked with
    assert page.evaluate("document.documentElement.scrollWidth") == width


def marks(page) -> dict[int, str]:
    """The marks that the browser stores."""
    stored = page.evaluate("Object.entries(localStorage)")
    return dict(json.loads(stored[0][1])) if stored else {}


def texts_shown(page) -> list[str]:
    return page.eval_on_selector_all("article p", "all => all.map(p => p.textContent)")


def pressed(page, keys: str) -> None:
    for key in keys.split():
        page.keyboard.press(key)


TEXTS = {token: f"{'word ' * token}and the end of {token}" for token in (1, 2, 4, 5, 7, 8, 9, 11, 12, 13)}


def test_keys_move_open_and_mark(visit, tmp_path):
    made_up_set(tmp_path, TEXTS)
    page = visit(tmp_path / "index.html")
    across = len(page.evaluate("getComputedStyle(document.getElementById('cards')).gridTemplateColumns").split())
    focus, ids = "document.activeElement.id", [f"token-{token}" for token in TEXTS]
    moves = [("Right", 0), ("Right", 1), ("Up", 1), ("Down", 1 + across), ("Up", 1)]
    for key, place in [*((f"Arrow{way}", place) for way, place in moves), ("End", 9), ("ArrowDown", 9), ("Home", 0)]:
        page.keyboard.press(key)
        assert page.evaluate(focus) == ids[place], key
    page.keyboard.press("End")
    pressed(page, "ArrowRight k ArrowLeft r Home k k k")
    assert marks(page) == {13: "keep", 12: "reject", 1: "keep"}
    # in a curated set numbers are not ids: both are shown
    assert "#10 · token 13 ·" in page.inner_text("#token-13") and "#1 ·" in page.inner_text("#token-1")
    pressed(page, "ArrowRight ArrowRight Enter")
    assert page.inner_text("h2") == "#3 · token 4" and page.text_content("#words") == TEXTS[4]
    assert "Length" in page.inner_text("dl") and "of 10 from the rarest" in page.inner_text("dl")
    pressed(page, "ArrowRight r")
    assert page.inner_text("h2") == "#4 · token 5" and marks(page)[5] == "reject"
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="hidden")
    page.wait_for_function(f"{focus} === 'token-5'")
    stored = json.loads(page.evaluate("Object.values(localStorage)[0]"))
    assert sorted(stored) == [[1, "keep"], [5, "reject"], [12, "reject"], [13, "keep"]]
    for _ in range(3):  # what a page stores is with the next one a moment later, on a busy machine
        page.reload()
        if (shown := page.inner_text("#count")) == "10 of 10 shown · 2 kept · 2 rejected":
            break
    assert shown == "10 of 10 shown · 2 kept · 2 rejected"
    assert page.get_attribute("#token-12", "class") == "reject"


def test_end_goes_to_the_last_card_before_any_has_the_focus(visit, tmp_path):
    made_up_set(tmp_path, TEXTS)
    page = visit(tmp_path / "index.html")
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.id") == "token-13"


def test_keys_in_the_search_are_text(visit, tmp_path):
    made_up_set(tmp_path, TEXTS)
    page = visit(tmp_path / "index.html")
    page.focus("#search")
    page.keyboard.type("end of 1k")
    assert texts_shown(page) == [] and marks(page) == {}
    page.keyboard.press("Backspace")
    assert texts_shown(page) == [TEXTS[token] for token in (1, 11, 12, 13)]


def test_the_search_minds_neither_case_nor_accents(visit, tmp_path):
    texts = {
        1: "\u0130STANBUL",
        2: "\u0391\u03b8\u03ae\u03bd\u03b1",
        3: "Stra\u00dfe",
        4: "caf\u00e9",
        5: "\u0928\u093f\u0936\u093e",
    }
    made_up_set(tmp_path, texts)
    page = visit(tmp_path / "index.html")
    for written, token in (
        ("istanbul", 1),
        ("\u0391\u0398\u0397\u039d\u0391", 2),
        ("STRASSE", 3),
        ("cafe\u0301", 4),
        ("cafe", 4),
        ("\u0928\u093f", 5),
    ):
        page.fill("#search", written)
        assert texts_shown(page) == [texts[token]], written
    page.fill("#search", "\u0928\u0936")  # in Hindi vowels are marks, and they count
    assert texts_shown(page) == []


def test_a_course_plays_on_hover_and_focus_and_large(visit, tmp_path):
    made_up_set(tmp_path, TEXTS)
    page = visit(tmp_path / "index.html")
    page.hover("#token-2")
    page.wait_for_function("document.querySelector('#token-2 img')?.naturalWidth === 1000")
    page.hover("#token-4")
    page.wait_for_function("document.querySelector('#token-4 img')?.naturalWidth === 1000")
    assert page.locator("article img").count() == 1
    page.mouse.move(0, 0)
    assert page.locator("article img").count() == 0
    pressed(page, "Home")
    page.wait_for_function("document.querySelector('#token-1 img')?.naturalWidth === 1000")
    pressed(page, "Enter")
    frame = page.frame_locator("iframe")
    frame.locator("#call").focus()
    page.keyboard.press("End")
    assert frame.locator("#text").text_content() == TEXTS[1]
    assert "".join(frame.locator("#sheet i").all_text_contents()) == TEXTS[1]
    pressed(page, "r Escape")  # while the piece has the focus
    page.wait_for_selector("dialog", state="hidden")
    assert marks(page) == {1: "reject"}


def test_a_finger_opens_a_token_and_turns_to_the_next(visit, tmp_path):
    made_up_set(tmp_path, TEXTS)
    page = visit(tmp_path / "index.html", 390, 844, has_touch=True, is_mobile=True)
    page.tap("#token-2")
    assert page.locator("dialog").bounding_box() == {"x": 0, "y": 0, "width": 390, "height": 844}
    page.tap("#after")
    assert page.inner_text("h2") == "#3 · token 4"
    page.tap("dialog .yes")
    page.tap("#close")
    page.wait_for_selector("dialog", state="hidden")
    assert marks(page) == {4: "keep"} and page.get_attribute("#token-4", "class") == "keep"


def test_a_browser_that_stores_no_marks_says_so(visit, tmp_path):
    made_up_set(tmp_path, TEXTS)
    page = visit(tmp_path / "index.html")
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('not here') } })")
    page.reload()
    pressed(page, "Home k")
    assert page.inner_text("#count").endswith(
        "1 kept · 0 rejected · this browser does not store marks: save the selection"
    )


def test_two_tabs_of_a_sheet_share_their_marks(visit, tmp_path):
    made_up_set(tmp_path, TEXTS)
    first = visit(tmp_path / "index.html")
    second = first.context.new_page()
    second.goto(first.url)
    pressed(first, "Home k ArrowRight k")
    second.wait_for_function("document.getElementById('count').textContent.includes('2 kept')")
    assert second.get_attribute("#token-2", "class") == "keep"
    pressed(second, "End r")
    assert marks(second) == {1: "keep", 2: "keep", 13: "reject"}
    first.wait_for_function("document.getElementById('count').textContent.includes('1 rejected')")


def test_a_sheet_whose_script_does_not_run_says_so(visit, tmp_path):
    made_up_set(tmp_path, TEXTS)
    page = visit(tmp_path / "index.html", java_script_enabled=False)
    assert page.inner_text("#cards").startswith("Loading. If nothing follows, scripts are switched off, or")


NO_LOOKBEHIND = """const Whole = RegExp;
RegExp = function (pattern, flags) {
  if (pattern.includes("(?<")) throw new SyntaxError("Invalid regular expression: invalid group specifier name");
  return new Whole(pattern, flags);
};"""


def test_a_browser_that_knows_less_of_patterns_shows_the_sheet(visit, tmp_path):
    """As Safari before 16.4."""
    made_up_set(tmp_path, TEXTS)
    page = visit(tmp_path / "index.html", script=NO_LOOKBEHIND)
    assert texts_shown(page) == [*TEXTS.values()]
    (tmp_path / "mine.txt").write_text("4", encoding="utf-8")
    page.set_input_files("#file", tmp_path / "mine.txt")
    said = "mine.txt: cannot be read by this browser, which is older than Safari 16.4; select reads it"
    page.wait_for_function("note => document.getElementById('count').textContent.endsWith(note)", arg=said)


def test_a_screen_reader_hears_the_text_of_a_card(visit, tmp_path):
    made_up_set(tmp_path, TEXTS)
    page = visit(tmp_path / "index.html")
    assert page.get_by_role("article", name=f"#3 · token 4: {TEXTS[4]}", exact=True).count() == 1


def test_where_colours_are_the_systems_a_mark_is_still_seen(visit, tmp_path):
    made_up_set(tmp_path, TEXTS)
    page = visit(tmp_path / "index.html", forced_colors="active")
    pressed(page, "Home k")
    borders = page.eval_on_selector_all("article", "all => all.map(one => getComputedStyle(one).borderTopWidth)")
    assert borders[:2] == ["2px", "1px"]
    lines = page.eval_on_selector_all(
        "#token-1 button", "all => all.map(one => getComputedStyle(one).textDecorationLine)"
    )
    assert lines == ["underline", "none"]


def test_no_field_makes_a_phone_enlarge_the_sheet(visit, tmp_path):
    made_up_set(tmp_path, TEXTS)
    page = visit(tmp_path / "index.html", 390, 844)
    sizes = page.eval_on_selector_all("input, select", "all => all.map(one => getComputedStyle(one).fontSize)")
    assert set(sizes) == {"16px"}


def test_a_set_without_pieces_shows_its_texts(visit, tmp_path):
    (tmp_path / "index.html").write_text(contact_sheet(made_up_edition(TEXTS)), encoding="utf-8")
    page = visit(tmp_path / "index.html")
    pressed(page, "Home Enter")
    assert page.text_content("#piece") == TEXTS[1] and page.locator("iframe, img").count() == 0


def test_filters_count_what_passes_the_others(visit, tmp_path):
    made_up_set(tmp_path, TEXTS)
    page = visit(tmp_path / "index.html")
    options = "select => [...select.options].map(option => option.textContent)"
    names = page.eval_on_selector_all("#filters select", "all => all.map(select => select.ariaLabel)")
    assert names == ["Length", "Novelty", "Confidence", "flags", "marks"]
    pressed(page, "Home k End k")
    assert page.eval_on_selector("[aria-label=marks]", options) == [
        "marks",
        "kept (2)",
        "rejected (0)",
        "not marked (8)",
    ]
    assert page.eval_on_selector("[aria-label=flags]", options) == ["flags", "no flag (9)", "words (1)"]
    page.select_option("[aria-label=marks]", "kept")
    lengths = page.eval_on_selector("[aria-label=Length]", options)
    assert lengths == ["Length", "shortest (1)", "short (0)", "medium (0)", "long (0)", "longest (1)"]
    page.select_option("[aria-label=Length]", "longest")
    assert texts_shown(page) == [TEXTS[13]] and page.inner_text("#count").startswith("1 of 10 shown")
    assert "flagged: words" in page.inner_text("#token-13")
    pressed(page, "Home Enter")
    assert page.inner_text("dl").endswith("Flagged\nwords")
    page.keyboard.press("Escape")
    # of its own values a filter counts what the others leave
    assert page.eval_on_selector("[aria-label=Length]", options) == lengths


def test_orders(visit, tmp_path):
    edition = made_up_set(tmp_path, TEXTS)
    page = visit(tmp_path / "index.html")
    records = edition.records
    rarest = sorted(range(10), key=lambda k: -edition.bits[k])
    wanted = {
        "longest first": sorted(records, key=lambda r: -r["chars"]),
        "shortest first": sorted(records, key=lambda r: r["chars"]),
        "most novel first": sorted(records, key=lambda r: -r["novelty"]),
        "least confident first": sorted(records, key=lambda r: r["confidence"]),
        "rarest first": [records[k] for k in rarest],
        "in order": records,
    }
    for name, order in wanted.items():
        page.select_option("#order", name)
        assert texts_shown(page) == [record["text"] for record in order], name


def test_a_selection_is_saved_and_loaded(visit, tmp_path):
    edition = made_up_set(tmp_path, TEXTS)
    page = visit(
        tmp_path / "index.html", script="URL.revokeObjectURL = () => { throw new Error('Safari reads it later') }"
    )
    page.on("dialog", lambda dialog: dialog.accept())

    def saved() -> set[int]:
        with page.expect_download() as download:
            page.click("#save")
        assert download.value.suggested_filename == "toy_selection.txt"
        return token_ids(download.value.path(), sheet_identity(edition.info))

    assert saved() == set(TEXTS)
    pressed(page, "Home r")
    assert saved() == set(TEXTS) - {1}
    file = tmp_path / "mine.txt"

    def load(text: str, note: str) -> None:
        """Load a selection of this text, and wait until the page says this of it."""
        file.write_text(text, encoding="utf-8")
        page.set_input_files("#file", file)
        page.wait_for_function("note => document.getElementById('count').textContent.endsWith(note)", arg=note)

    for text, note in [
        ("12\n4", "mine.txt loaded"),
        ("keep 4 – 7, 13", "mine.txt loaded; not in this sheet: 4-7"),
        ("# 12 November\ntokens 1..2 and #99 # 4", "mine.txt loaded; not in this sheet: 99"),
    ]:
        load(text, note)
        assert saved() == token_ids(file) & set(TEXTS)
    for text, note in [
        (f"# toys, set {'0' * 16}\n1", "was saved in the sheet of another set"),
        ("1/2", "1/2 is neither token ids nor a range; write 3 7 or 3-7"),
        ("# 9\n1 through 5", "1 through 5 is neither token ids nor a range; write 3 7 or 3-7"),
        ("2\n1,234 # 9", "1,234 # 9 may name one number or two; write 1234, or 1 234"),
        ("7-3", "7-3 must run upwards"),
        ("none", "names no token of this sheet; token ids or ranges (3-7) are expected"),
    ]:
        load(text, note)
        assert marks(page) == {1: "keep", 2: "keep"}
    page.select_option("select[aria-label=marks]", "kept")
    load("4", "mine.txt loaded")
    assert texts_shown(page) == [TEXTS[4]]


@pytest.mark.parametrize("changed", [{"rules": {"copies": "mask"}}, {"word_list_sha256": "0" * 64}])
def test_marks_are_those_of_one_set_alone(visit, tmp_path, changed):
    """Sets that differ in their rules, or in their lists of words, alone have other tokens under the same ids."""
    edition = made_up_set(tmp_path, TEXTS)
    page = visit(tmp_path / "index.html")
    pressed(page, "Home k")
    assert page.evaluate("localStorage.length") == 1
    other = replace(edition, info=edition.info.model_copy(update=changed))
    (tmp_path / "index.html").write_text(contact_sheet(other), encoding="utf-8", newline="\n")
    page.reload()
    assert not page.evaluate("[...marks]")


def test_hostile_text_stays_text_in_the_sheet(visit, tmp_path):
    made_up_set(tmp_path, {1: HOSTILE, 2: "plain"})
    page = visit(tmp_path / "index.html")
    page.on("dialog", lambda dialog: pytest.fail("a script of a text ran"))
    assert texts_shown(page) == [HOSTILE, "plain"]
    pressed(page, "Home Enter")
    assert page.text_content("#words") == HOSTILE
    assert page.frame_locator("iframe").locator("#text").text_content() == HOSTILE
    assert page.locator("img").count() == 0


def test_ten_thousand_tokens_take_a_few_cards(visit, tmp_path):
    edition = made_up_edition({token: f"text {token}" for token in range(1, 10_001)})
    (tmp_path / "index.html").write_text(contact_sheet(edition), encoding="utf-8")
    page = visit(tmp_path / "index.html")
    for key, last in [("Home", 1), ("End", 10_000), ("ArrowLeft", 9_999)]:
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.id") == f"token-{last}"
        assert page.locator("article").count() < 100
        box = page.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
        assert page.evaluate("document.querySelector('header').offsetHeight") <= box["top"] and box["bottom"] <= 900
    page.mouse.move(700, 500)
    page.mouse.wheel(0, -100_000)
    page.wait_for_function("!document.getElementById('token-10000')")
    assert page.evaluate("document.elementFromPoint(200, 450).closest('article').token.number") < 9_900
