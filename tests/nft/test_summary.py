"""The end of `make` says how texts of other scripts were drawn, and what their pieces do not show well."""

import pytest

from nft import fonts
from nft.fonts import font_of
from nft.summary import say_how_drawn
from tests.nft.sets import made_up_edition
from tests.nft.test_verify_files import font_without_fribidi

SENTENCE = (
    "pieces of {} place characters one by one: letters of Arabic and Hebrew are reversed, marks stand apart; "
    "export --pieces none leaves all pieces out\n"
)


@pytest.mark.parametrize(
    ("text", "pieces", "apart"),
    [
        ("שלום עולם", ["svg", "html"], True),
        ("سلام", ["html"], True),
        ("стари\u0301к", ["svg"], True),
        ("שלום עולם", [], False),
        ("I \N{HEAVY BLACK HEART}\ufe0f it", ["svg"], False),
        ("Voilà, Tiếng Việt, 我爱", ["svg"], False),
    ],
)
def test_pieces_that_show_a_text_badly_are_counted(capsys, text, pieces, apart):
    say_how_drawn(made_up_edition({1: text, 2: "plain", 3: text + "!"}, *pieces))
    assert (SENTENCE.format("2 tokens") in capsys.readouterr().out) == apart
    say_how_drawn(made_up_edition({1: text}, *pieces))
    assert (SENTENCE.format("1 token") in capsys.readouterr().out) == apart


def test_that_pictures_lack_fribidi_is_said(capsys, monkeypatch):
    monkeypatch.setattr(fonts, "font", font_without_fribidi)
    say_how_drawn(made_up_edition({1: "سلام", 2: "plain", 3: "I \N{HEAVY BLACK HEART}\ufe0f it"}))
    what = "letters of Arabic and Hebrew are reversed and marks misplaced, for Pillow finds no FriBiDi"
    assert f"in pictures of 1 token {what} (Debian: libfribidi0)\n" in capsys.readouterr().out


def test_what_shows_nothing_is_no_box_and_needs_no_font(capsys):
    say_how_drawn(made_up_edition({1: "plain\ufe0f and\u200d so\U000e0020"}, "svg"))
    assert capsys.readouterr().out == ""


def test_fonts_and_boxes_are_named(capsys):
    say_how_drawn(made_up_edition({1: "שלום, ế", 2: "a \ue000 b"}))
    used = sorted({path.stem for path in map(font_of, ("שלום, ", "ế")) if path})
    assert capsys.readouterr().out.splitlines() == [
        f"drawn with other fonts of this machine, where DejaVu Sans Mono lacks a character: {', '.join(used)}",
        "pictures show boxes for 1 character that no font here has: \ue000",
    ]
