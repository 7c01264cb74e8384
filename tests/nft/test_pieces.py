"""Pieces: each format plays a token's course to its text, at times that agree, and shows markup as text."""

import io
import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html import unescape

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence

import collection
from generation.course import Change
from nft.animated_svg import animated_svg
from nft.animation import MOST_PIXELS, PER_SECOND, WRITERS, frames, in_colour, pictures_of, same_animation
from nft.layout import SIDE, layout, page
from nft.player import player
from nft.timeline import HOLD, LEAD, PACE, Span, timeline
from pages.themes import PIECES, THEMES, Theme
from tests.helpers import posix, tree
from tests.nft.sets import alter, animation, info_of, records

PAPER = THEMES["paper"]
COURSE = [Change(2, [0, 3], "ab"), Change(5, [1, 2], "xy"), Change(9, [1], "c")]  # "ac" + "yb"
HOSTILE = "</script><img src=x onerror=alert(1)> ]]> & \" ' \u2028 \u202e <!--TITLE--> \x00"
SVG = "{http://www.w3.org/2000/svg}"


def at_once(text: str) -> list[Change]:
    return [Change(1, list(range(len(text))), text)]


def test_the_tables_hold_what_the_config_offers():
    assert {"svg", "html", *WRITERS} == set(PIECES)
    assert all(theme.dark in THEMES for theme in THEMES.values())


def test_a_timeline_shows_each_character_from_its_step_to_the_next():
    times = timeline(COURSE, 90)
    assert times.frames == 3 and set(times.spans) == {
        Span(0, "a", 1, None), Span(3, "b", 1, None), Span(1, "x", 2, 3), Span(2, "y", 2, None), Span(1, "c", 3, None),
    }  # fmt: skip
    assert times.begun == {0: 1, 3: 1, 1: 2, 2: 2}
    assert times.length == pytest.approx(LEAD + 2 * PACE + HOLD)
    # in fewer frames than steps, what is replaced within a frame is not seen
    assert set(timeline(COURSE, 1).spans) == {Span(place, c, 1, None) for place, c in enumerate("acyb")}
    assert timeline([], 9) == (0, [], {})


def seen(svg: str, moment: float) -> dict[tuple[int, int], str]:
    """What an SVG shows at a share of its loop, by the values of its keyframes: {(x, y): character}."""
    root = ET.fromstring(svg)
    keyframes = {
        name: [(float(at), int(value)) for at, value in re.findall(r"([\d.]+)%\{opacity:(\d)\}", body)]
        for name, body in re.findall(r"@keyframes (\w+)\{((?:[\d.]+%\{opacity:\d\})+)\}", svg)
    }
    shown = {}
    for element in root.iterfind(f"{SVG}g//{SVG}text"):
        name = next((name for name in element.get("class", "").split() if name in keyframes), None)
        steps = keyframes.get(name or "", [(0, 1)])
        if [value for at, value in steps if at <= 100 * moment][-1]:
            places = zip(element.get("x", "").split(), element.get("y", "").split(), strict=True)
            shown |= {(int(x), int(y)): c for (x, y), c in zip(places, element.text or "", strict=True)}
    return shown


def test_an_animated_svg_shows_the_course_and_ends_in_the_text():
    svg = animated_svg("acyb", COURSE, "set #1", PAPER)
    length = timeline(COURSE, 90).length
    moments = [LEAD / 2, LEAD + PACE / 2, LEAD + 1.5 * PACE, LEAD + 2.5 * PACE, length - 0.01]
    texts = ["".join(seen(svg, moment / length).values()) for moment in moments]
    assert [sorted(text) for text in texts] == [
        [],
        ["a", "b"],
        ["a", "b", "x", "y"],
        ["a", "b", "c", "y"],
        ["a", "b", "c", "y"],
    ]
    final = seen(svg, 0.999)
    assert "".join(final[place] for place in sorted(final)) == "acyb"
    # without animation: what is not hidden by its class
    still = [e.text for e in ET.fromstring(svg).iterfind(f"{SVG}g//{SVG}text") if "h" not in e.get("class", "").split()]
    assert sorted("".join(map(str, still))) == sorted("acyb")
    assert "<script" not in svg and "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    assert animated_svg("acyb", COURSE, "set #1", PAPER) == svg


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_a_piece_of_280_characters_is_at_most_40_kilobytes(theme):
    text = ("Fix a rounding error in the reader, and test it. " * 6)[:280]
    order = [(k * 37) % 280 for k in range(280)]
    places = [sorted(order[9 * k : 9 * k + 9]) for k in range(32)]
    course = [Change(k + 1, own, "".join(text[place] for place in own)) for k, own in enumerate(places)]
    revised = [Change(33 + k, [5 * k], text[5 * k]) for k in range(40)]
    wrong = [change._replace(characters="q" * len(change.characters)) for change in course]
    fixed = [Change(80 + change.step, change.positions, change.characters) for change in course]
    piece = animated_svg(
        text, [*wrong, *revised, *fixed], "github_commits #1000", theme
    )  # every character twice and more
    assert len(piece.encode()) <= 40_000


def test_long_texts_keep_a_font_that_can_be_read():
    for text in ("word " * 800, "w" * 4000):
        laid = page(text)
        assert laid.size == 22 and laid.height > SIDE
        assert all(
            (cell is None) == character.isspace() or cell for cell, character in zip(laid.cells, text, strict=True)
        )
        assert "\u2026" not in animated_svg(text, at_once(text), "x", PAPER)


@given(st.lists(st.sampled_from(["a", "b", " ", "  ", "\n", "\t", "\u00a0", "word", "x" * 40]), max_size=60))
def test_every_visible_character_has_a_cell_of_its_own(parts):
    text = "".join(parts)
    laid = page(text)
    cells = [cell for cell, character in zip(laid.cells, text, strict=True) if not character.isspace()]
    assert None not in cells and len(set(cells)) == len(cells) and cells == sorted(cells)
    size, lines = layout(text)
    if size == laid.size:
        seen_at = {place: cell for place, cell in enumerate(laid.cells) if cell and not text[place].isspace()}
        assert all(lines[row][column] == text[place] for place, (row, column) in seen_at.items())


def test_hostile_text_stays_text():
    svg = animated_svg(HOSTILE, at_once(HOSTILE), HOSTILE, PAPER)
    root = ET.fromstring(svg)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags == {"svg", "title", "desc", "style", "rect", "g", "text"}
    assert root.findtext(f"{SVG}desc") == HOSTILE.replace("\x00", "\ufffd")
    html = player(HOSTILE, at_once(HOSTILE), HOSTILE, PAPER)
    assert html.count("<script>") == html.count("</script>") == 1 and "<img" not in html
    assert unescape(re.findall(r'<p id="text"[^>]*>(.*?)</p>', html, re.DOTALL)[0]) == HOSTILE.replace("\x00", "\ufffd")
    assert "http" not in html
    course = json.loads(re.findall(r"const course = (.*); // \[", html)[0])
    assert course == [[1, list(range(len(HOSTILE))), HOSTILE.replace("\x00", "\ufffd")]]


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "mp4"])
@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_an_animation_has_the_frames_and_times_of_its_course(kind, theme):
    data = animation(kind, "acyb", COURSE, "set #1", theme)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["loop"] == 0
        shown = [(frame.convert("RGB").tobytes(), frame.info["duration"]) for frame in ImageSequence.Iterator(image)]
    assert [time for _, time in shown] == [800, 100, 100, 4000]
    assert len({picture for picture, _ in shown}) == 4
    assert shown[0][0][:3] == bytes(theme.ground)
    assert animation(kind, "acyb", COURSE, "set #1", theme) == data and same_animation(data, data)
    other = animation(kind, "acyb", [*COURSE[:2], Change(9, [1], "e")], "set #1", theme)
    assert not same_animation(data, other) and not same_animation(data, data[:50])


def test_a_text_of_any_length_is_animated():
    """The same time is shown in fewer pixels, so that the file can be read again."""
    for length, size in [(10_000, (600, 3440)), (30_000, None), (200_000, None)]:
        text = "word " * (length // 5)
        packed = animation("webp", text, at_once(text), "long #1", PAPER)
        first, last = pictures_of(packed)
        assert first.size == last.size and last.size[0] * last.size[1] <= MOST_PIXELS and first.rgb != last.rgb
        assert size in (None, last.size)


def test_the_last_frame_of_an_animation_is_the_text_drawn_at_once():
    ends = [frames("acyb", course, "set #1", PAPER)[-1][0].tobytes() for course in (COURSE, at_once("acyb"))]
    assert ends[0] == ends[1]


@pytest.mark.parametrize(("noise", "shown"), [("blank", ""), ("block", "█"), ("letters", "acyb")])
def test_noise_stands_where_nothing_is_written_yet(noise, shown):
    svg = animated_svg("acyb", COURSE, "set #1", Theme((0, 0, 0), (255, 255, 255), (255, 255, 255), noise, "clay"))
    first = "".join(seen(svg, 0).values())
    assert set(first) <= set(shown) and len(first) == (4 if shown else 0)
    assert sorted(seen(svg, 0.999).values()) == sorted("acyb")


def test_a_set_holds_the_pieces_that_it_names_and_its_metadata_lead_to_them(studio, verify):
    _, make = studio
    _, folder = make("set", 3)
    kinds = ("png", "svg", "html")
    assert {path.name for path in (folder / "images").iterdir()} == {f"{k}.{kind}" for k in (1, 2, 3) for kind in kinds}
    token = json.loads((folder / "json/2.json").read_text("utf-8"))
    assert (token["image"], token["animation_url"]) == ("../images/2.png", "../images/2.html")
    chain = json.loads((folder / "metaplex/1.json").read_text("utf-8"))
    assert chain["properties"]["category"] == "html" and chain["animation_url"] == "../images/2.html"
    assert [file["type"] for file in chain["properties"]["files"]] == ["image/png", "image/svg+xml", "text/html"]
    text = records(folder)[1]["text"]
    assert f"<desc>{text}</desc>" in unescape((folder / "images/2.svg").read_text("utf-8"))
    options = ["--pieces", "webp gif", "--theme", "night", "--base-uri", "ipfs://x"]
    assert collection.main(["export", str(folder), *options]) == 0
    assert {path.suffix for path in (folder / "images").iterdir()} == {".png", ".svg", ".gif", ".webp"}
    assert "animation_url" not in json.loads((folder / "json/2.json").read_text("utf-8"))
    assert "#141519" in (folder / "images/2.svg").read_text("utf-8")
    assert info_of(folder)["pieces"] == ["gif", "webp"]
    assert verify(folder)[1].endswith("3 tokens: everything matches\n")
    (folder / "images/1.gif").write_bytes((folder / "images/2.gif").read_bytes())
    status, out = verify(folder)
    assert status == 1 and "images/1.gif: not the picture of its text" in out


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("--pieces", "svg,png", "'png' is not one of svg, html, gif, webp, apng, mp4; did you mean 'apng'?"),
        ("--theme", "papre", "'papre' is not one of paper, night, frost, clay; did you mean 'paper'?"),
    ],
)
def test_a_look_that_is_none_is_named(studio, capsys, option, name, message):
    _, make = studio
    assert make("set", 1, option, name)[0] == 2
    assert capsys.readouterr().err == f"error: {option}: {message}\n"


def test_mp4_without_ffmpeg_is_one_line_before_anything_is_drawn(studio, capsys, monkeypatch):
    _, make = studio
    monkeypatch.setenv("PATH", "")
    assert make("set", 1, "--pieces", "mp4")[0] == 2
    fix = "install it, or leave mp4 out: of collection.pieces, or of a set that is there with export --pieces"
    message = f"error: mp4 needs ffmpeg, which is not here; {fix}\n"
    assert capsys.readouterr().err == message
    _, folder = make("set", 1)
    alter(folder / "set.json", '"svg",', '"mp4",')
    before = tree(folder)
    assert collection.main(["draw-courses", str(folder)]) == 2
    assert capsys.readouterr().err == message and tree(folder) == before


@posix
def test_an_ffmpeg_that_fails_is_one_line_before_anything_is_drawn(studio, tmp_path, capsys, monkeypatch):
    _, make = studio
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\necho Unknown encoder libx264 >&2\nexit 1\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert make("set", 1, "--pieces", "mp4")[0] == 2
    assert capsys.readouterr().err == "error: ffmpeg could not write an mp4: Unknown encoder libx264\n"
    assert not (tmp_path / "set/samples.jsonl").exists()


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not here")
def test_mp4_plays_the_frames(tmp_path):
    data, path = animation("mp4", "acyb", COURSE, "set #1", PAPER), tmp_path / "piece.mp4"
    assert data[4:8] == b"ftyp" and animation("mp4", "acyb", COURSE, "set #1", PAPER) == data
    path.write_bytes(data)
    command = ["ffmpeg", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    played = subprocess.run(command, capture_output=True, check=True)
    shown = frames("acyb", COURSE, "set #1", PAPER)
    drawn = np.stack([np.asarray(in_colour(image, PAPER).convert("RGB"), int) for image, _ in shown])
    found = np.frombuffer(played.stdout, np.uint8).reshape(-1, *drawn.shape[1:])
    nearest = [int(np.abs(drawn - picture).mean((1, 2, 3)).argmin()) for picture in found]
    times = [round(milliseconds * PER_SECOND / 1000) for _, milliseconds in shown]
    assert nearest == np.repeat(range(len(shown)), times).tolist()
    assert f"Duration: 00:00:{len(found) / PER_SECOND:05.2f}" in played.stderr.decode()
