"""Every file of a set is compared: texts by their bytes, pictures by their pixels; strangers among them are named."""

import errno
import io
import os
import re
import shutil
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont, ImageSequence, PngImagePlugin

import collection
from generation.course import Change
from nft import fonts, image
from nft.animation import same_animation
from nft.courses import course_line
from nft.files import File, pictures
from nft.findings import Findings
from nft.store import indented_json
from nft.verify_files import Pictures, has_similar_frames
from pages.themes import THEMES
from tests.helpers import Quiet, sparse
from tests.nft.sets import animation, change_info, info_of, made_up_edition, select
from tests.nft.test_pieces import at_once
from training.trainer import train_model

WITHOUT_FFMPEG = "no ffmpeg is here that writes the same bytes"


def png(picture: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A part of a PNG file."""
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def forged_pictures(data: bytes, other: bytes):
    """Name and bytes of pictures that are not the one of a token; `other` is that of another token."""
    picture = Image.open(io.BytesIO(data))
    dotted, text = picture.copy(), PngImagePlugin.PngInfo()
    dotted.putpixel((500, 500), 255)
    text.add_text("Comment", "mine")
    yield "empty", b""
    yield "cut short", data[: len(data) // 2]
    yield "no PNG", b"GIF89a" + data
    yield "white", png(Image.new("RGB", (image.SIDE, image.SIDE), "white"))
    yield "blank", png(Image.new("RGB", (image.SIDE, image.SIDE), THEMES["paper"].ground))
    yield "huge", png(Image.new("1", (20_000, 20_000)))
    yield "of another token", other
    yield "a pixel", png(dotted)
    yield "of another size", png(picture.convert("RGB").resize((999, 999)))
    yield "transparent", png(picture, transparency=0)
    yield "moving", png(picture, save_all=True, append_images=[Image.open(io.BytesIO(other))])
    yield "with a note", png(picture, pnginfo=text)
    # what Pillow does not know: other colours in a browser, a statement of origin, anything at all behind the picture
    strange = {b"cICP": b"\x09\x10\0\1", b"caBX": b"claim", b"sPLT": b"x\0\x08", b"IHDR": data[16:29]}
    for kind, content in strange.items():
        yield f"with {kind.decode()}", data[:-12] + chunk(kind, content) + data[-12:]
    yield "with a page behind it", data + b"<html>"
    yield "twice", data + data
    yield "without an end", data[:-12]
    yield "with a wrong checksum", data[:-13] + bytes([data[-13] ^ 1]) + data[-12:]
    yield "with room for another", data[:-12] + chunk(b"IDAT", bytes(5_000_000)) + data[-12:]
    yield from padded_pictures(data)


def padded_pictures(data: bytes):
    """Name and bytes of pictures with the right pixels, and with bytes that no pixel needs."""
    place, end = data.index(b"IDAT") - 4, data[-12:]
    head, packed = data[:place], data[place + 8 : -16]
    yield "with a chunk of pixels too many", data[:-12] + chunk(b"IDAT", b"mine") + end
    yield "with bytes behind the pixels", head + chunk(b"IDAT", packed + b"mine") + end
    yield "with a row too many", head + chunk(b"IDAT", zlib.compress(zlib.decompress(packed) + b"mine")) + end
    yield "with pixels that do not end", head + chunk(b"IDAT", packed[:-4]) + end
    yield "with an end that holds something", data[:-12] + chunk(b"IEND", b"mine")
    yield "with a longer head", data[:8] + chunk(b"IHDR", data[16:29] + b"mine") + data[33:]
    coloured = png(Image.open(io.BytesIO(data)).convert("RGB"))
    yield "with colours for none", coloured[:33] + chunk(b"PLTE", b"mine" * 300) + coloured[33:]
    levels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).reshape(image.SIDE, -1, 1)
    rows = np.concatenate([levels, levels // 2], axis=2).reshape(image.SIDE, -1)
    deep = chunk(b"IDAT", zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes()))
    yield "with pixels finer than seen", data[:8] + chunk(b"IHDR", data[16:24] + b"\x10\2\0\0\0") + deep + end


def test_a_picture_that_is_not_that_of_its_text_is_named(studio, verify):
    _, make = studio
    _, folder = make("set", 3)
    path = folder / "images/2.png"
    whole, other = path.read_bytes(), (folder / "images/3.png").read_bytes()
    for name, data in forged_pictures(whole, other):
        path.write_bytes(data)
        status, out = verify(folder)
        assert status == 1 and out.count("does not match: ") == 1, name
        assert "does not match: images/2.png: not the picture of its text\n" in out, name
    path.write_bytes(png(Image.open(io.BytesIO(whole)).convert("RGB"), compress_level=1))  # the same pixels
    assert verify(folder)[0] == 0


def font_without_fribidi(size, path=fonts.OWN):
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def test_pictures_of_other_versions_are_compared_roughly(studio, verify, monkeypatch):
    _, make = studio
    with monkeypatch.context() as there:
        there.setattr(fonts, "font", font_without_fribidi)
        _, folder = make("set", 3)
    status, out = verify(folder)
    assert status == 0 and "not checked: the pixels of 3 pictures: no picture is the same as here, with Pillow " in out
    assert "FriBiDi" in out
    shutil.copy(folder / "images/1.png", folder / "images/2.png")
    status, out = verify(folder)
    assert status == 1 and "does not match: images/2.png: not the picture of its text" in out


@pytest.mark.parametrize("letters", [("سلام", "عربي", "م"), ("клмн", "прст", "\N{COMBINING ACUTE ACCENT}")])
def test_texts_that_fribidi_lays_out_may_be_drawn_otherwise_elsewhere(studio, verify, monkeypatch, letters):
    """Without it Pillow neither turns Arabic round nor joins it, nor sets marks on letters; no fault of the set."""
    run, make = studio
    first, second, between = letters
    lines = (f"{a}{between}{b}{between} {b}{between}{a}{between}\n" for a in first for b in second)
    run.data_file().write_text("".join(lines), encoding="utf-8")
    train_model(run, Quiet())
    with monkeypatch.context() as there:
        there.setattr(fonts, "font", font_without_fribidi)
        _, folder = make("set", 3, degenerate="keep")
    status, out = verify(folder)
    assert status == 0
    assert re.search("not checked: [1-3] pictures? with characters that DejaVu Sans Mono lacks, marks on letters", out)


def test_pictures_that_each_machine_draws_otherwise_are_still_pictures(studio, verify):
    run, make = studio
    run.data_file().write_text("".join(f"{a}{b}م {b}{a}\n" for a in "سلام" for b in "عربي"), encoding="utf-8")
    train_model(run, Quiet())
    _, folder = make("set", 3, degenerate="keep")
    assert collection.main(["export", str(folder), "--pieces", "gif"]) == 0
    picture, moving = folder / "images/2.png", folder / "images/2.gif"
    whole = picture.read_bytes()
    foreign = [(picture, data) for data in (b"", b"<script>alert(1)</script>", whole + b"<script>")]
    for path, data in [*foreign, (moving, whole), (moving, b"")]:
        before = path.read_bytes()
        path.write_bytes(data)
        status, out = verify(folder)
        assert status == 1 and f"does not match: images/{path.name}: not the picture of its text\n" in out
        path.write_bytes(before)
    shutil.copy(folder / "images/1.png", picture)  # as another machine may have drawn it
    status, out = verify(folder)
    assert status == 0 and "not checked: 1 picture with characters that DejaVu Sans Mono lacks, marks" in out


def test_animations_that_all_show_something_else_are_named(studio, verify):
    """If the pictures are those of this version of Pillow, so must the animations be."""
    _, make = studio
    _, folder = make("set", 3)
    assert collection.main(["export", str(folder), "--pieces", "gif"]) == 0
    for path in (folder / "images").glob("*.gif"):
        with Image.open(path) as animation:
            times = [frame.info["duration"] for frame in ImageSequence.Iterator(animation)]
            plain = [Image.new("P", animation.size, number) for number in range(len(times))]
        plain[0].save(path, "GIF", save_all=True, append_images=plain[1:], duration=times, loop=0)
    status, out = verify(folder)
    assert status == 1 and out.count(".gif: not the picture of its text\n") == 3


@pytest.mark.parametrize("kind", ["gif", "webp", "apng"])
def test_an_animation_holds_nothing_but_its_frames(studio, verify, kind):
    """Here its bytes are known: what follows them, or cannot be seen through, is no part of it."""
    _, make = studio
    _, folder = make("set", 2)
    assert collection.main(["export", str(folder), "--pieces", kind]) == 0
    path = folder / f"images/1.{kind}"
    whole = path.read_bytes()
    for altered in [*folder.glob("images/*.apng")] or [path]:  # of zlib, the set's PNG files tell
        altered.write_bytes(altered.read_bytes() + b"<script>")
    status, out = verify(folder)
    assert status == 1 and f"does not match: images/1.{kind}: not the picture of its text\n" in out
    with Image.open(io.BytesIO(whole)) as animation:
        shown = [(frame.convert("RGBA"), frame.info.get("duration", 0)) for frame in ImageSequence.Iterator(animation)]
    frames, times = [frame for frame, _ in shown], [time for _, time in shown]
    for frame in frames:
        frame.putalpha(0)
    kinds = {"apng": "PNG", "webp": "WEBP", "gif": "GIF"}
    frames[0].save(path, kinds[kind], save_all=True, append_images=frames[1:], duration=times, loop=0)
    status, out = verify(folder)
    assert status == 1 and f"does not match: images/1.{kind}: not the picture of its text\n" in out


def test_rough_frames_show_which_text_they_are():
    frames = [animation("gif", text, at_once(text), "set #1", THEMES["paper"]) for text in ("one text", "another")]
    assert has_similar_frames(frames[0], frames[0], THEMES["paper"])
    assert not has_similar_frames(frames[1], frames[0], THEMES["paper"])
    assert not has_similar_frames(b"", frames[0], THEMES["paper"])


def test_an_animation_of_any_size_is_the_picture_of_its_text(tmp_path, monkeypatch, capsys):
    """One of many letters of the uniform process is larger than any picture that stands still."""
    monkeypatch.setattr(image, "LARGEST", 1000)
    moving = animation("gif", "one text", at_once("one text"), "set #1", THEMES["paper"])
    (tmp_path / "1.gif").write_bytes(moving)
    seen = Pictures(THEMES["paper"])
    seen.compare(File("images/1.gif", lambda: moving, same_animation), tmp_path / "1.gif")
    seen.report(Findings())
    assert len(moving) > 1000 and capsys.readouterr().out == ""


def test_animations_of_another_packer_are_not_called_forged(tmp_path, capsys):
    """The same frames by another libwebp, beside GIFs that are the same to the byte."""
    seen = Pictures(THEMES["paper"])
    for kind in ("gif", "webp"):
        moving = animation(kind, "one text", at_once("one text"), "set #1", THEMES["paper"])
        (tmp_path / f"1.{kind}").write_bytes(moving + b"\0" * (kind == "webp"))
        seen.compare(File(f"images/1.{kind}", lambda moving=moving: moving, same_animation), tmp_path / f"1.{kind}")
    seen.report(Findings())
    assert capsys.readouterr().out == "not checked: the bytes of 1 animation: here they would be packed otherwise\n"


def test_a_moving_picture_that_pillow_stumbles_over_is_none():
    apng = animation("apng", "one text", at_once("one text"), "set #1", THEMES["paper"])
    data = apng.find(b"IDAT") - 4
    end = data + 12 + int.from_bytes(apng[data : data + 4], "big")
    assert not same_animation(apng[:end] + chunk(b"gAMA", b"") + apng[end:], apng)


def test_an_animation_of_letters_that_each_machine_draws_otherwise_may_differ():
    """What the uniform process begins with is any letter of the voice, whatever the text has."""
    edition = made_up_edition({1: "one text"}, "gif")
    for letters, alike in (("#ne text", True), ("\U0001f600ne text", False)):
        course = [Change(0, list(range(8)), letters), Change(1, [0], "o")]
        moving = replace(edition, courses=[course_line(1, course)])
        found = {file.path: file.alike for file in pictures(moving)}
        assert found["images/1.png"] and found["images/1.gif"] == alike


def test_films_that_could_not_be_compared_are_said_to_be_unknown(tmp_path, capsys):
    seen = Pictures(THEMES["paper"])
    for number in (1, 2):
        film = tmp_path / f"{number}.mp4"
        film.write_bytes(b"....ftypB")
        seen.compare(File(f"images/{number}.mp4", lambda: b"....ftypA", same_animation), film)
    seen.report(Findings())
    assert capsys.readouterr().out == f"not checked: what is seen in 2 films: {WITHOUT_FFMPEG}\n"


def test_a_set_with_films_is_verified_and_left_alone_without_ffmpeg(studio, verify, monkeypatch, capsys):
    _, make = studio
    _, folder = make("set", 2)
    change_info(folder, pieces=["mp4"])
    for number in (1, 2):
        (folder / f"images/{number}.mp4").write_bytes(b"....ftyp")
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert f"not checked: what is seen in 2 films: {WITHOUT_FFMPEG}\n" in verify(folder)[1]
    assert select(folder, "1") == 2
    assert "mp4 needs ffmpeg, which is not here" in capsys.readouterr().err
    assert not (folder / "selection.json").exists()
    (folder / ".written.jsonl").unlink()
    assert collection.main(["export", str(folder), "--pieces", "svg"]) == 0  # as that message says
    assert info_of(folder)["pieces"] == ["svg"]


def test_courses_that_a_set_does_not_declare_are_no_file_of_it(studio, verify):
    """As a set has them that was made before there were courses, beside a file of a stranger."""
    _, make = studio
    _, folder = make("set", 2)
    info = info_of(folder)
    (folder / "set.json").write_text(indented_json({key: info[key] for key in info if key != "courses"}), "utf-8")
    assert collection.main(["export", str(folder)]) == 0
    (folder / "courses.jsonl").write_text("<script>", "utf-8")
    assert "not checked: courses.jsonl: no file of a set" in verify(folder)[1]
    assert make("set", 3)[0] == 0 and (folder / "courses.jsonl").read_text("utf-8") == "<script>"


LEFT = ("images/.2.png.x1.part", ".written.jsonl.x2.part")  # by a write that was killed


def test_files_that_are_missing_or_belong_to_no_token_are_named(studio, verify):
    _, make = studio
    _, folder = make("set", 3)
    for name in ("images/.DS_Store", "json/Thumbs.db", "desktop.ini", "images/._1.png", *LEFT):
        (folder / name).write_bytes(b"litter")
    status, out = verify(folder)
    assert status == 0 and all(f"not checked: {name}: left by a write that was killed; it may" in out for name in LEFT)
    shutil.copy(folder / "json/1.json", folder / "json/4.json")
    for name in ("images/holiday.jpg", "erc1155/.hidden", "metaplex/more/0.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"mine")
    (folder / "images/3.png").unlink()
    (folder / "images/1.svg").unlink()
    (folder / "images/1.svg").mkdir()
    status, out = verify(folder)
    strangers = ("json/4.json", "images/holiday.jpg", "erc1155/.hidden", "metaplex/more")
    assert status == 1 and all(f"does not match: {name}: belongs to no token\n" in out for name in strangers)
    assert all(f"does not match: {name}: missing\n" in out for name in ("images/3.png", "images/1.svg"))
    assert "DS_Store" not in out and "._1" not in out and out.count("does not match: ") == 6


def test_what_only_bears_a_harmless_name_is_named(studio, verify):
    """Beside a set's folders a person's own files are no fault, but what they are is not known."""
    _, make = studio
    _, folder = make("set", 2)
    (folder / ".DS_Store").write_bytes(b"litter")
    for name in ("json/.DS_Store", "images/.1.png.x1.part", "images/evil.html.part"):
        (folder / name).mkdir() if name[-1] == "e" else (folder / name).write_bytes(b"")
    (folder / "json/.DS_Store/7.json").write_bytes(b"{}")
    status, out = verify(folder)
    assert status == 1 and out.count("does not match: ") == 2
    assert all(f"{name}: belongs to no token\n" in out for name in ("json/.DS_Store", "images/evil.html.part"))
    shutil.rmtree(folder / "json/.DS_Store")
    (folder / "images/evil.html.part").unlink()
    for name in ("evil.html", "metadata.json", "json2"):
        (folder / name).mkdir() if name == "json2" else (folder / name).write_bytes(b"")
    status, out = verify(folder)
    assert status == 0 and out.endswith("what was checked matches; 4 things could not be checked\n")
    assert all(f"not checked: {name}: no file of a set\n" in out for name in ("evil.html", "metadata.json", "json2"))


@pytest.mark.parametrize(
    "put", [Path.mkdir, lambda path: path.write_text("<script>"), lambda path: path.symlink_to("/")]
)
def test_what_only_bears_the_name_of_the_list_of_files_is_named(studio, verify, put):
    _, make = studio
    _, folder = make("set", 2)
    record = folder / ".written.jsonl"
    record.unlink()
    put(record)
    status, out = verify(folder)
    assert status == 0 and "not checked: .written.jsonl: no file of a set\n" in out and "everything" not in out


def test_a_folder_that_may_not_be_listed_does_not_pass_for_one_without_strangers(studio, verify, monkeypatch, capsys):
    _, make = studio
    _, folder = make("set", 2)

    def forbid(listing):
        def listed(path):
            if Path(path) == folder / "images":
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return listing(path)

        return listed

    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, forbid(getattr(os, name)))
    assert "everything matches" not in verify(folder)[1]


@sparse
def test_files_larger_than_the_memory_are_named(studio, verify):
    _, make = studio
    _, folder = make("set", 2)
    for name in ("json/2.json", "images/2.png"):
        os.truncate(folder / name, 1 << 40)
    status, out = verify(folder)
    assert status == 1 and out.count("does not match: ") == 2


def test_no_byte_of_a_text_file_may_differ(studio, verify):
    _, make = studio
    _, folder = make("set", 2)
    names = [
        "toy.txt", "tokens.csv", "rarity.csv", "traits.json", "contract.json", "json/_metadata.json",
        "metaplex/0.json", "images/1.svg", "index.html",
    ]  # fmt: skip
    for name in names:
        with (folder / name).open("ab") as file:
            file.write(b" ")
    status, out = verify(folder)
    assert status == 1 and out.count("does not match: ") == len(names)
    assert all(f"does not match: {name}: not what its tokens make of it\n" in out for name in names)
