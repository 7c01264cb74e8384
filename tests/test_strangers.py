"""What is not this program's stays as it is: the whole tree is compared before and after every command."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import collection
import evaluate
import generate
import import_model
import train
from generation.archive import read_archive, write_archive
from tests.helpers import TINY, pipes, tree
from tests.homes import GENERATE, MODEL, OWN, TEXT, furnished, hard_link, link

COMMANDS = {
    "generate": lambda: generate.main([*MODEL, *GENERATE]),
    "evaluate": lambda: evaluate.main([*MODEL, "--count", "3"]),
    "make": lambda: collection.main(["make", *MODEL, "--size", "2", "--out", "outputs/set"]),
    "verify": lambda: collection.main(["verify", "outputs/set", *MODEL]),
}


def test_no_path_of_a_model_file_is_taken(home):
    hostile = {"datasets": str(home / "theirs/d"), "models": str(home / "theirs/m"), "outputs": str(home / "theirs/o")}
    content = read_archive(Path("models/toy.pt"))
    content["config"]["paths"] = hostile
    content["config"]["data"]["file"] = "theirs.txt"
    write_archive(Path("models/toy.pt"), content)
    (home / "theirs/d").mkdir(parents=True)
    (home / "theirs/d/theirs.txt").write_bytes(Path("datasets/toy.txt").read_bytes())
    before = tree(home / "theirs", home / "datasets/toy.txt", home / "models")
    assert [command() for command in COMMANDS.values()] == [0, 0, 0, 0]
    assert tree(home / "theirs", home / "datasets/toy.txt", home / "models") == before
    assert Path("outputs/toy_samples.txt").is_file() and Path("outputs/toy_evaluation.md").is_file()


def test_a_text_elsewhere_is_named_on_the_command_line(home, capsys):
    Path("datasets/toy.txt").rename("elsewhere.txt")
    assert COMMANDS["evaluate"]() == 2
    assert capsys.readouterr().err == (
        "error: datasets/toy.txt: no such file; name the text that models/toy.pt was trained on with --data\n"
    )
    assert evaluate.main([*MODEL, "--count", "3", "--data", "elsewhere.txt"]) == 0
    assert evaluate.main(["--all", "--data", "elsewhere.txt"]) == 2
    assert "--data names the text of one model" in capsys.readouterr().err


INPUTS = {
    "the model": lambda: [generate, *MODEL, "--output", "models/toy.pt"],
    "its text": lambda: [generate, *MODEL, "--output", "datasets/toy.txt"],
    "the config": lambda: [generate, *MODEL, "--output", "config.yaml"],
    "another name of the model": lambda: [generate, *MODEL, "--output", "models/../models/./toy.pt"],
    "a hard link to the text": lambda: [generate, *MODEL, "--output", "mine.txt", hard_link(Path("mine.txt"), TEXT)],
    "the .jsonl beside": lambda: [
        generate, "--model", str(Path("models/toy.pt").rename("toy.jsonl")), "--output", "toy.txt",
    ],
    "the samples": lambda: [
        evaluate, *MODEL, "--output", ".", "--samples", str(Path(TEXT).rename("toy_evaluation.md")), "--data",
        "toy_evaluation.md",
    ],
    "the notebook's model": lambda: [
        import_model, "notebook", "models/toy.pt", "--vocabulary", TEXT, "--output", "models/toy.pt",
    ],
}  # fmt: skip


@pytest.mark.parametrize("what", INPUTS)
@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_what_a_command_reads_is_no_output(home, capsys, what, overwrite):
    command, *arguments = INPUTS[what]()
    arguments = [word for word in arguments if word]
    before = tree(home)
    assert command.main([*arguments, *(overwrite if command is not import_model else [])]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and tree(home) == before


@pipes
@pytest.mark.parametrize("name", ["set.txt", "set.jsonl", ".set.txt.written.jsonl"])
@pytest.mark.parametrize(
    "make",
    [os.mkfifo, os.mkdir, lambda path: link(path, "nowhere"), lambda path: link(path, "models/toy.pt")],
    ids=["fifo", "folder", "broken link", "link"],
)
def test_only_a_regular_file_is_written_over(home, capsys, name, make):
    make(home / name)
    before = tree(home)
    for overwrite in ([], ["--overwrite"]):
        assert generate.main([*MODEL, *GENERATE, "--output", "set.txt", *overwrite]) == 2
        assert capsys.readouterr().err.count("\n") == 1 and tree(home) == before


def test_samples_of_an_earlier_run_are_replaced_until_somebody_changes_them(home, capsys):
    arguments = [*MODEL, *GENERATE]
    assert generate.main(arguments) == generate.main([*arguments, "--seed", "1"]) == 0
    for name in ("toy_samples.txt", "toy_samples.jsonl"):
        path = Path("outputs", name)
        path.write_bytes(path.read_bytes() + b"a line of mine\n")
        before = tree(home)
        assert generate.main(arguments) == 2
        assert capsys.readouterr().err == (
            f"error: {path}: not written by this program, or changed since; name another --output, "
            "or replace it with --overwrite\n"
        )
        assert tree(home) == before
        assert generate.main([*arguments, "--overwrite"]) == generate.main(arguments) == 0
    assert len(Path("outputs/toy_samples.txt").read_text(encoding="utf-8").splitlines()) == 3


def test_a_file_of_another_output_is_named_as_such(home, capsys):
    def write(name: str, *options: str) -> int:
        return generate.main([*MODEL, *GENERATE, "--output", name, *options])

    assert write("a.txt") == 0
    before = tree(home)
    assert write("a.md", "--seed", "1") == 2 and tree(home) == before
    assert capsys.readouterr().err == (
        "error: a.jsonl: belongs to a.txt, which an earlier command wrote; name another --output, "
        "or replace it with --overwrite\n"
    )
    assert write("a.md", "--seed", "1", "--overwrite") == write("a.md", "--seed", "2") == 0
    before = tree(home)
    assert write("a.txt") == 2 and tree(home) == before
    assert "a.jsonl: belongs to a.md, which" in capsys.readouterr().err
    Path("a.jsonl").write_text("mine", encoding="utf-8")
    assert write("a.txt") == write("a.md") == 2
    assert capsys.readouterr().err.count("a.jsonl: not written by this program, or changed since") == 2


@pytest.mark.usefixtures("warm_processes")
def test_training_loses_nothing_that_bears_the_names_of_its_files(home, capsys):
    models, mine = home / "models", {}
    Path("config.yaml").write_text(json.dumps({**TINY, "datasets": {"toy": {}}}), encoding="utf-8")
    for kind in ("pt", "previous.pt", "resume.pt", "resume.previous.pt", "png", "metrics.jsonl"):
        mine[kind] = f"my {kind}".encode()
        (models / f"toy.{kind}").write_bytes(mine[kind])
    assert train.main(["--all", "--force"]) == train.main(["--all", "--minutes", "1"]) == 0
    moved = {"pt": "previous-2.pt", "resume.pt": "resume.previous-2.pt"}
    for kind, content in mine.items():
        assert (models / f"toy.{moved.get(kind, kind)}").read_bytes() == content
    assert "format" in read_archive(models / "toy.pt")
    assert train.main(["--all", "--force"]) == train.main(["--all", "--force"]) == 0
    assert len(list(models.glob("toy.previous*.pt"))) == 4  # mine, and both models that were trained before


@pytest.mark.usefixtures("warm_processes")
@pipes
@pytest.mark.parametrize("make", [os.mkdir, lambda path: os.mkfifo(path), lambda path: link(path, "nowhere")])
def test_what_is_no_file_in_the_place_of_a_model_or_a_state_is_kept(home, make):
    Path("config.yaml").write_text(json.dumps({**TINY, "datasets": {"toy": {}}}), encoding="utf-8")
    Path("models/toy.pt").unlink()
    for name in ("models/toy.pt", "models/toy.resume.pt"):
        make(Path(name))
    before = tree(Path("models"))
    assert train.main(["--all"]) == 0 and not Path("models/toy.error.log").exists()
    after = tree(Path("models"))
    for name in ("models/toy", "models/toy.resume"):
        assert after[Path(f"{name}.previous.pt")] == before[Path(f"{name}.pt")]


SAMPLES, REPORT = ("toy_samples.txt", "toy_samples.jsonl"), ("toy_evaluation.md", "toy_evaluation.json")
PLACES = [
    *(f"outputs/{name}" for name in (*SAMPLES, *REPORT, ".toy_samples.txt.written.jsonl", "mine.txt")),
    *(f"outputs/set/{name}" for name in ("images/1.png", "images/9.png", "json/1.json", "toy.txt", ".written.part")),
    *(f"outputs/set/{name}" for name in ("metaplex/0.json", "mine/0.json", "index.html", "tokens.csv", ".lock")),
    *(f"datasets/.cache/{name}" for name in ("toy/0123456789abcdef/tokens.bin", "huggingface/hub/model.bin")),
    *(f"datasets/.cache/diffusion-gpt-local/toy/{name}" for name in ("mine", "0123456789abcdef/tokens.bin")),
    "models/toy.png", "models/toy.previous.pt", "mine.jsonl", "datasets/mine.txt",
]  # fmt: skip
OUTPUTS = ["models/toy.pt", TEXT, "config.yaml", "mine.txt", "mine.jsonl", "outputs", "outputs/set/toy.txt", *PLACES]
STEPS = [
    ["generate"], ["generate", "--output"], ["make", "--size", "2"], ["make", "--size", "3"],
    ["export", "--title", "T"], ["select", "--keep", "all"], ["select", "--keep", "keep.txt"], ["select", "--keep"],
    ["evaluate"],
]  # fmt: skip


def run_step(step: list[str], output: str) -> int:
    name, *options = step
    options += [output] if step[-1] in ("--output", "--keep") else []
    if name == "generate":
        return generate.main([*MODEL, *GENERATE, *options])
    if name == "evaluate":
        return evaluate.main([*MODEL, "--count", "2", *options])
    return collection.main([name, *(MODEL if name == "make" else []), *options, *SET_OF[name]])


SET_OF = {"make": ["--out", "outputs/set"], "export": ["outputs/set"], "select": ["outputs/set"]}


@settings(suppress_health_check=list(HealthCheck), max_examples=settings().max_examples // 4)
@given(
    places=st.lists(st.sampled_from(PLACES), unique=True, max_size=6),
    before=st.booleans(),
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(OUTPUTS)), min_size=1, max_size=4),
)
def test_no_command_changes_what_is_not_this_programs(trained, tmp_path_factory, places, before, steps):
    """A stranger's files lie anywhere, before or after a set is made; some outputs are inputs or such files."""
    with pytest.MonkeyPatch.context() as patch:
        home = furnished(tmp_path_factory.mktemp("home"), trained, patch)
        Path("keep.txt").write_text("2", encoding="utf-8")
        if not before:
            assert run_step(["make", "--size", "2"], "") == 0
        for place in map(Path, places):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"1-2, and mine")
        foreign = {path: path.read_bytes() for path in [*map(Path, places), *OWN]}
        for step, output in steps:
            assert run_step(step, output) in (0, 1, 2)
            assert {path: path.read_bytes() for path in foreign} == foreign, (home, step, output)
