"""The page in Chromium, from a file and without a network: its texts, and what it does when something goes wrong."""

import json
import re
import unicodedata
from pathlib import Path

import pytest

from exporting.weights import pack
from generation.prompt import Prompt
from generation.writer import write_documents
from tests.browser import Visits
from tests.exporting.voices import page_with, voice_with
from tests.helpers import TINY

PHONE = {"width": 390, "height": 844}
HIGHLIGHT = """
window.hl = { tx: { hash: "0xab", tokenId: "4" }, token: {
  setTraits: (traits) => (window.seen = { traits, text: document.getElementById("text")?.textContent || "" }),
  capturePreview: () => (window.captured = (window.captured || 0) + 1) } };
"""
# counts the documents that are begun
BEGUN = """
const post = Worker.prototype.postMessage; window.begun = 0;
Worker.prototype.postMessage = function (message) {
  window.begun += Boolean(message.write);
  return post.call(this, message); };
"""
# keeps every worker; a clock to be changed
WORKERS = """
const known = Worker; window.workers = []; window.late = 0;
window.Worker = class extends known { constructor(url) { super(url); window.workers.push(this); } };
const now = performance.now.bind(performance);
"""
# keeps every text that was ever shown
TEXTS = """
new MutationObserver(() => (window.texts ||= new Set()).add(document.getElementById("text")?.textContent))
  .observe(document, { subtree: true, childList: true, characterData: true });
"""


@pytest.fixture(scope="module")
def piece(tmp_path_factory):
    """(page's file, what writes in Python) of a small voice."""
    folder = tmp_path_factory.mktemp("piece")
    return page_with(voice_with(folder), folder)


@pytest.fixture
def visit(browser, tmp_path_factory):
    """A function (page's file, query, **options) -> the page, opened offline; see tests/browser.py."""
    visits = Visits(browser)
    yield lambda file, query="?pace=0", **options: visits(file, query=query, **options)
    visits.leave(tmp_path_factory.getbasetemp())


def text_of(page) -> str:
    """The text, once it stands."""
    page.wait_for_function("document.getElementById('spoken').textContent")
    return page.text_content("#text")


@pytest.mark.parametrize(("query", "engine"), [("", "WebAssembly"), ("&plain", "JavaScript")])
def test_tokens_are_the_documents_of_python_on_both_paths(piece, visit, query, engine):
    file, writer = piece
    expected = write_documents(writer, 11, range(4), writer.settings())
    page = visit(file, f"?pace=0&seed=11&token=2{query}")
    assert text_of(page) == expected[1]
    assert page.evaluate("document.documentElement.dataset.engine") == engine
    for act, index in ((lambda: page.keyboard.press("ArrowRight"), 2), (lambda: page.click("#next"), 3),
                       (lambda: page.keyboard.press("ArrowLeft"), 2), (lambda: page.click("#piece"), 3)):  # fmt: skip
        act()
        assert text_of(page) == expected[index]
    assert page.text_content("#spoken") == expected[3]  # what a screen reader is told
    assert page.text_content("#caption") == "toy · seed 11 · 4"


def test_the_attempts_of_a_set_are_those_of_its_own_seed_alone(piece, visit, tmp_path):
    file, writer = piece
    source = file.read_text(encoding="utf-8")
    of_set = tmp_path / "set.html"
    of_set.write_text(re.sub(r'"attempts": ?\{\}', '"size":2,"attempts":{"2":1}', source), encoding="utf-8")
    assert of_set.read_bytes() != file.read_bytes()
    first, other = (write_documents(writer, seed, [1], writer.settings())[0] for seed in (0, 11))
    page = visit(of_set, "?pace=0&token=2")
    second = text_of(page)
    assert second != first
    page.keyboard.press("ArrowRight")  # it is the last one
    assert text_of(page) == second and page.text_content("#caption") == "toy · 2"
    page = visit(of_set, "?pace=0&seed=11&token=2")
    assert text_of(page) == other
    page.keyboard.press("ArrowRight")
    text_of(page)
    assert page.text_content("#caption") == "toy · seed 11 · 3"


@pytest.mark.parametrize(("weights", "process"), [("int8-grouped", "uniform"), ("float16", "absorbing")])
def test_other_weights_and_samplers_run_in_the_browser_too(tmp_path, visit, weights, process):
    sampling = {"sampler": "tweedie", "steps": 6, "overlap": 8}
    checkpoint = voice_with(tmp_path, diffusion={"process": process}, sampling=sampling, model={"width": 64})
    file, writer = page_with(checkpoint, tmp_path, weights)
    assert len(pack(checkpoint.weights, weights).data) > 10_000
    page = visit(file, "?pace=80", script=TEXTS)
    assert text_of(page) == write_documents(writer, 0, [0], writer.settings())[0]
    shown = page.evaluate("[...window.texts]")
    assert len(shown) > 2 and not [text for text in shown if text and "undefined" in text]


def test_a_prefix_is_continued_and_an_unknown_character_named(piece, visit):
    file, writer = piece
    page = visit(file)
    text_of(page)
    page.fill("#prefix", "fix the ")
    page.wait_for_function("document.getElementById('spoken').textContent.startsWith('fix the ')")
    assert text_of(page) == write_documents(writer, 0, [0], writer.settings(), prompt=Prompt(prefix="fix the "))[0]
    for unknown in ("é", "\ufffd"):  # the second is how the page shows what no voice writes
        page.fill("#prefix", unicodedata.normalize("NFD", f"n{unknown}"))
        page.wait_for_function(
            f"document.getElementById('caption').textContent === 'toy · 1 · this voice does not know “{unknown}”'"
        )


@pytest.mark.parametrize("act", [lambda page: page.press("#prefix", "Enter"), lambda page: page.click("#next")])
def test_a_document_begins_once_however_a_prefix_is_ended(piece, visit, act):
    page = visit(piece[0], script=BEGUN)
    text_of(page)
    before = page.evaluate("window.begun")
    page.fill("#prefix", "fix")
    act(page)
    page.wait_for_timeout(1500)  # three times what the page waits for another letter
    assert page.evaluate("window.begun") == before + 1


def test_a_platform_gives_the_seed_gets_traits_at_once_and_is_told_once_that_the_text_stands(piece, visit):
    file, writer = piece
    page = visit(file, script=HIGHLIGHT)
    seen = page.evaluate("window.seen")  # before any model is unpacked
    assert seen["text"] == "" and set(seen["traits"]) == {"Voice", "Length", "Character count"}
    text = text_of(page)
    seed = int(page.text_content("#caption").split(" · ")[1].removeprefix("seed "))
    assert (
        text == write_documents(writer, seed, [0], writer.settings())[0]
        and len(text) == seen["traits"]["Character count"]
    )
    page.wait_for_function("window.captured === 1")
    page.keyboard.press("ArrowRight")
    text_of(page)
    page.wait_for_timeout(1500)
    assert page.evaluate("window.captured") == 1


@pytest.mark.parametrize(
    "script", ["window.$fx = {hash: 'ooX', features: (f) => (window.seen = f), preview: () => (window.captured = 1)}",
               "window.fxhash = 'ooX'; window.fxpreview = () => (window.captured = 1)",
               "window.tokenData = {hash: 'ooX'}; window.captured = 1"],
)  # fmt: skip
def test_every_platform_with_the_same_hash_gets_the_same_text(piece, visit, script):
    file, _ = piece
    page = visit(file, script=script)
    plain = visit(file, "?pace=0&seed=ooX")
    assert text_of(page) == text_of(plain)
    page.wait_for_function("window.captured === 1")
    assert page.evaluate("window.$features.Voice") == "toy"


def test_a_pause_stops_the_writing_and_another_document_ends_it(piece, visit):
    file, writer = piece
    page = visit(file, "?pace=60")
    page.wait_for_selector("#text span")
    page.keyboard.press("p")
    page.wait_for_function("document.getElementById('caption').textContent.endsWith('paused')")
    page.wait_for_timeout(200)
    before = page.text_content("#text")
    page.wait_for_timeout(600)
    assert page.text_content("#text") == before and page.get_attribute("#pause", "aria-pressed") == "true"
    page.click("#next")
    assert text_of(page) == write_documents(writer, 0, [1], writer.settings())[0]
    assert page.get_attribute("#pause", "aria-pressed") == "false"


def test_who_wants_less_motion_sees_the_text_when_it_stands(piece, visit):
    file, _ = piece
    page = visit(file, "", reduced_motion="reduce", script=TEXTS)
    text = text_of(page)
    assert set(page.evaluate("[...window.texts]")) <= {"", None, text}
    span = "document.getElementById('text').appendChild(document.createElement('span'))"
    assert page.evaluate(f"getComputedStyle({span}).transitionDuration") == "0s"


@pytest.mark.parametrize("share", [0.3, 0.97, 0.995])
def test_a_page_cut_short_says_so(piece, visit, share, tmp_path):
    whole = piece[0].read_text(encoding="utf-8")
    begin = whole.index('id="weights"')
    cut = tmp_path / "cut.html"
    cut.write_text(whole[: begin + int((len(whole) - begin) * share)], encoding="utf-8")
    page = visit(cut)
    page.wait_for_function("document.getElementById('caption').textContent.startsWith('This file is incomplete')")
    caption = page.text_content("#caption")
    assert re.fullmatch(
        r"This file is incomplete: \d+ of \d+ characters of the model are here\. Load it again\.", caption
    )
    assert page.is_hidden("#controls")
    cut.write_text(whole[: whole.index("<script")], encoding="utf-8")
    assert "this file is incomplete: load it again" in visit(cut).text_content("#caption")


def test_weights_with_a_wrong_byte_are_named(piece, visit, tmp_path):
    whole = piece[0].read_text(encoding="utf-8")
    place = whole.index('id="weights"') + 3000
    damaged = tmp_path / "damaged.html"
    damaged.write_text(whole[:place] + ("A" if whole[place] != "A" else "B") + whole[place + 1 :], encoding="utf-8")
    page = visit(damaged)
    page.wait_for_function("document.getElementById('caption').textContent.startsWith('This page cannot write: ')")


def test_a_worker_that_is_lost_is_replaced_once_and_the_text_is_the_same(piece, visit):
    file, writer = piece
    page = visit(file, "?pace=60", script=WORKERS + "performance.now = () => 4 * now();")
    first, second, _ = write_documents(writer, 0, range(3), writer.settings())
    page.wait_for_selector("#text span")
    page.evaluate("window.workers[0].terminate()")
    assert text_of(page) == first and page.evaluate("window.workers.length") == 2
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#text span")
    page.evaluate("window.workers[1].terminate()")
    assert text_of(page) == second and page.evaluate("window.workers.length") == 3  # a document later it is forgiven
    page.keyboard.press("ArrowRight")
    for lost in (2, 3):
        page.wait_for_function("lost => window.workers.length > lost", arg=lost)
        page.wait_for_selector("#text span")
        page.evaluate("lost => window.workers[lost].terminate()", lost)
    page.wait_for_function("document.getElementById('caption').textContent.startsWith('The writing stopped twice')")


def slowly_opened(file: Path, milliseconds: int) -> Path:
    """The page, whose worker takes so long to unpack each array."""
    source, each = file.read_text(encoding="utf-8"), "weights[name] = { shape,"
    assert source.count(each) == 1
    delay = f"for (const begun = performance.now(); performance.now() < begun + {milliseconds}; );"
    slow = file.with_name("slow.html")
    slow.write_text(source.replace(each, delay + each), encoding="utf-8")
    return slow


def test_a_click_while_a_lost_worker_is_replaced_writes_what_it_asks_for(piece, visit):
    file, writer = piece
    page = visit(slowly_opened(file, 100), "?pace=60", script=WORKERS + TEXTS + "performance.now = () => 4 * now();")
    page.wait_for_selector("#text span")
    page.evaluate("window.workers[0].terminate()")
    page.wait_for_function("window.workers.length === 2")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.getElementById('caption').textContent.endsWith(' · 2')")
    assert text_of(page) == write_documents(writer, 0, [1], writer.settings())[0]
    assert page.is_visible("#controls") and page.evaluate("window.workers.length") == 2


def test_clicks_put_off_no_worker_that_is_lost(piece, visit):
    page = visit(piece[0], "?pace=60", script=WORKERS + "performance.now = () => 4 * now();")
    page.wait_for_selector("#text span")
    page.evaluate("window.workers[0].terminate()")
    for _ in range(12):  # 24 seconds by its clock
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(500)
    assert page.evaluate("window.workers.length") == 2


def test_a_worker_that_opens_a_large_voice_is_not_lost(piece, visit):
    slow = slowly_opened(piece[0], 200)
    source = slow.read_text(encoding="utf-8")
    slow.write_text(source.replace("PATIENCE = 15000", "PATIENCE = 2000"), encoding="utf-8")
    page = visit(slow, script=WORKERS)
    assert text_of(page) and page.evaluate("window.workers.length") == 1


def test_a_page_that_was_held_or_is_slow_has_lost_no_worker(piece, visit):
    held = visit(piece[0], "?pace=3000", script=WORKERS + "performance.now = () => now() + window.late;")
    slow = visit(piece[0], "?pace=16000", script=WORKERS + "performance.now = () => 4 * now();")
    held.wait_for_selector("#text span")
    held.evaluate("window.late = 20000")
    slow.wait_for_timeout(4500)  # 18 seconds by its clock
    assert held.evaluate("window.workers.length") == slow.evaluate("window.workers.length") == 1


def test_a_network_call_that_takes_long_is_no_lost_worker(visit, tmp_path):
    """Its blocks are signs of life: four of 0.7 seconds each, of a worker that counts as lost after two of silence."""
    file, _ = page_with(voice_with(tmp_path, model={**TINY["model"], "layers": 4}), tmp_path)
    source, block = file.read_text(encoding="utf-8"), "this.normalise(length, part[0], part[1]);"
    assert source.count(block) == source.count("PATIENCE = 15000") == 1
    delay = "for (const begun = performance.now(); performance.now() < begun + 700; );"
    file.write_text(
        source.replace(block, block + delay).replace("PATIENCE = 15000", "PATIENCE = 2000"), encoding="utf-8"
    )
    page = visit(file, script=WORKERS)
    page.wait_for_timeout(7000)
    assert page.evaluate("window.workers.length") == 1 and page.text_content("#caption").endswith(" · writing")


@pytest.mark.parametrize("size", [PHONE, {"width": 1280, "height": 500}])
def test_a_text_of_wide_characters_is_made_smaller_until_all_of_it_is_seen(piece, visit, size):
    """How many lines they take is known only when they stand there; lines of a stream are shorter than a line too."""
    page = visit(piece[0], "?pace=0&token=3", **size)
    text_of(page)
    before = page.evaluate("parseFloat(document.getElementById('text').style.fontSize)")
    page.add_style_tag(content="#text span { letter-spacing: .5em }")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    text_of(page)
    assert page.evaluate("piece.scrollHeight <= piece.clientHeight")
    assert 16 <= page.evaluate("parseFloat(document.getElementById('text').style.fontSize)") < before


def test_a_slow_device_writes_the_same_and_stays_responsive(piece, visit):
    file, writer = piece
    page = visit(file, "?pace=0&plain&seed=2")
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 6})
    assert text_of(page) == write_documents(writer, 2, [0], writer.settings())[0]
    page.evaluate("""() => {
        let last = performance.now();
        setInterval(() => {
            window.longest = Math.max(window.longest, performance.now() - last);
            last = performance.now();
        }, 10);
    }""")
    deaf = []  # milliseconds, for each text; other work on the machine may stop a page too
    while len(deaf) < 3 and min(deaf, default=500) >= 500:
        page.evaluate("window.longest = 0")
        page.keyboard.press("ArrowRight")
        text_of(page)
        deaf.append(page.evaluate("window.longest"))
    assert min(deaf) < 500, deaf


@pytest.mark.parametrize("zoom", [1, 2])
def test_on_a_zoomed_phone_all_is_in_reach(piece, visit, zoom):
    size = {key: side // zoom for key, side in PHONE.items()}  # what is left of the screen for a page zoomed in
    page = visit(piece[0], **size, device_scale_factor=2 * zoom, has_touch=True, is_mobile=True)
    text_of(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for control in ("#prefix", "#previous", "#pause", "#next", "#caption"):
        box = page.locator(control).bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= size["width"], control
        assert box["y"] + box["height"] <= size["height"], control
    assert page.locator("#next").bounding_box()["height"] >= 44  # WCAG 2.2, success criterion 2.5.5
    right = (
        "(r => (r.selectNodeContents(document.getElementById('text')), r.getBoundingClientRect().right))(new Range())"
    )
    assert page.evaluate(right) <= size["width"]


@pytest.mark.parametrize(("scheme", "theme"), [("light", "paper"), ("dark", "night")])
def test_colours_are_those_of_the_system_or_of_the_address(piece, visit, scheme, theme):
    page = visit(piece[0], color_scheme=scheme)
    themes = json.loads(page.text_content("#voice"))["themes"]
    colour = "getComputedStyle(document.documentElement).getPropertyValue('--ground')"
    assert page.evaluate(colour) == themes[theme]["ground"]
    assert visit(piece[0], "?theme=clay", color_scheme=scheme).evaluate(colour) == themes["clay"]["ground"]


def in_worker(source: str) -> str:
    """A script of the page that has this run first in its worker."""
    return f"""const Own = Blob;
    Blob = function (parts, options) {{ return new Own([{json.dumps(source)}, ...parts], options) }};"""


@pytest.mark.parametrize("forbidden", ["Module", "Instance"])
def test_where_a_site_forbids_webassembly_the_text_is_the_same(piece, visit, forbidden):
    """As a Content-Security-Policy without wasm-unsafe-eval does, in some browsers at the start of a module only."""
    file, writer = piece
    script = in_worker(f"WebAssembly.{forbidden} = function () {{ throw new WebAssembly.CompileError('policy') }};")
    page = visit(file, "?pace=0&seed=11&token=2", script=script)
    assert text_of(page) == write_documents(writer, 11, range(2), writer.settings())[1]
    assert page.evaluate("document.documentElement.dataset.engine") == "JavaScript"


def test_a_browser_that_cannot_unpack_the_weights_is_named(piece, visit):
    page = visit(piece[0], script=in_worker("delete self.DecompressionStream;"))
    page.wait_for_function("document.getElementById('caption').textContent.startsWith('This page cannot')")
    said = "This page cannot write: it needs Safari 16.4, Chrome 80 or Firefox 113."
    assert page.text_content("#caption") == said


def test_a_text_that_stands_becomes_one_run(piece, visit):
    """Letters of Arabic are joined within an element, in some browsers not over its borders."""
    page = visit(piece[0], "?pace=0")
    text = text_of(page)
    page.wait_for_function("!document.querySelector('#text span')")
    assert page.text_content("#text") == text
    page.set_viewport_size({"width": 300, "height": 300})
    page.keyboard.press("ArrowRight")
    assert text_of(page) == page.text_content("#spoken")


def test_keys_scroll_a_text_that_is_higher_than_the_window(piece, visit):
    page = visit(piece[0], width=320, height=240)
    text_of(page)
    page.add_style_tag(content="#text { letter-spacing: 9em }")
    end = (
        "(m => m.scrollTop > 0 && m.scrollTop + m.clientHeight >= m.scrollHeight - 1)(document.getElementById('piece'))"
    )
    for key, place in (("PageDown", "document.getElementById('piece').scrollTop > 0"), ("End", end)):
        page.keyboard.press(key)
        page.wait_for_function(place)
    page.keyboard.press("Home")
    page.wait_for_function("document.getElementById('piece').scrollTop === 0")


def test_a_browser_without_workers_is_told(piece, visit):
    page = visit(piece[0], script="window.Worker = class { constructor() { throw new Error('forbidden'); } };")
    assert page.text_content("#caption") == "This browser lets the page start no worker: forbidden."
