"""The page of a set shows its texts as text, and leaves a phone's screen to them."""

import json
import re
import shutil
import subprocess
from html import escape

import pytest

from nft.contact_sheet import contact_sheet
from nft.store import Edition
from nft.traits import TRAITS

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


def test_a_page_and_a_picture_never_take_text_for_markup(studio):
    _, make = studio
    _, folder = make("set", 3, "--title", "</title><script>alert(1)</script>")
    record = json.loads((folder / "samples.jsonl").read_text("utf-8").splitlines()[0])
    record["text"] = "</script><img src=x onerror=alert(1)> & more"
    info = {**json.loads((folder / "set.json").read_text("utf-8")), "curated": False}
    page = contact_sheet(Edition(info, [record], {}, []))
    assert page.count("<script>") == 1 and page.count("</script>") == 1 and "<img" not in page
    svg = (folder / "images/1.svg").read_text("utf-8")
    assert "<script" not in svg and "&lt;script&gt;" in svg
    assert "http" not in page.replace("http-equiv", "")  # no network


def test_a_title_with_a_place_of_the_template_stays_a_title():
    title = "/*TOKENS*/[] <!--STATEMENT--> <!--TITLE--> \\1"
    page = page_with_every_trait(title)
    assert page.count(f">{escape(title)}</") == 2 and page.count('"text":"words"') == 1


def page_with_every_trait(title: str) -> str:
    bands = {name: {"edges": [], "labels": ["middle"]} for name in TRAITS}
    record = {"token_id": 1, "text": "words", "flags": [], "traits": dict.fromkeys(TRAITS, "middle")}
    info = {"title": title, "identity": {}, "seed": 0, "sampler": {}}
    return contact_sheet(Edition(info, [record], bands, []))


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no browser is here")
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800)])
def test_the_header_leaves_a_screen_to_the_texts(tmp_path, width, height):
    """A filter for each trait and a long title take a sixth at most; a browser without a window measures it."""
    inner = escape(page_with_every_trait("A title that no phone shows in one line " * 2))
    measure = "document.title = frames[0].document.querySelector('header').offsetHeight"
    frame = f'<iframe style="width:{width}px;height:{height}px" srcdoc="{inner}" onload="{measure}"></iframe>'
    (tmp_path / "page.html").write_text(f"<title></title>{frame}", encoding="utf-8")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [str(BROWSER), *options, "--virtual-time-budget=2000", "--dump-dom", (tmp_path / "page.html").as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout
    [measured] = re.findall("<title>(\\d+)</title>", shown)
    assert 0 < int(measured) <= height / 6
