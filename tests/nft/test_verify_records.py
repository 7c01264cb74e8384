"""No forged field of a token or setting passes, though every file of the set is exported again to fit it."""

import re
import shutil

import pytest

import collection
from diffusion.samplers import settings_read
from nft.schemas import sampler_with_defaults
from tests.nft.sets import change_info, change_tokens, info_of, records, texts
from utils import hash_file, sha256

REDRAWN = "drawn again, it is another text or has other figures ("


def with_traits(**figures) -> dict:
    """A change of figures, and of the traits that follow from them."""
    names = {"novelty": "Novelty", "invented": "Invented words", "confidence": "Confidence", "settling": "Settling"}
    return {"figures": figures, "traits": {names[key]: value for key, value in figures.items() if key in names}}


def forge(folder, token: int, change: dict) -> None:
    """Change a token's record and export the set, so that all its files and hashes fit."""
    figures, traits = change.get("figures", change), change.get("traits", {})
    change_tokens(folder, token, lambda record: {**figures, "traits": {**record["traits"], **traits}})
    assert collection.main(["export", str(folder)]) == 0


# what is changed in token 2 -> what verify says where the model and its text are at hand, and where they are not
FORGERIES = [
    ({"chars": 5}, "its chars is 5", "its chars is 5"),
    (with_traits(novelty=0.5), "its novelty is 0.5", "its novelty is 0.5"),
    ({"traits": {"Characters": "symbols"}, "figures": {}}, "its traits do not follow", "its traits do not follow"),
    ({"traits": {"Length": 3}, "figures": {}}, "its traits do not follow", "its traits do not follow"),
    ({"seed": 1}, "its seed is not that of set.json", "its seed is not that of set.json"),
    ({"device": "cuda"}, "its device is not that of set.json", "its device is not that of set.json"),
    ({"data_sha256": "0" * 64}, "its data_sha256 is not", "its data_sha256 is not"),
    ({"flags": ["personal"]}, "its flags name personal, which flag and mask no text", "its flags name personal"),
    ({"flags": ["words"]}, "its flags are ['words'], but follow as []", "its flags are ['words'], but follow as []"),
    ({"dropped": ["copies"]}, "its attempt 0 does not follow", "its attempt 0 does not follow"),
    ({"attempt": 1}, "its attempt 1 does not follow", "its attempt 1 does not follow"),
    ({"accepted": False}, "it has a text, but is not accepted", "it has a text, but is not accepted"),
    ({"text": ""}, "it is accepted without a text", "it is accepted without a text"),
    ({"dropped": ["personal"], "attempt": 1}, REDRAWN, None),
    (with_traits(confidence=0.5), f"{REDRAWN}confidence, traits)", None),
    (with_traits(settling=1), f"{REDRAWN}settling, traits)", None),
    ({"drawn_sha256": "0" * 64}, "its text is not the one that was drawn", "its text is not the one that was drawn"),
    (with_traits(invented=0.25), "its invented is 0.25, but follows as", None),
]


NO_TEXT = {"accepted": False, "text": "", "sha256": sha256(b"")}
OUTCOMES = [
    ({"dropped": ["personal"] * 8, "attempt": 8}, "its attempt 8 does not follow"),
    ({"dropped": ["copies"], "attempt": 1}, "its dropped name copies, which drop no text"),
    (
        {"dropped": ["personal"] * 2, "attempt": 1, **NO_TEXT},
        "it is not accepted, but only 2 of 8 attempts were made",
    ),
]


def test_no_outcome_passes_that_the_rules_do_not_allow_even_without_the_model(studio, verify):
    run, make = studio
    _, folder = make("set", 3)
    run.model_file().unlink()
    before = records(folder)[1]
    for change, said in OUTCOMES:
        change_tokens(folder, 2, lambda _: before)
        forge(folder, 2, change)
        status, out = verify(folder)
        assert status == 1 and f"token 2: {said}" in out, out


def test_no_forged_field_of_a_token_passes(studio, verify):
    run, make = studio
    _, folder = make("set", 4)
    model = run.model_file()
    for change, with_model, without in FORGERIES:
        forged = folder.with_name("forged")
        shutil.copytree(folder, forged)
        forge(forged, 2, change)
        status, out = verify(forged)
        assert status == 1 and f"does not match: token 2: {with_model}" in out, (change, out)
        hidden = model.rename(model.with_suffix(".hidden"))
        status, out = verify(forged)
        hidden.rename(model)
        if without:
            assert status == 1 and f"does not match: token 2: {without}" in out, (change, out)
        else:
            assert status == 0 and "could not be checked" in out, (change, out)
        shutil.rmtree(forged)


def test_a_longest_match_of_another_length_is_found_where_the_text_is_at_hand(studio, verify):
    _, make = studio
    _, folder = make("set", 3)
    [_, record, _] = records(folder)
    match = record["longest_match"] - 1
    novelty = round(1 - match / record["chars"], 6)
    forge(folder, 2, {"figures": {"longest_match": match, "novelty": novelty}, "traits": {"Novelty": novelty}})
    status, out = verify(folder, tokens=0)
    assert status == 1 and f"token 2: its longest_match is {match}, but follows as {match + 1}" in out


def test_edited_settings_do_not_match_and_forged_ones_are_found(studio, verify):
    _, make = studio
    _, folder = make("set", 3)
    whole = (folder / "set.json").read_text("utf-8")
    for key, value, exported in (
        ("copy_bound", 99, "set.json: copy_bound is 99, but follows as"),
        ("seed", 5, "its seed is not that of set.json"),
        ("rules", {"similarity": 0.5}, None), ("rules", {"personal": "keep"}, None), ("license", "none", None),
        ("sampler", {"steps": 5}, "its sampler is not that of set.json"), ("source", "elsewhere", None),
        ("identity", {"config_sha256": "0" * 64}, "identity.config_sha256 is not the model's"),
        ("word_list_sha256", "0" * 64, "rules.word_list and word_list_sha256 do not belong together"),
        ("name", "toys", "name is 'toys', but the model's is 'toy'"),
    ):  # fmt: skip
        change_info(folder, **{key: {**info_of(folder)[key], **value} if isinstance(value, dict) else value})
        status, out = verify(folder, tokens=0)
        assert status == 1 and "does not match: provenance.json: not what its tokens make of it" in out, (key, out)
        if exported:
            assert collection.main(["export", str(folder)]) == 0
            status, out = verify(folder, tokens=0)
            assert status == 1 and exported in out, (key, out)
            (folder / "set.json").write_text(whole, encoding="utf-8")
            assert collection.main(["export", str(folder)]) == 0
        (folder / "set.json").write_text(whole, encoding="utf-8")


def test_a_setting_that_the_sampler_does_not_read_is_not_published_or_named(studio, verify):
    """Versions before wrote all settings, and a forger may write any: nothing follows from these."""
    _, make = studio
    _, folder = make("set", 2)
    info = info_of(folder)
    assert verify(folder)[1].endswith("2 tokens: everything matches\n")
    assert info["sampler"] == records(folder)[0]["sampler"] == settings_read(sampler_with_defaults(info["sampler"]))
    info["sampler"] |= {"stretch": 9, "revisions": 7}
    change_info(folder, **info)
    for token in (1, 2):
        change_tokens(folder, token, lambda _: {"sampler": info["sampler"]})
    assert collection.main(["export", str(folder)]) == 0
    status, out = verify(folder)
    assert status == 0 and out.endswith("2 tokens: what was checked matches; 1 thing could not be checked\n")
    assert "not checked: set.json: revisions, stretch: settings that the sampler tweedie does not read\n" in out
    assert make("set", 3)[0] == 0 and records(folder)[2]["sampler"] == info["sampler"]
    assert verify(folder)[0] == 0


def test_texts_that_the_rules_drop_or_flag_are_found_without_a_model(studio, verify, tmp_path):
    """The rules of set.json are made stricter, and the set is exported: the tokens no longer follow from them."""
    run, make = studio
    words = tmp_path / "words.txt"
    words.write_text("nobody\n", encoding="utf-8")
    _, folder = make("set", 3, word_list=str(words), handles="flag")
    run.model_file().unlink()
    assert verify(folder)[0] == 0
    words.write_text(texts(folder)[1] + "\n", encoding="utf-8")
    status, out = verify(folder)
    assert status == 0 and f"not checked: the rule words, and dropped texts: its list {words} is not here, or" in out
    info = info_of(folder)
    for action, said in (
        ("flag", "token 2: its flags are [], but follow as ['words']"),
        ("mask", "token 2: the rules mask a part of its text (words)"),
        ("drop", "token 2: the rule words drops its text"),
    ):
        change_info(folder, word_list_sha256=hash_file(words), rules={**info["rules"], "words": action})
        assert collection.main(["export", str(folder)]) == 0
        status, out = verify(folder)
        assert status == 1 and said in out


@pytest.mark.parametrize("action", ["mask", "flag", "drop"])
def test_masked_flagged_and_dropped_texts_are_drawn_and_judged_again(studio, verify, tmp_path, capsys, action):
    _, make = studio
    words = tmp_path / "words.txt"
    words.write_text("nobody\n", encoding="utf-8")
    _, before = make("before", 4)
    words.write_text("\n".join(texts(before)[1:3]) + "\n", encoding="utf-8")
    status, folder = make("set", 4, words=action, word_list=str(words))
    assert status == 0 and len({record["text"] for record in records(folder)} & set(texts(before))) in (2, 4)
    key, label = ("dropped", "drawn again for") if action == "drop" else ("flags", "flagged for")
    found = sum(record[key].count("words") for record in records(folder))
    assert found and re.search(rf"^{label}: .*\bwords {found}\b", capsys.readouterr().out, re.MULTILINE)
    assert verify(folder)[1].endswith("4 tokens: everything matches\n")
    out = verify(folder, tokens=0)[1]
    assert ("not checked: rules, copies and novelty of 2 tokens with masked text" in out) == (action == "mask")
    forge(folder, 2, {key: []} | ({"attempt": 0} if action == "drop" else {}))
    status, out = verify(folder)
    assert status == 1 and "token 2: " in out


def test_a_text_that_no_rule_masked_is_not_masked(studio, verify):
    run, make = studio
    _, folder = make("set", 3)
    text = "\u2588" + texts(folder)[1][1:]
    forge(folder, 2, {"text": text, "sha256": sha256(text)})
    assert "does not match: token 2: drawn again, it is another text or has other figures (text," in verify(folder)[1]
    run.model_file().unlink()
    status, out = verify(folder)
    assert status == 1 and "token 2: a part of its text is masked, but none of its flags masks" in out


def test_a_set_that_names_another_text_than_its_model_does_not_match(studio, verify):
    _, make = studio
    _, folder = make("set", 2)
    change_info(folder, identity={**info_of(folder)["identity"], "data_sha256": "0" * 64})
    for token in (1, 2):
        change_tokens(folder, token, lambda _: {"data_sha256": "0" * 64})
    assert collection.main(["export", str(folder)]) == 0
    status, out = verify(folder)
    assert status == 1 and "set.json: identity.data_sha256 is not the model's" in out
