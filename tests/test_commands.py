"""The commands from outside: what they write, and what they refuse."""

import gzip
import json
import os
import subprocess
import sys

import pytest

import collection
import evaluate
import export
import generate
import import_model
import prepare
import train
from tests.helpers import COMMANDS, ROOT, posix

PACKAGES = {"torch", "numpy", "pydantic", "ruamel.yaml", "rich", "PIL"}  # that take long to load


def test_config_mistakes_stop_before_anything_trains(project, capsys):
    path, run = project
    path.write_text(path.read_text() + "\nsed: 3\n")
    assert run("--all") == 2
    assert capsys.readouterr().err == f"error: {path}: sed: no such key; did you mean 'seed'?\n"
    assert not (path.parent / "models").exists()


@pytest.mark.parametrize(
    ("given", "again"),
    [
        ("--all --config c.yaml --preset tiny --hours 7.5 --jobs auto",) * 2,
        ("--dataset one --more --minutes 0.5",) * 2,
        ("--all --base --device cpu --ray",) * 2,
        ("--dataset one --dataset two --ray 10.0.0.1:6379",) * 2,
        ("--all --force", "--all"),
    ],
)
def test_the_command_to_go_on_is_the_one_that_was_given(given, again):
    assert train.command_of(train.parse_arguments(given.split())) == f"python train.py {again}"


@pytest.mark.usefixtures("warm_processes")
def test_generate_writes_exactly_n_whole_lines(project, capsys):
    path, run = project
    assert run("--dataset", "one") == 0
    model, output = path.parent / "models" / "one.pt", path.parent / "out" / "set.txt"
    arguments = ["--config", str(path), "--model", str(model), "--samples", "17", "--seed", "5"]
    assert generate.main([*arguments, "--output", str(output)]) == 0
    lines = output.read_text(encoding="utf-8").split("\n")
    assert len(lines) == 18 and lines[-1] == "" and all(lines[:-1])
    objects = [json.loads(line) for line in output.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()]
    assert [o["text"] for o in objects] == lines[:-1] and [o["index"] for o in objects] == list(range(17))
    assert objects[0]["seed"] == 5 and objects[0]["steps"] == 4 and objects[0]["sampler"] == "tweedie"
    assert "stretch" not in objects[0]  # which another sampler reads
    first = output.read_bytes()
    for size in ("1", "7", "64"):
        assert generate.main([*arguments, "--output", str(output), "--batch-size", size]) == 0
        assert output.read_bytes() == first
    assert generate.main([*arguments, "--samples", "5", "--output", str(output)]) == 0
    assert first.startswith(output.read_bytes())
    assert generate.main([*arguments]) == 0
    assert (path.parent / "outputs" / "one_samples.txt").read_bytes() == first


@pytest.mark.usefixtures("warm_processes")
def test_generate_refuses_what_the_sampler_does_not_read(project, capsys):
    path, run = project
    assert run("--dataset", "one") == 0
    capsys.readouterr()
    model = path.parent / "models" / "one.pt"
    assert generate.main(["--model", str(model), "--samples", "2", "--stretch", "8"]) == 2
    assert capsys.readouterr().err == (
        "error: --stretch: the sampler tweedie does not read it; it reads --steps, --temperature, --top-p\n"
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--samples", "0"], "--samples 0: must be between 1 and 1000000"),
        (["--temperature", "-1"], "--temperature -1: must be between 0.001 and 10"),
        (["--temperature", "nan"], "--temperature nan: must be between 0.001 and 10"),
        (["--steps", "9" * 400], f"--steps {'9' * 400}: must be between 1 and 4096"),
        (["--top-p", "2"], "--top-p 2: must be between 0.001 and 1"),
        ([], "missing.pt: no such file; name a model file, models/NAME.pt"),
    ],
)
def test_generate_mistakes(capsys, monkeypatch, tmp_path, option, message):
    monkeypatch.chdir(tmp_path)
    assert generate.main(["--model", "missing.pt", *option]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


FOLDER, MODEL = "is a folder, not a file", "name a model file, models/NAME.pt"
NO_FOLDER, WITH_ALL = "it is a file, not a folder", "with --all, name the folder that holds NAME_samples.txt"
SAMPLES, CONFIG = "name a text file of samples, one document per line", "name the configuration with --config"
MISTAKES = [
    (generate, ["--model", "models"], f"models: {FOLDER}; {MODEL}"),
    (generate, ["--model", "one"], f"one: no such file; {MODEL}; did you mean 'models/one.pt'?"),
    (generate, ["--model", "models/won.pt"], f"models/won.pt: no such file; {MODEL}; did you mean 'models/one.pt'?"),
    (generate, ["--model", "text.txt"], "text.txt: not a model file, or damaged"),
    (generate, ["--model", "x", "--samples", "1" + 9 * "0"], "--samples 1000000000: must be between 1 and 1000000"),
    (evaluate, ["--model", "models"], f"models: {FOLDER}; {MODEL}"),
    (evaluate, ["--model", "models/one.pt", "--samples", "models"], f"models: {FOLDER}; {SAMPLES}"),
    (evaluate, ["--model", "models/one.pt", "--samples", "x.txt"], f"x.txt: no such file; {SAMPLES}"),
    (evaluate, ["--model", "models/one.pt", "--output", "text.txt"], f"text.txt: cannot be written to: {NO_FOLDER}"),
    (evaluate, ["--all", "--samples", "text.txt"], f"--samples text.txt: {WITH_ALL}"),
    (evaluate, ["--all", "--config", "models"], f"models: {FOLDER}; {CONFIG}"),
    (train, ["--all", "--config", "nix.yaml"], f"nix.yaml: no such file; {CONFIG}"),
    (train, ["--all", "--config", "latin.yaml"], "latin.yaml line 2: byte 0xe9 is not UTF-8; save it as UTF-8"),
    (train, ["--all", "--config", "empty.yaml"], "empty.yaml: datasets is empty, so --all has nothing to train"),
    (train, ["--all", "--minutes", "-1"], "--minutes -1: must be above 0, and at most 600000"),
    (train, ["--all", "--minutes", "0"], "--minutes 0: must be above 0, and at most 600000"),
    (train, ["--all", "--minutes", "inf"], "--minutes inf: must be above 0, and at most 600000"),
    (train, ["--all", "--hours", "inf"], "--hours inf: must be above 0, and at most 10000"),
    (train, ["--all", "--preset", ""], "config.yaml: preset: '' is not one of baby"),
    (collection, ["make", "--model", "models", "--size", "1", "--out", "set"], f"models: {FOLDER}; {MODEL}"),
    (export, ["page", "--model", "models"], f"models: {FOLDER}; {MODEL}"),
    (export, ["page", "--model", "x", "--temperature", "nan"], "--temperature nan: must be between 0.001 and 10"),
    (import_model, ["notebook", "models", "--vocabulary", "text.txt"], f"models: {FOLDER}; {MODEL}"),
    (import_model, ["notebook", "x.pt", "--vocabulary", "models"], f"models: {FOLDER}"),
    (import_model, ["notebook", "x.pt", "--vocabulary", "text.gz"], "text.gz: is compressed (gzip); unpack it first"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "arguments", "message"), MISTAKES)
def test_a_wrong_argument_is_one_line_that_says_what_is_wrong(
    tmp_path, monkeypatch, capsys, command, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "one.pt").write_bytes(b"")
    (tmp_path / "text.txt").write_text("a\nb\n")
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"a\nb\n"))
    (tmp_path / "config.yaml").write_text("datasets: {one: }\n")
    (tmp_path / "empty.yaml").write_text("datasets:\n")
    (tmp_path / "latin.yaml").write_bytes("# a\n# é".encode("latin-1"))
    assert command.main(arguments) == 2
    assert capsys.readouterr().err.replace(os.sep, "/") == f"error: {message}\n"


PATHS = [
    (train, ["--all"], ["--config"]),
    (generate, [], ["--model", "--config", "--output"]),
    (evaluate, ["--all"], ["--config", "--data", "--samples", "--output"]),
    (evaluate, [], ["--model"]),
    (collection, ["make", "--size", "1"], ["--model", "--config", "--data", "--out"]),
    (collection, ["verify", "set"], ["--model", "--config", "--data"]),
    *((collection, [command], ["folder"]) for command in ("verify", "export", "select")),
    (export, ["page"], ["--model", "--config", "--data", "--output", "--quantised", "--set"]),
    (import_model, ["notebook", "x.pt"], ["--vocabulary", "--output"]),
    (prepare, ["--name", "x"], ["--git", "--config", "SOURCE"]),
    (import_model, ["notebook"], ["file"]),
]  # fmt: skip


@pytest.mark.parametrize("name", ["new/", "new/.", "..", "."])
def test_a_name_that_ends_as_a_folders_is_no_file(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    for command, arguments, options in (
        (generate, ["--model", "x.pt"], ["--output"]),
        (export, ["onnx", "--model", "x.pt"], ["--output"]),
        (export, ["page", "--model", "x.pt"], ["--output", "--quantised"]),
        (import_model, ["notebook", "x.pt", "--vocabulary", "x.txt"], ["--output"]),
    ):
        for option in options:
            with pytest.raises(SystemExit) as left:
                command.main([*arguments, option, name])
            *_, last = capsys.readouterr().err.splitlines()
            assert left.value.code == 2
            assert last.endswith(f": error: argument {option}: {name}: is a folder; name a file in it")
    assert not list(tmp_path.iterdir())


def test_an_empty_name_is_no_path(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for command, arguments, options in PATHS:
        for option in options:
            with pytest.raises(SystemExit) as left:
                command.main([*arguments, *([option, ""] if option.startswith("-") else [""])])
            *_, last = capsys.readouterr().err.splitlines()
            assert left.value.code == 2 and f": error: argument {option}" in last
            assert last.endswith(": an empty name; name a path, . for this folder")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such file names")
@pytest.mark.usefixtures("warm_processes")
def test_a_model_of_any_name_writes_and_is_judged(project, capsys):
    path, run = project
    assert run("--dataset", "one") == 0
    model = path.parent / os.fsdecode(b"m\xff\x1b[31m $x$ `|`.pt")
    (path.parent / "models" / "one.pt").rename(model)
    assert generate.main(["--model", str(model), "--samples", "2", "--config", str(path)]) == 0
    assert evaluate.main(["--model", str(model), "--count", "2", "--config", str(path)]) == 0
    outputs = path.parent / "outputs"
    named = json.loads((outputs / f"{model.stem}_samples.jsonl").read_text("utf-8").splitlines()[0])["model"]
    assert named == model.name
    assert (outputs / f"{model.stem}_evaluation.md").read_text("utf-8").startswith(r"# m\\udcff\\x1b\[31m \$x\$ \`\|\`")


@posix
def test_a_pipe_is_no_file_to_wait_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    for command, *arguments in (
        (train, "--all", "--config", "pipe"),
        (generate, "--model", "pipe"),
        (evaluate, "--model", "one.pt", "--samples", "pipe"),
        (import_model, "notebook", "one.pt", "--vocabulary", "pipe"),
    ):
        assert command.main(arguments) == 2
        assert capsys.readouterr().err.startswith("error: pipe: is a pipe or a device, not a file")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_loads_no_package_before_it_hears_signals(name):
    """A package takes tenths of a second, in which Ctrl+C would end in its traceback; nor does --help wait for it."""
    code = f"import sys, {name}\ntry: {name}.main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    usage, _, loaded = done.stdout.rstrip("\n").rpartition("\n")
    assert "usage" in usage and not PACKAGES & set(loaded.split())


@pytest.mark.slow
@pytest.mark.usefixtures("warm_processes")
def test_evaluate_judges_every_voice_though_its_reader_has_left(project):
    path, run = project
    assert run("--all") == 0
    command = [sys.executable, "-u", str(ROOT / "evaluate.py"), "--all", "--config", str(path), "--count", "4"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=path.parent)
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(60) == 141
    reports = {file.name for file in (path.parent / "outputs").glob("*.md")}
    assert reports == {"one_evaluation.md", "two_evaluation.md", "evaluation.md"}
