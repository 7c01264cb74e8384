"""courses.jsonl: how each token was written; it grows with the set, is mended, redrawn, and shows nothing masked."""

import itertools
import json
import random
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import collection
from command.messages import argument
from generation.archive import archive_bytes, read_archive
from generation.checkpoint import load_checkpoint
from generation.course import Change, text_after
from generation.writer import Writer
from nft import originals
from nft.courses import course_line, course_of, masked_course
from nft.drawing import batch_after, draw_courses
from nft.store import SetFolder
from nft.tokens import courses_again, draw_tokens
from tests.helpers import Killed, files_in, tree
from tests.nft.sets import alter, change_tokens, info_of, records, select, texts
from utils import UserError, pick_device, sha256


def lines(folder: Path) -> list[bytes]:
    return (folder / "courses.jsonl").read_bytes().splitlines(keepends=True)


def test_each_token_has_its_course_and_the_provenance_covers_them(studio, verify):
    _, make = studio
    _, folder = make("set", 6)
    for line, record in zip(lines(folder), records(folder), strict=True):
        course = course_of(line, record)
        assert text_after(course) == record["text"] and line == course_line(record["token_id"], course)
    proof = json.loads((folder / "provenance.json").read_text("utf-8"))
    assert proof["courses_sha256"] == sha256((folder / "courses.jsonl").read_bytes())
    assert verify(folder)[1].endswith("6 tokens: everything matches\n")


def test_a_set_cut_short_anywhere_goes_on_to_the_same_bytes(studio):
    _, make = studio
    _, folder = make("set", 6, "--batch-size", "2")
    whole, rng = files_in(folder), random.Random(0)
    both = ("courses.jsonl", "samples.jsonl")
    for cut, names in itertools.product((0, 1, -1, None), (both[:1], both[1:], both)):
        for name in names:
            (folder / name).write_bytes(whole[name][: rng.randrange(len(whole[name])) if cut is None else cut])
        assert make("set", 6, "--batch-size", "2")[0] == 0
        assert files_in(folder) == whole
    (folder / "courses.jsonl").unlink()
    assert make("set", 6)[0] == 0 and files_in(folder) == whole


def test_a_set_that_is_killed_keeps_what_it_drew_though_its_batches_are_large(studio, monkeypatch):
    """The first batch is small, and a later one takes about SAVE_SECONDS, or is as small: no text depends on it."""
    _, make = studio
    batches: list[range] = []
    _, folder = make("whole", 12)
    whole = files_in(folder)

    def stopping(source, judge, numbers, advance):
        batches.append(numbers)
        if len(batches) == 3:
            raise Killed
        return draw_tokens(source, judge, numbers, advance)

    with monkeypatch.context() as patched:
        patched.setattr("nft.drawing.draw_tokens", stopping)
        patched.setattr("nft.drawing.LEAST_BATCH", 4)
        patched.setattr("nft.drawing.SAVE_SECONDS", 1e-9)
        with pytest.raises(Killed):
            make("set", 12)
    assert batches == [range(1, 5), range(5, 9), range(9, 13)]
    assert len(records(folder.with_name("set"))) == 8
    assert make("set", 12)[0] == 0 and files_in(folder.with_name("set")) == whole


def test_a_batch_takes_a_minute_or_has_32_tokens():
    assert [batch_after(32, seconds, 256) for seconds in (0.01, 7.5, 30, 60, 600)] == [256, 256, 64, 32, 32]
    assert batch_after(32, 600, 8) == 8


def test_courses_that_were_drawn_outlive_a_kill(studio, monkeypatch):
    run, make = studio
    _, folder = make("set", 6)
    whole = lines(folder)
    (folder / "courses.jsonl").unlink()
    batches = []

    def stopping(writer, info, batch):
        batches.append(batch)
        if len(batches) == 3:
            raise Killed
        return courses_again(writer, info, batch)

    with monkeypatch.context() as patched:
        patched.setattr("nft.drawing.courses_again", stopping)
        patched.setattr("nft.drawing.SAVE_SECONDS", -1)
        writer = Writer.of(load_checkpoint(run.model_file()), pick_device("cpu"))
        with SetFolder.opened(folder) as opened, pytest.raises(Killed):
            draw_courses(opened, writer, opened.records(), 2)
    assert lines(folder) == whole[:4]


def test_courses_that_are_missing_are_named_with_what_draws_them(studio, verify, capsys):
    _, make = studio
    _, folder = make("set", 3)
    whole = files_in(folder)
    (folder / "courses.jsonl").unlink()
    assert collection.main(["export", str(folder)]) == 2
    what = "holds 0 courses for 3 tokens; collection.py draw-courses mends it"
    assert capsys.readouterr().err == f"error: {folder / 'courses.jsonl'}: {what}\n"
    assert collection.main(["draw-courses", str(folder)]) == 0 and files_in(folder) == whole


@pytest.mark.parametrize(("tokens", "courses"), [(3, 4), (4, 3), (4, 0), (0, 2)])
def test_a_set_killed_before_any_of_its_files_was_written_goes_on(studio, tokens, courses):
    _, make = studio
    _, folder = make("set", 6)
    whole = files_in(folder)
    kept = {"samples.jsonl": tokens, "courses.jsonl": courses}
    for path in whole.keys() - {"set.json", *kept}:
        (folder / path).unlink()
    for name, count in kept.items():
        (folder / name).write_bytes(b"".join(whole[name].splitlines(keepends=True)[:count]))
    assert make("set", 6)[0] == 0 and files_in(folder) == whole


def test_a_set_without_courses_says_nothing_of_them_until_they_are_drawn(studio, verify):
    _, make = studio
    _, folder = make("set", 6)
    whole = files_in(folder)
    (folder / "courses.jsonl").unlink()
    alter(folder / "set.json", ',\n  "courses": true', "")
    assert collection.main(["export", str(folder)]) == 0
    assert "courses_sha256" not in json.loads((folder / "provenance.json").read_text("utf-8"))
    assert verify(folder)[1].endswith("6 tokens: everything matches\n")
    assert collection.main(["draw-courses", str(folder)]) == 0
    assert files_in(folder) == whole


def test_a_set_from_before_there_were_courses_gets_pieces_with_them(studio, capsys):
    _, make = studio
    _, folder = make("set", 2)
    whole = files_in(folder)
    (folder / "courses.jsonl").unlink()
    info = json.loads(whole["set.json"])
    before = {key: value for key, value in info.items() if key not in ("courses", "pieces", "theme")}
    (folder / "set.json").write_text(json.dumps(before), "utf-8")
    capsys.readouterr()
    assert collection.main(["export", str(folder), "--pieces", "svg"]) == 0
    fix = f"python collection.py draw-courses {argument(folder)}"
    assert f"no pieces: how the texts were written is not known; {fix} draws it" in capsys.readouterr().out.splitlines()
    (folder / "set.json").write_text(json.dumps(before), "utf-8")
    assert collection.main(["draw-courses", str(folder)]) == 0
    assert (folder / "images/1.svg").read_bytes() == whole["images/1.svg"]
    assert (folder / "images/2.html").exists() and "animation_url" in json.loads((folder / "json/1.json").read_text())


def test_a_damaged_course_is_drawn_again(studio, capsys):
    _, make = studio
    _, folder = make("set", 3)
    whole = files_in(folder)
    alter(folder / "courses.jsonl", '"token_id":2', '"token_id":9')
    assert collection.main(["export", str(folder)]) == 2
    what = "courses.jsonl line 2: damaged: holds token 9; collection.py draw-courses draws it again"
    assert what in capsys.readouterr().err
    before = files_in(folder)
    assert make("set", 5)[0] == 2 and files_in(folder) == before  # not after hours of drawing
    assert what in capsys.readouterr().err
    shutil.copytree(folder, without := folder.with_name("copied"), ignore=shutil.ignore_patterns(".*"))
    assert collection.main(["draw-courses", str(folder)]) == 0 and files_in(folder) == whole
    assert collection.main(["export", str(without)]) == 2  # without the list of what was written
    assert what in capsys.readouterr().err
    assert collection.main(["draw-courses", str(without)]) == 0
    assert (without / "courses.jsonl").read_bytes() == (folder / "courses.jsonl").read_bytes()


@pytest.mark.parametrize("change", [lambda text: f"{text}!", lambda text: f"{text[:-1]}#"])
def test_a_text_that_somebody_changed_has_no_course(studio, capsys, change):
    _, make = studio
    _, folder = make("set", 3)
    change_tokens(folder, 2, lambda record: {"text": change(record["text"])})
    (folder / "courses.jsonl").unlink()
    assert collection.main(["draw-courses", str(folder)]) == 1
    assert "1 token: another text came out when drawn again, so without a course: 2" in capsys.readouterr().err
    assert lines(folder)[1] == b'{"course":[],"token_id":2}\n' and collection.main(["export", str(folder)]) == 0


def test_a_text_that_does_not_come_out_again_has_no_course(studio, verify, capsys):
    _, make = studio
    _, folder = make("set", 3)
    (folder / "courses.jsonl").unlink()
    alter(folder / "samples.jsonl", records(folder)[1]["drawn_sha256"], "0" * 64)
    assert collection.main(["draw-courses", str(folder)]) == 1
    assert "1 token: another text came out when drawn again, so without a course: 2" in capsys.readouterr().err
    assert lines(folder)[1] == b'{"course":[],"token_id":2}\n'
    assert "the writing of 1 token: courses.jsonl holds no course" in verify(folder)[1]
    capsys.readouterr()
    assert collection.main(["draw-courses", str(folder)]) == 1  # drawn once more, as on another machine it may come out
    assert "1 token: another text came out when drawn again, so without a course: 2" in capsys.readouterr().err
    drawn = sha256(texts(folder)[1])
    alter(folder / "samples.jsonl", "0" * 64, drawn)
    assert collection.main(["draw-courses", str(folder)]) == 0
    assert lines(folder)[1] != b'{"course":[],"token_id":2}\n' and "everything matches" in verify(folder)[1]


def test_another_model_draws_no_courses(studio, tmp_path, capsys):
    run, make = studio
    _, folder = make("set", 2)
    other, content = tmp_path / "other.pt", read_archive(run.model_file())
    other.write_bytes(archive_bytes({**content, "weights": {k: v + 1 for k, v in content["weights"].items()}}))
    assert collection.main(["draw-courses", str(folder), "--model", str(other)]) == 2
    fix = "not the model that this set was drawn with; give that with --model"
    assert capsys.readouterr().err == f"error: {other}: {fix}\n"


def test_a_set_sends_nobody_to_another_machine(studio, monkeypatch, capsys):
    """Windows would show such a machine who asks."""
    _, make = studio
    _, folder = make("set", 2)
    info = info_of(folder)
    alter(folder / "set.json", json.dumps(info["model_file"]), '"//host/share/model.pt"')
    monkeypatch.setattr(originals, "os", SimpleNamespace(name="nt"))
    assert collection.main(["draw-courses", str(folder)]) == 2
    message = "error: //host/share/model.pt: lies on another machine; give the model with --model\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize(
    ("forged", "message"),
    [
        ('[[9,[0],"ab"]]', "a step has more positions or characters than the other"),
        ('[[9,[0],"a"]]', "it does not lead to the token's text"),
        ('[[9,[0],"x"],[3,[1],"y"]]', "its steps are not in order"),
        ('[[9,[1,0],"yx"]]', "the positions of a step are not in order"),
        ('[[9,[0,0,1],"axy"]]', "the positions of a step are not in order"),
        ('[[9,[7,8],"xy"]]', "it does not lead to the token's text"),
        ('[[9,[0,9007199254740992],"xy"]]', "it does not lead to the token's text"),
        ('[[9,[-1],"x"]]', "damaged: course.0.1.0: Input should be greater than or equal to 0"),
        ("7", "damaged: course: Input should be a valid array"),
    ],
)
def test_a_damaged_course_is_named(forged, message):
    with pytest.raises(UserError, match=message):
        course_of(f'{{"course":{forged},"token_id":4}}'.encode(), {"token_id": 4, "text": "xy"})


def test_a_damaged_course_that_would_be_published_leaves_a_set_as_it_is(studio, capsys):
    _, make = studio
    _, folder = make("set", 2)
    assert select(folder, "1") == 0
    lines = (folder / "courses.jsonl").read_bytes().splitlines(keepends=True)
    lines[1] = b"{}\n"
    (folder / "courses.jsonl").write_bytes(b"".join(lines))
    assert collection.main(["export", str(folder)]) == 0  # without that token
    before = tree(folder)
    assert collection.main(["select", str(folder), "--keep", "all"]) == 2
    assert "draw-courses draws it again" in capsys.readouterr().err and tree(folder) == before
    (folder / "courses.jsonl").write_bytes(b"".join(reversed(lines)))
    before = tree(folder)
    assert collection.main(["export", str(folder), "--title", "new"]) == 2
    assert "draw-courses draws it again" in capsys.readouterr().err and tree(folder) == before


def test_verify_notices_a_forged_course(studio, verify):
    _, make = studio
    _, folder = make("set", 4)
    found = lines(folder)
    course = json.loads(found[1])["course"]
    (folder / "courses.jsonl").write_bytes(b"".join([found[0], course_line(2, [Change(*course[0])]), *found[2:]]))
    status, out = verify(folder)
    assert status == 1 and "courses.jsonl line 2: damaged: it does not lead to the token's text" in out
    moved = [Change(step + 1, *rest) for step, *rest in course]
    (folder / "courses.jsonl").write_bytes(b"".join([found[0], course_line(2, moved), *found[2:]]))
    assert collection.main(["export", str(folder)]) == 0
    status, out = verify(folder)
    assert status == 1 and "token 2: drawn again, it is another text or has other figures (course)" in out


def test_what_is_masked_never_shows():
    course = [Change(1, [0, 1, 2], "a@b"), Change(2, [1], "%"), Change(3, [0, 1], "c@"), Change(4, [2], "d")]
    assert masked_course(course, "c@d", "c██") == [Change(1, [0], "a"), Change(3, [0, 1], "c█"), Change(4, [2], "█")]
    assert masked_course([Change(1, [0, 1], "█a")], "█a", "█a") == [Change(1, [0, 1], "█a")]


def test_a_masked_token_has_a_masked_course(studio, verify, tmp_path):
    _, make = studio
    _, probe = make("probe", 4)
    (tmp_path / "words.txt").write_text("\n".join(" ".join(texts(probe)).split()), encoding="utf-8")
    _, folder = make("set", 4, words="mask", word_list=str(tmp_path / "words.txt"), duplicates="keep")
    masked = [record for record in records(folder) if "█" in record["text"]]
    assert masked
    for record in masked:
        course = course_of(lines(folder)[record["token_id"] - 1], record)
        hidden = {place for place, character in enumerate(record["text"]) if character == "█"}
        pairs = [pair for change in course for pair in zip(change.positions, change.characters, strict=True)]
        assert {character for place, character in pairs if place in hidden} == {"█"}
    assert verify(folder)[0] == 0
