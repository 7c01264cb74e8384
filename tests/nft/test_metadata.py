"""Every token's metadata meets the schemas of the marketplaces."""

import csv
import io
import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from PIL import Image

import collection
from nft.edition import Edition
from nft.layout import SIDE
from nft.metadata import caption, csv_text, description, picture_caption
from tests.nft.sets import change_tokens, info_of, made_up_edition, texts
from utils import hash_file

STRING, URI = {"type": "string", "minLength": 1}, {"type": "string", "minLength": 1}
ATTRIBUTES = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["trait_type", "value"],
        "properties": {"trait_type": STRING, "value": {"type": ["string", "number"]}},
        "additionalProperties": False,
    },
}
# after EIP-721, EIP-1155, OpenSea's contract-level metadata, HashLips' output and Metaplex' non-fungible standard
SCHEMAS = {
    "erc721": {
        "type": "object",
        "required": ["name", "description", "image", "edition", "attributes"],
        "properties": {"name": STRING, "description": STRING, "image": URI, "attributes": ATTRIBUTES,
                       "edition": {"type": "integer", "minimum": 1}},
    },
    "erc1155": {
        "type": "object",
        "required": ["name", "decimals", "description", "image", "properties", "attributes"],
        "properties": {"name": STRING, "decimals": {"type": "integer"}, "description": STRING, "image": URI,
                       "properties": {"type": "object"}},
    },
    "metaplex": {
        "type": "object",
        "required": ["name", "symbol", "description", "image", "attributes", "properties"],
        "properties": {
            "name": {"type": "string", "maxLength": 32},
            "symbol": {"type": "string", "maxLength": 10},
            "attributes": ATTRIBUTES,
            "properties": {
                "type": "object",
                "required": ["files", "category"],
                "properties": {
                    "category": {"enum": ["image", "video", "html"]},
                    "files": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["uri", "type"]}},
                },
            },
        },
    },
    "contract": {
        "type": "object",
        "required": ["name", "description", "image", "training_text"],
        "properties": {"name": STRING, "description": STRING, "image": URI},
    },
}  # fmt: skip


def test_exports_meet_their_schemas_and_hold_every_token(studio):
    _, make = studio
    _, folder = make("set", 12, "--title", "Toys & <b>more</b>", "--base-uri", "ipfs://cid")
    for number in range(1, 13):
        for path, schema in (f"json/{number}.json", "erc721"), (f"erc1155/{number:064x}.json", "erc1155"):
            found = json.loads((folder / path).read_text(encoding="utf-8"))
            jsonschema.validate(found, SCHEMAS[schema])
            assert found["image"] == f"ipfs://cid/{number}.png"
            assert found["properties"]["machine_generated"] is True and found["properties"]["curated"] is False
            assert "Machine-generated" in found["description"]
        jsonschema.validate(
            json.loads((folder / f"metaplex/{number - 1}.json").read_text("utf-8")), SCHEMAS["metaplex"]
        )
        with Image.open(folder / f"images/{number}.png") as image:
            assert image.size == (SIDE, SIDE) and len(image.convert("L").getcolors()) > 1  # not empty
    contract = json.loads((folder / "contract.json").read_text("utf-8"))
    jsonschema.validate(contract, SCHEMAS["contract"])
    assert contract["training_text"] == {"license": "CC0-1.0", "source": "made up"} and contract["curated"] is False
    assert len(json.loads((folder / "json/_metadata.json").read_text("utf-8"))) == 12
    assert (folder / "toy.txt").read_text("utf-8").splitlines() == texts(folder)
    with (folder / "tokens.csv").open(encoding="utf-8", newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == texts(folder)
    with (folder / "rarity.csv").open(encoding="utf-8", newline="") as file:
        bits = [float(row["bits"]) for row in csv.DictReader(file)]
    assert len(bits) == 12 and bits == sorted(bits, reverse=True)


def with_info(edition: Edition, **changed: Any) -> Edition:
    return replace(edition, info=edition.info.model_copy(update=changed))


def test_a_description_shows_the_text_as_it_is_where_it_is_read_as_markdown():
    texts = {
        "Fish &amp; chips": "Fish \\&amp; chips", "- fix it": "\\- fix it", " + add": " \\+ add",
        "1. First": "1\\. First",
        "a\n---": "a  \n\\---", "12) b": "12\\) b", "a_b *c* _d": "a_b \\*c\\* \\_d",
        "a - b": "a - b", "in 1. b": "in 1. b",
        "    code\n \tmore\n  no": "\u00a0   code  \n\u00a0\tmore  \n  no", "\tcode": "\u00a0code", "   no": "   no",
    }  # fmt: skip
    edition = made_up_edition(dict(enumerate(texts, 1)))
    assert [description(edition, record).split("\n\n")[0] for record in edition.records] == [*texts.values()]
    tenth = with_info(edition, format=10)
    assert description(tenth, tenth.records[4]).startswith("a\n\\---\n\n")
    ninth = with_info(edition, format=9)
    assert description(ninth, ninth.records[6]).startswith("a\\_b \\*c\\* \\_d\n")
    earlier = with_info(edition, format=3)
    assert description(earlier, earlier.records[0]).startswith("Fish &amp; chips\n\n")
    fourth = with_info(edition, format=4)
    assert description(fourth, fourth.records[-2]).startswith("\tcode\n\n")


def test_a_picture_shows_the_number_of_a_token_however_long_its_title():
    edition = made_up_edition({7: "a"})
    wide = "\u65e5" * 50
    for title, shown in (
        ("short", "short #7"),
        ("a " * 40, f"{('a ' * 28).strip()}\u2026 #7"),
        (wide, f"{wide[:28]}\u2026 #7"),
    ):
        long = with_info(edition, title=title)
        assert picture_caption(long, 7) == shown and len(shown) <= 60
        assert caption(long, 7) == f"{title} #7" == picture_caption(with_info(long, format=3), 7)


def test_a_spreadsheet_takes_no_text_for_a_formula():
    dangerous = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1"]
    table = csv_text(["=header"], [[text, 3, -0.5] for text in [*dangerous, "a = b", " =1", "'x", ""]])
    header, *rows = csv.reader(io.StringIO(table, newline=""))
    assert header == ["'=header"] and [row[1:] for row in rows] == [["3", "-0.5"]] * 12  # numbers are numbers
    expected = [f"'{text}" for text in [*dangerous[:4], "\t'=1", "\r'=1", "\n'=1", dangerous[-1]]]
    assert [row[0] for row in rows] == [*expected, "a = b", " =1", "'x", ""]


@pytest.mark.parametrize("delimiter", ";\t|")
def test_no_cell_of_a_spreadsheet_of_another_country_is_a_formula(delimiter):
    """Its delimiter parts our cells, and a quotation mark inside of one quotes nothing."""
    formulas = [f"{quotes}{sign}1+1" for quotes in ("", '"', '""') for sign in "=+-@"]
    texts = [*(f"a{delimiter}{formula}{delimiter}b" for formula in formulas), f"a{delimiter}-) b", "a; = b", "plain"]
    table = csv_text(["number", "text"], [[1, text] for text in texts])
    cells = [cell for row in csv.reader(io.StringIO(table), delimiter=delimiter) for cell in row]
    assert len(cells) > 2 * len(formulas)
    assert [cell for cell in cells if cell.lstrip('"').startswith(tuple("=+-@"))] == ["-) b"]
    assert f"a{delimiter}-) b" in table and "a; = b" in table  # a smiley, and what a blank precedes


def test_a_table_of_an_earlier_version_is_not_called_forged(studio, verify):
    _, make = studio
    _, folder = make("set", 2)
    change_tokens(folder, 1, lambda _: {"text": "a;=1+1"})
    assert collection.main(["export", str(folder)]) == 0
    table = folder / "tokens.csv"
    table.write_bytes(table.read_bytes().replace(b";'=", b";="))
    assert "not checked: tokens.csv: written by an earlier version" in verify(folder)[1]
    table.write_bytes(table.read_bytes().replace(b";=", b";=="))
    assert "tokens.csv: not what its tokens make of it" in verify(folder)[1]


def test_names_keep_within_metaplex_bytes(studio):
    _, make = studio
    _, folder = make("set", 2, "--title", "\u3042" * 40)
    found = json.loads((folder / "metaplex/1.json").read_text("utf-8"))
    assert len(found["name"].encode()) <= 32 and found["name"].endswith(" #2")
    assert 0 < len(found["symbol"].encode()) <= 10


def test_a_set_takes_source_and_licence_of_its_own_text_alone(studio, tmp_path, capsys):
    run, make = studio
    make("before", 1)
    config = tmp_path / "config.yaml"
    config.write_text(config.read_text("utf-8").replace("license: CC0-1.0\n", "").replace("source: made up\n", ""))
    text, record = run.data_file(), run.data_file().with_suffix(".source.json")
    own, options = {"sha256": hash_file(text)}, ["--model", str(run.model_file()), "--config", str(config)]
    for name, recorded, expected in (("own", own, ["a.csv", "MIT"]), ("other", {"sha256": "0" * 64}, ["", ""])):
        record.write_text(json.dumps({"source": "a.csv", "license": "MIT", "text": recorded}))
        capsys.readouterr()
        assert collection.main(["make", *options, "--size", "2", "--out", str(tmp_path / name)]) == 0
        said = f"{record}: is the record of another text" in capsys.readouterr().out
        contract = json.loads((tmp_path / name / "contract.json").read_text("utf-8"))
        assert ([contract["training_text"][key] for key in ("source", "license")], said) == (expected, name == "other")
    # a model of another text, though of the same name, which is here under a name of its own
    record.write_text(json.dumps({"source": "a.csv", "license": "MIT", "text": {"sha256": "0" * 64}}))
    moved = text.rename(tmp_path / "els.txt")
    text.write_text("mine\n")
    out = tmp_path / "third"
    assert collection.main(["make", *options, "--data", str(moved), "--size", "1", "--out", str(out)]) == 0
    assert info_of(out)["license"] == ""
    beside = moved.with_suffix(".source.json")
    beside.write_text(json.dumps({"source": "a.csv", "license": "MIT", "text": own}))
    fourth = tmp_path / "fourth"
    assert collection.main(["make", *options, "--data", str(moved), "--size", "1", "--out", str(fourth)]) == 0
    assert info_of(fourth)["license"] == "MIT"
    beside.unlink()
    config.write_text(config.read_text("utf-8").replace("\ndatasets:", "\nlicense: All rights reserved\ndatasets:"))
    capsys.readouterr()
    assert collection.main(["make", *options, "--data", str(moved), "--size", "1", "--out", str(out)]) == 0
    assert info_of(out)["license"] == ""
    assert f"{text}: not the text that the model learnt from" in capsys.readouterr().out
    text.unlink()  # the text has moved, so the config's licence is that of the model's
    assert collection.main(["make", *options, "--data", str(moved), "--size", "1", "--out", str(out)]) == 0
    assert info_of(out)["license"] == "All rights reserved"
