"""What a checkup finds in texts with known faults, word for word, and that its commands mend them."""

import itertools
import shlex
from pathlib import Path

import numpy as np
import pytest

import prepare
from checkup.estimate import Estimate
from checkup.findings import CHECKS, OF_DOCUMENTS, examine
from checkup.records import GOOD, NOTE, WARNING, Finding, Inspection
from checkup.sample import read_sample
from command.messages import argument
from config.schema import PathsConfig
from tests.helpers import toy_lines
from text.corpus import load_corpus

LETTERS = np.random.default_rng(0).choice(list("aeinrstlo"), size=(900, 6, 5))
PROSE = [" ".join("".join(word) for word in line) for line in LETTERS]  # no two of which have anything in common

OUTLOOK = Estimate(3.0, 2000.0, 1.8e6, 1.8e7, 1_000_000, True)


@pytest.fixture
def found(tiny_run):
    """A function (lines, **sections) -> all findings, by name."""

    def examined(content, **sections) -> dict[str, Finding]:
        run = tiny_run(content, **sections)
        return examine(Inspection(run, load_corpus(run), read_sample(run), OUTLOOK))

    return examined


def test_of_sound_prose_only_its_amount_is_amiss_and_what_nobody_can_see_in_it(found):
    checked = found(PROSE, model={"context": 64})
    assert list(checked) == list(CHECKS)
    amiss = {name for name, finding in checked.items() if finding.severity != GOOD}
    assert amiss - {"languages"} == {"amount", "licence"}  # without its library, languages are not looked for
    assert found(PROSE, license="CC0")["licence"] == Finding(GOOD, "licence: CC0")


def test_an_amount_is_too_small_small_or_enough(found):
    few, more, many = (
        found([f"{n:05}" + "x" * 995 for n in range(count)], data={"held_out": 1e-6})["amount"]
        for count in (100, 102, 802)
    )
    sentence = "99,000 characters to learn from: of so few a voice learns the documents rather than their language"
    assert few == Finding(WARNING, sentence, "add text of the same kind; a megabyte is better")
    assert more.sentence == "101,000 characters to learn from; a megabyte is better" and more.severity == NOTE
    assert more.fix == "to pass over it often: python train.py --dataset toy --preset tiny"
    assert many == Finding(GOOD, "801,000 characters to learn from: enough for every preset")


def test_what_to_type_and_to_set_names_the_configuration_that_was_read(tiny_run):
    run = tiny_run([f"{n:05}" + "x" * 995 for n in range(102)], data={"held_out": 1e-6})
    checked = examine(Inspection(run, load_corpus(run), read_sample(run), OUTLOOK, Path("voices.yaml")))
    assert checked["amount"].fix.endswith("--dataset toy --preset tiny --config voices.yaml")
    assert checked["licence"].fix.endswith('in voices.yaml, under datasets, toy: license: "CC BY 4.0"')


def test_documents_longer_than_the_context_are_counted(found):
    lines = ["x" * 30 + f" {n:03}" for n in range(80)] + [f"y {n:03}" for n in range(120)]
    checked = found(lines, data={"held_out": 0.01})["lengths"]
    assert checked.severity == NOTE and "exceed the context of 32" in checked.sentence
    assert checked.fix.endswith("--name toy_short --max-characters 30")
    assert found(PROSE, model={"context": 64})["lengths"].severity == GOOD


def test_characters_that_are_left_out_are_named_and_a_size_that_keeps_them_does(found):
    rare = "àâçèêëîïôùûüÿ"
    lines = [f"{line} {number} {rare[number % len(rare)]}" for number, line in enumerate(toy_lines(400))]
    checked = found(lines, data={"vocab_size": 40})["characters"]
    assert checked.severity == WARNING and set(checked.sentence.rsplit(": ")[-1]) <= set(rare)
    size = int(checked.fix.split("vocab_size: ")[1].rstrip("}"))
    assert checked.fix.startswith("to keep 99.9% of the text, in config.yaml, under datasets, toy: data: {vocab_size: ")
    assert found(lines, data={"vocab_size": size})["characters"].severity == GOOD
    assert found(lines, data={"vocab_size": size - 1})["characters"].severity != GOOD


def test_a_stream_keeps_its_newline(found):
    checked = found(["ab c", "d", "ab", "dc"] * 300, data={"format": "stream"})
    assert checked["characters"] == Finding(GOOD, "6 distinct characters kept: the whole text")


def test_the_signs_of_vowels_are_parts_of_letters(found):
    words = ["हिन्दी में लिखी हुई एक किताब", "यह किताब मुझे बहुत अच्छी लगी", "इस की कहानी भी बहुत सुन्दर है"]
    lines = [f"{words[n % 3]} {words[n // 3 % 3]} {words[n // 9 % 3]}" for n in range(27)]
    checked = found(lines)
    assert checked["prose"].severity == GOOD
    vowels = [f"क{sign}ल क{other}म" for sign in "ािीुूेैोौ" for other in "ािीुूेैोौ"]  # which differ in these alone
    assert found(vowels)["near repeats"].sentence.startswith("0 of 81 documents")


def test_rare_characters_cost_where_noise_draws_them(found):
    lines = [*PROSE, *["the same words over and over, for a long text " * 40 + str(n) for n in range(60)], "Ω"]
    sections = {"data": {"vocab_size": 128, "held_out": 0.001}}
    checked = found(lines, **sections)["characters"]
    assert checked.severity == NOTE and "1 of them are rarer than one in 100,000" in checked.sentence
    assert found(lines, **sections, diffusion={"process": "absorbing"})["characters"].severity == GOOD


def test_two_languages_are_a_warning(found):
    pytest.importorskip("py3langid", reason="py3langid is missing: requirements-check.txt brings it")
    german = [f"Der {a} des Hauses und der {b} des Gartens haben nichts damit zu tun, {n}" for n in range(40)
              for a, b in (("Turm", "Zaun"),)]  # fmt: skip
    english = [f"The tower of the house and the fence of the garden have nothing to do with it, {n}" for n in range(60)]
    checked = found(english + german)["languages"]
    assert (checked.severity, checked.sentence) == (
        WARNING,
        "English 60%, German 40% of the 100 documents long and clear enough to tell: one voice mixes them",
    )


def test_the_language_of_a_few_documents_is_not_that_of_the_text(found):
    """Of Chinese headlines none is clear enough, so that a few English ones among them were all that was told."""
    pytest.importorskip("py3langid", reason="py3langid is missing: requirements-check.txt brings it")
    who, what = ["北京今天", "上海市政府", "中国科学家", "两国领导人"], ["举行国际会议", "宣布新政策", "讨论气候问题"]
    ends = ["引发关注", "各方表示欢迎", "再次", "首次", "成功", "受到好评", "结束", "开始"]
    headlines = ["".join(each) for each in itertools.product(who, what, ends)]
    english = [f"The tower of the house and the fence of the garden have nothing to do with it, {n}" for n in range(5)]
    sentence = "only 5 of 101 documents are long and clear enough to tell: English 100% of these"
    assert found(headlines + english)["languages"] == Finding(NOTE, sentence)
    german = [f"Der Turm des Hauses und der Zaun des Gartens haben nichts damit zu tun, {n}" for n in range(5)]
    mixed = found(headlines + english + german)["languages"]
    sentence = "only 10 of 106 documents are long and clear enough to tell: English 50%, German 50% of these"
    assert (mixed.severity, mixed.sentence) == (WARNING, f"{sentence}: one voice mixes them")


def test_repeats_are_counted(found):
    checked = found(PROSE[:80] + PROSE[:20])["repeats"]
    assert checked == Finding(NOTE, "20 lines (20.0%) repeat an earlier one; each is learnt once")
    few = found(PROSE + PROSE[:8], data={"max_documents": 40})["repeats"]  # of the file, not of what is learnt of it
    assert few == Finding(GOOD, "8 lines (0.9%) repeat an earlier one; each is learnt once")


@pytest.mark.parametrize("kind", ["near repeats", "openings and endings", "HTML"])
def test_what_it_says_to_type_mends_it(tiny_run, tmp_path, monkeypatch, kind):
    pytest.importorskip("duckdb", reason="DuckDB is missing: requirements-prepare.txt brings it")
    amiss = {
        "near repeats": [f"Bump version to 2.{number}" for number in range(40)],
        "openings and endings": [f"{line} - read more at our site." for line in PROSE[700:740]],
        "HTML": [f"{line}<br />&amp; more" for line in PROSE[700:740]],
    }[kind]
    monkeypatch.chdir(tmp_path)
    run = tiny_run(PROSE[:300] + amiss)
    run = run.model_copy(update={"paths": type(run.paths)()})
    checked = examine(Inspection(run, load_corpus(run), read_sample(run), OUTLOOK))[kind]
    assert checked.severity == WARNING and checked.examples
    command = shlex.split(checked.fix.split(": ", 1)[1])
    assert command[:2] == ["python", "prepare.py"] and prepare.main(command[2:]) == 0
    name = command[command.index("--name") + 1]
    clean = run.model_copy(update={"name": name})
    assert examine(Inspection(clean, load_corpus(clean), read_sample(clean), OUTLOOK))[kind].severity == GOOD
    lines = (tmp_path / "datasets" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    assert set(PROSE[:300]) <= set(lines)


def test_what_it_says_to_type_leaves_texts_of_other_scripts(tiny_run, tmp_path, monkeypatch):
    pytest.importorskip("duckdb", reason="DuckDB is missing: requirements-prepare.txt brings it")
    others = [f"我觉得{chr(0x4E00 + n)}很好 ok" for n in range(90)] + [f"ok, {chr(0x430 + n)}й" for n in range(32)]
    monkeypatch.chdir(tmp_path)
    run = tiny_run([*others, *(f"OK {n}" for n in range(40))]).model_copy(update={"paths": PathsConfig()})
    checked = examine(Inspection(run, load_corpus(run), read_sample(run), OUTLOOK))["near repeats"]
    command = shlex.split(checked.fix.split(": ", 1)[1])
    assert prepare.main(command[2:]) == 0
    lines = Path("datasets", f"{command[command.index('--name') + 1]}.txt").read_text(encoding="utf-8").splitlines()
    assert lines == others


def test_no_two_of_its_commands_write_one_file_and_each_passes_on_the_licence(found):
    lines = [*PROSE[:60], *(f"Bump version to 2.{number}" for number in range(20))]
    lines += [f"{'x' * 30}{line}<br />{n:03}" for n, line in enumerate(PROSE[60:90])]
    checked = found(lines, license="CC0", source="my shop?id=1", model={"context": 64})
    fixes = [finding.fix for finding in checked.values() if "prepare.py" in finding.fix]
    names = [fix.partition("--name ")[2].split()[0] for fix in fixes]
    assert sorted(names) == ["toy_distinct", "toy_plain", "toy_short", "toy_varied"]
    assert all(fix.endswith(f" --source {argument('my shop?id=1')} --license CC0") for fix in fixes)


def test_nothing_is_left_out_of_which_the_greater_part_of_a_text_consists(found):
    begin = found([f"{'the same opening of ' * 2}{line}" for line in PROSE[:100]])["openings and endings"]
    assert begin.severity == WARNING and begin.sentence.startswith("100 of 100 ") and not begin.fix
    near = found([f"Bump version to 2.{number}" for number in range(100)])["near repeats"]
    assert near.severity == WARNING and not near.fix
    html = found([f"<b class={number}></b>" for number in range(40)])["HTML"]
    assert html.severity == WARNING and not html.fix


def test_personal_data_and_names_are_shown_where_they_stand(found):
    lines = [*PROSE[:50], "Write to jane@example.org today", *[f"thanks @someone_{n} for this" for n in range(10)]]
    checked = found(lines)
    private = checked["personal data"]
    assert private.severity == NOTE and private.examples == ("Write to jane@example.org today",)
    assert private.sentence.startswith("likely personal data in 1 of 61 documents read (1.6%)") and not private.fix
    assert found(lines, collection={"personal": "keep"})["personal data"].fix.endswith("collection: {personal: drop}")
    assert checked["@names"].sentence == "@names in 10 of 61 documents read (16.4%)"
    assert checked["@names"].fix.endswith("under datasets, toy: collection: {handles: mask}")
    assert not found(lines, collection={"handles": "mask"})["@names"].fix


def test_what_is_no_prose_is_a_warning(found):
    table = ["id,stars,text", *[f"{n},{n % 5},{line}" for n, line in enumerate(PROSE[:50])]]
    assert "looks like a table" in found(table)["prose"].sentence
    numbers = found([f"{n} {n * n} {n * n * n}" for n in range(100)])["prose"]
    assert numbers == Finding(WARNING, "only 0% of the characters are letters: is this the text you mean?")


def test_of_a_stream_only_what_is_no_matter_of_documents_is_checked(found):
    checked = found(PROSE, data={"format": "stream"})
    assert set(checked) == set(CHECKS) - OF_DOCUMENTS
    html = found([f"{line}<br />&amp; more" for line in PROSE], data={"format": "stream"})["HTML"]
    assert html.severity == WARNING and not html.fix  # prepare.py would make documents of its lines


def test_a_text_of_two_documents_can_be_checked(found):
    checked = found(["a", "b"])
    assert {name for name, finding in checked.items() if finding.severity == WARNING} == {"amount"}
