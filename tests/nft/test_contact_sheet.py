"""The page of a set shows its texts as text."""

import json

from nft.contact_sheet import contact_sheet
from nft.store import Edition


def test_a_page_and_a_picture_never_take_text_for_markup(studio):
    _, make = studio
    _, folder = make("set", 3, "--title", "</title><script>alert(1)</script>")
    record = json.loads((folder / "samples.jsonl").read_text("utf-8").splitlines()[0])
    record["text"] = "</script><img src=x onerror=alert(1)> & more"
    info = {**json.loads((folder / "set.json").read_text("utf-8")), "curated": False}
    page = contact_sheet(Edition(info, [record], {}))
    assert page.count("<script>") == 1 and page.count("</script>") == 1 and "<img" not in page
    svg = (folder / "images/1.svg").read_text("utf-8")
    assert "<script" not in svg and "&lt;script&gt;" in svg
    assert "http" not in page.replace("http-equiv", "")  # no network
