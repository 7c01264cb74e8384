"""What is published of a set, and what its commands say of it: descriptions, symbols, addresses, origin, hashes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml

import collection
from nft.contact_sheet import sheet_identity
from nft.formats import SET_FORMAT
from nft.metadata import description, metaplex, symbol
from nft.selection import token_ids
from nft.store import SetFolder
from tests.helpers import Quiet, shape
from tests.nft.sets import made_up_edition, select, texts
from training.trainer import train_model
from utils import UserError, hash_file

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
LINE = st.text(alphabet="ab12 \t_*`<>#~|!&;:[]()\\-+=.\"'/é", min_size=1).map(str.strip).filter(bool)


@given(st.lists(LINE, min_size=1, max_size=4))
def test_a_description_that_is_read_as_markdown_shows_the_text(lines):
    edition = made_up_edition({1: "\n".join(lines)})
    shown = description(edition, edition.records[0]).split("\n\nMachine-generated")[0]
    assert MARKDOWN.render(shown) == "<p>" + "<br />\n".join(map(escapeHtml, lines)) + "</p>\n"


@pytest.mark.parametrize("text", ["Great book!", "fix snake_case (#12) & more", "a > b = c", "3.5 - 2", "Q: who?"])
def test_a_description_has_no_backslash_where_markdown_means_nothing(text):
    edition = made_up_edition({1: text})
    assert description(edition, edition.records[0]).startswith(f"{text}\n\n")


def test_metaplex_which_names_no_markdown_shows_the_text_itself():
    edition = made_up_edition({1: "*a* [b] <c>"})
    drawn = {"seed": 0, "attempt": 0, "sha256": "", "model_sha256": ""}
    found = metaplex(edition, 1, edition.records[0] | drawn, {})
    assert found["description"].startswith("*a* [b] <c>\n\nMachine-generated text")


def test_two_titles_of_the_same_beginning_have_different_symbols():
    titles = [
        "stack_overflow_questions",
        "stack overflow answers",
        "Small Birds",
        "\u3042" * 40,
        "a b c d e f g h i j k",
    ]
    found = [symbol(title, SET_FORMAT) for title in titles]
    assert found[:3] == ["STAOVEQUE", "STAOVEANS", "SMALLBIRDS"]
    assert all(0 < len(each.encode()) <= 10 for each in found)
    assert [symbol("stack_overflow_answers", earlier) for earlier in (9, 10)] == ["STACKOVERF", "STAOVEANS"]


def test_a_title_of_many_words_has_a_whole_letter_of_each_in_its_symbol():
    titles = [
        "\u65e5\u672c \u6771\u4eac \u5927\u962a \u4eac\u90fd",
        "\u3042 \u3044 \u3046 \u3048",
        "\u0421\u0442\u0438\u0445\u0438 \u043e \u0442\u043e\u043c \u043a\u0430\u043a",
    ]
    found = [symbol(title, SET_FORMAT) for title in titles]
    assert found == ["\u65e5\u6771\u5927", "\u3042\u3044\u3046", "\u0421\u041e\u0422\u041a"]
    assert symbol(titles[0], 10) == ""  # as it was: a word's share of the bytes holds no letter of it


def test_the_address_of_a_live_page_names_each_token_by_its_id(studio, tmp_path, verify, capsys):
    _, make = studio
    _, folder = make("set", 4)
    (tmp_path / "keep").write_text("3", "utf-8")
    assert collection.main(["select", str(folder), "--keep", str(tmp_path / "keep")]) == 0
    assert collection.main(["export", str(folder), "--live", "ipfs://cid/index.html"]) == 0
    page = "ipfs://cid/index.html?token=3"
    for path in ("json/1.json", "metaplex/0.json"):
        assert json.loads((folder / path).read_text("utf-8"))["animation_url"] == page
    listed = json.loads((folder / "metaplex/0.json").read_text("utf-8"))["properties"]["files"]
    assert listed[:2] == [{"uri": "../images/1.png", "type": "image/png"}, {"uri": page, "type": "text/html"}]
    assert verify(folder)[0] == 0
    capsys.readouterr()
    assert collection.main(["export", str(folder), "--live", "my page"]) == 2
    assert "--live 'my page': must be an address" in capsys.readouterr().err
    assert collection.main(["export", str(folder), "--live", "https://x.org/p.html?theme=night"]) == 0
    address = json.loads((folder / "json/1.json").read_text("utf-8"))["animation_url"]
    assert address == "https://x.org/p.html?theme=night&token=3" and verify(folder)[0] == 0
    assert collection.main(["export", str(folder), "--live", ""]) == 0
    assert json.loads((folder / "json/1.json").read_text("utf-8"))["animation_url"] == "../images/1.html"


def test_pictures_that_were_uploaded_and_have_changed_are_to_be_uploaded_again(studio, capsys):
    _, make = studio
    _, folder = make("set", 4)
    said = "images/ has changed, and the metadata name ipfs://first: upload it again, "
    for arguments, changes in (
        (["export", "--base-uri", "ipfs://first"], False),
        (["export", "--license", "MIT"], False),
        (["export", "--theme", "night"], True),
        (["export", "--base-uri", "ipfs://second"], False),
        (["export", "--base-uri", "ipfs://first", "--pieces", "svg"], True),
        (["select", "--keep", "all"], False),
    ):
        capsys.readouterr()
        assert collection.main([arguments[0], str(folder), *arguments[1:]]) == 0
        assert (said in capsys.readouterr().out) == changes, arguments
    assert select(folder, "2-3") == 0 and said in capsys.readouterr().out  # number 1 is another text
    assert make("set", 5)[0] == 0 and said not in capsys.readouterr().out  # the selection stays
    assert collection.main(["select", str(folder), "--keep", "all"]) == 0 and said in capsys.readouterr().out
    assert make("set", 6)[0] == 0 and said in capsys.readouterr().out


def test_a_selection_of_another_sheet_is_refused(studio, tmp_path, capsys):
    _, make = studio
    _, folder = make("set", 3)
    with SetFolder.opened(folder, to_read=True) as opened:
        own = sheet_identity(opened.info())
    keep = tmp_path / "keep.txt"
    keep.write_text(f"# 3 toys, set {own}\n2\n", "utf-8")
    assert token_ids(keep, own) == {2} and collection.main(["select", str(folder), "--keep", str(keep)]) == 0
    with pytest.raises(UserError, match="was saved in the contact sheet of another set"):
        token_ids(keep, "0" * 16)
    keep.write_text(f"# 3 toys, set {'0' * 16}\n2\n", "utf-8")
    assert collection.main(["select", str(folder), "--keep", str(keep)]) == 2
    assert f"{keep}: was saved in the contact sheet of another set" in capsys.readouterr().err


def test_make_keeps_what_export_said_of_licence_and_source_where_the_config_is_silent(studio, tmp_path, capsys):
    run, _ = studio
    config, silent = tmp_path / "silent.yaml", {"paths": run.paths.model_dump(), "datasets": {"toy": {}}}
    config.write_text(json.dumps({**silent, "collection": {"copies": "keep"}}), "utf-8")
    options = ["make", "--model", str(run.model_file()), "--config", str(config), "--out", str(tmp_path / "set")]
    assert collection.main([*options, "--size", "2"]) == 0
    assert "not named by the set: --license and --source of the training text" in capsys.readouterr().out
    assert collection.main(["export", str(tmp_path / "set"), "--license", "MIT", "--source", "me"]) == 0
    capsys.readouterr()
    assert collection.main([*options, "--size", "3"]) == 0
    info = json.loads((tmp_path / "set/set.json").read_text("utf-8"))
    assert (info["license"], info["source"]) == ("MIT", "me")
    said = capsys.readouterr().out
    assert "not named" not in said and hash_file(tmp_path / "set/provenance.json") in said


def test_a_set_of_a_model_that_was_trained_anew_says_which_model_adds_to_it(studio, capsys, monkeypatch):
    run, make = studio
    _, folder = make("set", 2)
    kept = run.model_file().rename(run.model_file().with_name("toy.previous.pt"))
    train_model(shape(run, max_steps=9), Quiet())
    capsys.readouterr()
    monkeypatch.setattr("nft.commands.reference_of", None)  # it is said before the text is compared
    assert make("set", 3)[0] == 2
    said = f"its tokens were drawn with another model; --model {kept} adds to them"
    assert f"error: {folder}: {said}; for a set of {run.model_file()} give another --out\n" == capsys.readouterr().err
    assert len(texts(folder)) == 2
