"""The base: the text it learns from, its share of the time, and the voices that start from it."""

import pytest

from config.loader import BASE, BASE_FILE, load_config
from generation.checkpoint import load_checkpoint
from tests.helpers import ROOT, change_config, toy_lines, tree
from tests.training.program import minutes_of, models_beside, queued
from text.corpus import load_corpus
from training import base
from training.base import compared, write_base_text

pytestmark = pytest.mark.usefixtures("warm_processes")


def test_the_base_learns_from_all_texts_and_never_what_a_voice_holds_out(project):
    path, train = project
    assert train("--all", "--base") == 0
    config = load_config(path)
    runs = [config.resolve(name) for name in config.datasets]
    corpora = [load_corpus(run) for run in runs]
    text = (path.parent / "datasets" / BASE_FILE).read_text(encoding="utf-8").splitlines()
    learnt, held_out = (
        {
            corpus.vocabulary.decode(split.document(i))
            for corpus in corpora
            for split in [getattr(corpus, which)]
            for i in range(len(split.lengths))
        }
        for which in ("train", "held_out")
    )
    assert set(text) <= learnt and len(text) > 0.9 * len(learnt) and held_out and not set(text) & held_out
    common = load_corpus(config.merged(BASE, {}))
    assert len(common.held_out.lengths) > 1  # of its own
    for run in runs:
        start = load_checkpoint(run.model_file()).start
        assert start and start.name == BASE and start.texts[0].sha256 == common.sha256
    before = models_beside(path)
    assert before.keys() == {"base.pt", "one.pt", "two.pt"}
    assert train("--all", "--base") == 0  # all are done
    assert models_beside(path) == before


def held_out_of(run) -> set[str]:
    corpus = load_corpus(run)
    split = corpus.held_out
    return {corpus.vocabulary.decode(document) for document in split}


@pytest.mark.parametrize(
    "other",
    [{"seed": 7}, {"data": {"held_out": 0.05}}, {"data": {"max_documents": 50}}, {"data": {"format": "stream"}}],
)
def test_the_base_learns_nothing_that_any_voice_holds_out_though_they_share_lines(project, other):
    path, _ = project
    datasets = path.parent / "datasets"
    lines = (datasets / "one.txt").read_text(encoding="utf-8").splitlines()
    (datasets / "two.txt").write_text("\n".join([*lines[::-1], "only here"]) + "\n", encoding="utf-8")
    change_config(path, datasets={"one": {}, "two": other})
    config = load_config(path)
    runs = [config.resolve(name) for name in config.datasets]
    write_base_text(config.merged(BASE, {}), runs)
    text = (datasets / BASE_FILE).read_text(encoding="utf-8").splitlines()
    held_out = {line for run in runs for document in held_out_of(run) for line in document.split("\n")}
    assert len(text) > 40 and len(held_out) > 5 and not set(text) & held_out


def test_no_text_gives_the_base_more_than_its_share_of_characters(project, monkeypatch):
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    assert f"{base.BASE_CHARACTERS // 10**6} million characters of each" in page
    path, _ = project
    datasets = path.parent / "datasets"
    change_config(path, datasets={"one": {}, "two": {"data": {"format": "stream"}}})
    config = load_config(path)
    monkeypatch.setattr(base, "BASE_CHARACTERS", 300)
    write_base_text(config.merged(BASE, {}), [config.resolve(name) for name in config.datasets])
    text = (datasets / BASE_FILE).read_text(encoding="utf-8").splitlines()
    for name in config.datasets:
        lines = set((datasets / f"{name}.txt").read_text(encoding="utf-8").splitlines())
        assert 200 < sum(len(line) for line in text if line in lines) < 300 + max(map(len, lines))


def test_the_order_of_datasets_makes_no_other_base(project, capsys):
    path, _ = project
    text = path.parent / "datasets" / BASE_FILE
    found = []
    for names in (("one", "two"), ("two", "one"), ("one",)):
        change_config(path, datasets={name: {} for name in names})
        config = load_config(path)
        write_base_text(config.merged(BASE, {}), [config.resolve(name) for name in names])
        found.append(text.read_bytes())
    assert found[0] == found[1] != found[2]
    kept = text.with_name("base.previous.txt")
    assert kept.read_bytes() == found[0]  # for whatever was made with it
    said = f"{text}: is another now, so base and what starts from it are trained anew; the old one is kept as {kept}\n"
    assert capsys.readouterr().out == said


def test_a_check_says_that_the_base_will_learn_another_text_and_leaves_it(project, capsys):
    path, train = project
    assert train("--all", "--base") == 0
    with (path.parent / "datasets" / "one.txt").open("a", encoding="utf-8") as file:
        file.write("one more line\nand another one\n")
    text = path.parent / "datasets" / BASE_FILE
    before, models = text.read_bytes(), tree(path.parent / "models")
    capsys.readouterr()
    assert train("--all", "--base", "--check") == 0
    said = capsys.readouterr().out
    assert f"{text}: will be another, so base and what starts from it will be trained anew\n" in said
    rows = [row for row in said.splitlines() if row.startswith("\u2502")]
    assert len(rows) == 3 and all(" new " in row for row in rows)
    assert said.count("base: 132 documents") == 1  # of the text that will be
    assert text.read_bytes() == before and not list(text.parent.glob("base.previous*"))
    assert tree(path.parent / "models") == models


def test_without_the_texts_the_base_keeps_its_own(project, capsys):
    path, train = project
    datasets = path.parent / "datasets"
    config = load_config(path)
    runs = [config.resolve(name) for name in config.datasets]
    for name in ("one", "two"):
        (datasets / f"{name}.txt").rename(datasets / f"{name}.away")
    assert train("--all", "--base", "--check") == 2
    assert f"error: {datasets / 'one.txt'}: no such file; --base learns from the texts of" in capsys.readouterr().err
    assert not (datasets / ".cache").exists()
    for name in ("one", "two"):
        (datasets / f"{name}.away").rename(datasets / f"{name}.txt")
    write_base_text(config.merged(BASE, {}), runs)
    before = (datasets / BASE_FILE).read_bytes()
    (datasets / "two.txt").unlink()
    write_base_text(config.merged(BASE, {}), runs)
    assert (datasets / BASE_FILE).read_bytes() == before
    assert f"{datasets / 'two.txt'}: no such file; the base keeps the text that it has\n" in capsys.readouterr().out
    (datasets / "two.txt").mkdir()
    write_base_text(config.merged(BASE, {}), runs)
    assert "two.txt: is a folder, not a file; the base keeps the text that it has\n" in capsys.readouterr().out


def test_what_is_not_the_base_text_is_left_or_kept(project, capsys):
    path, train = project
    text = path.parent / "datasets" / BASE_FILE
    text.mkdir(parents=True)
    assert train("--all", "--base", "--check") == 2
    assert f"error: {text}: not written by this program; move it away\n" in capsys.readouterr().err
    text.rmdir()
    text.write_text("my own\n", encoding="utf-8")
    assert train("--all", "--base", "--check") == 0
    assert text.read_text(encoding="utf-8") == "my own\n"
    assert train("--all", "--base") == 0
    assert text.with_name("base.previous.txt").read_text(encoding="utf-8") == "my own\n"


def test_datasets_in_other_folders_start_from_the_base_too(project):
    path, train = project
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir()
    (path.parent / "datasets" / "one.txt").rename(elsewhere / "one.txt")
    paths = {"datasets": elsewhere.as_posix(), "models": elsewhere.as_posix()}
    change_config(path, datasets={"one": {"paths": paths}, "two": {}})
    assert train("--all", "--base") == 0
    start = load_checkpoint(elsewhere / "one.pt").start
    assert start and start.name == BASE and not (elsewhere / "base.pt").exists()


def test_a_base_that_does_not_fit_a_voice_is_found_before_anything_is_trained(project, capsys):
    path, train = project
    for settings, said in (
        ({"model": {"layers": 2}}, "has model.layers 1, this run 2; choose the same preset"),
        ({"training": {"start_from": "two"}}, "'two', but --base starts every model from the base; take one out"),
    ):
        change_config(path, datasets={"one": settings, "two": {}})
        for check in ((), ("--check",)):
            assert train("--all", "--base", *check) == 2
            assert said in capsys.readouterr().err and not (path.parent / "models").exists()


def test_a_voice_of_a_base_that_failed_says_so(project, capsys):
    path, train = project
    assert train("--all", "--base") == 0
    before = (path.parent / "models" / "one.pt").read_bytes()
    with (path.parent / "datasets" / "one.txt").open("a", encoding="utf-8") as file:
        file.write("one more line\n")
    (path.parent / "models" / ".base.lock").write_text("my own\n", encoding="utf-8")  # so that base fails
    capsys.readouterr()
    assert train("--all", "--base") == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "error: one: failed: not begun: it starts from base, which was not trained (see above)" in printed
    assert "two: skipped: done before" in printed
    assert (path.parent / "models" / "one.pt").read_bytes() == before


def test_a_config_may_name_the_base_as_the_start_of_all(project):
    path, _ = project
    config = load_config(path)
    config.common["training"] = {**config.common["training"], "start_from": BASE}
    common, voice = (config.merged(name, {}) for name in (BASE, "one"))
    assert (common.training.start_from, voice.training.start_from) == ("", BASE) and common.seed == voice.seed ^ 1


def test_the_base_gets_its_share_of_the_time(project):
    path, _ = project
    runs = queued(path, "--all", "--base", "--minutes", "10").runs
    assert minutes_of(runs) == {BASE: 5, "one": 10, "two": 10}  # a fifth of 25
    assert [run.training.start_from for run in runs] == ["", BASE, BASE]
    minutes = minutes_of(queued(path, "--all", "--base", "--hours", "1").runs)
    assert minutes[BASE] == 12 and sum(minutes.values()) == pytest.approx(60)


def test_a_text_of_no_use_does_not_keep_the_base_from_the_others(project):
    path, _ = project
    config = load_config(path)
    (path.parent / "datasets" / "one.txt").write_bytes(b"only one\n")
    write_base_text(config.merged(BASE, {}), [config.resolve(name) for name in config.datasets])
    assert (path.parent / "datasets" / BASE_FILE).read_text(encoding="utf-8").count("\n") > 50


def test_a_text_that_is_not_there_does_not_keep_the_base_from_the_others(project, capsys):
    path, train = project
    (path.parent / "datasets" / "one.txt").unlink()
    assert train("--all", "--base", "--hours", "1") == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "base: trained: " in printed and "two: trained: " in printed and "error: one: missing: " in printed


def test_a_text_that_is_not_there_takes_none_of_the_time(project):
    path, train = project
    hour = ("--all", "--base", "--hours", "1")
    (path.parent / "datasets" / "one.txt").unlink()
    assert minutes_of(queued(path, *hour).runs) == {BASE: 12, "one": 0.01, "two": 48}
    (path.parent / "datasets" / "one.txt").touch()  # nor does an empty one
    assert minutes_of(queued(path, *hour).runs) == {BASE: 12, "one": 0.01, "two": 48}
    (path.parent / "datasets" / "two.txt").write_bytes(b"")
    assert train(*hour) == 2


def test_lanes_without_a_text_take_none_of_the_bases_time(project):
    path, _ = project
    (path.parent / "datasets" / "one.txt").unlink()
    runs = queued(path, "--all", "--base", "--hours", "1", "--jobs", "2").runs
    assert minutes_of(runs) == {BASE: 12, "one": 0.01, "two": 48}


def test_mistakes_of_a_base_are_one_line(project, capsys):
    path, train = project
    assert train("--dataset", "one", "--base") == 2
    assert "error: --base: learns from all datasets, so it goes with --all\n" in capsys.readouterr().err
    text = path.read_text(encoding="utf-8")
    for name in ("Base", "base"):
        path.write_text(text.replace("one:", f"{name}:"), encoding="utf-8")
        (path.parent / "datasets" / f"{name}.txt").write_text("\n".join(toy_lines(50)), encoding="utf-8")
        assert train("--all", "--base") == 2
        rule = "--base makes a model of this name; rename the dataset"
        assert f"error: {path}: datasets.{name}: {rule}\n" in capsys.readouterr().err


def test_a_text_of_ones_own_called_base_stays_a_dataset(project, capsys):
    path, train = project
    own = path.parent / "datasets" / "base.txt"
    own.write_text("\n".join(toy_lines(50)) + "\n", encoding="utf-8")
    assert load_config(path).resolve(BASE).data_file() == own
    assert train("--all", "--base") == 2
    rule = "--base makes a model of this name; rename it"
    assert f"error: {own}: {rule}\n" in capsys.readouterr().err


def test_a_line_in_capitals_is_held_out_too(project):
    path, _ = project
    datasets = path.parent / "datasets"
    lines = (datasets / "one.txt").read_text(encoding="utf-8").splitlines()
    (datasets / "two.txt").write_text("\n".join([line.upper() for line in lines]) + "\n", encoding="utf-8")
    config = load_config(path)
    runs = [config.resolve(name) for name in config.datasets]
    write_base_text(config.merged(BASE, {}), runs)
    text = {compared(line) for line in (datasets / BASE_FILE).read_text(encoding="utf-8").splitlines()}
    corpora = [load_corpus(run) for run in runs]
    held_out = {compared(corpus.vocabulary.decode(ids)) for corpus in corpora for ids in corpus.held_out}
    assert len(text) > 40 and len(held_out) > 5
    assert not {line.lower() for line in text} & {line.lower() for line in held_out}
