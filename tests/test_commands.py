"""The commands from outside: what they write, and what they refuse."""

import json
import subprocess
import sys

import pytest

import generate
from tests.helpers import ROOT


def test_config_mistakes_stop_before_anything_trains(project, capsys):
    path, run = project
    path.write_text(path.read_text() + "\nsed: 3\n")
    assert run("--all") == 2
    assert capsys.readouterr().err == f"error: {path}: sed: no such key; did you mean 'seed'?\n"
    assert not (path.parent / "models").exists()


@pytest.mark.usefixtures("warm_processes")
def test_generate_writes_exactly_n_whole_lines(project, capsys):
    path, run = project
    assert run("--dataset", "one") == 0
    model, output = path.parent / "models" / "one.pt", path.parent / "out" / "set.txt"
    arguments = ["--model", str(model), "--samples", "17", "--seed", "5"]
    assert generate.main([*arguments, "--output", str(output)]) == 0
    lines = output.read_text(encoding="utf-8").split("\n")
    assert len(lines) == 18 and lines[-1] == "" and all(lines[:-1])
    objects = [json.loads(line) for line in output.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()]
    assert [o["text"] for o in objects] == lines[:-1] and [o["index"] for o in objects] == list(range(17))
    assert objects[0]["seed"] == 5 and objects[0]["steps"] == 4 and objects[0]["sampler"] == "tweedie"
    first = output.read_bytes()
    for size in ("1", "7", "64"):
        assert generate.main([*arguments, "--output", str(output), "--batch-size", size]) == 0
        assert output.read_bytes() == first
    assert generate.main([*arguments, "--samples", "5", "--output", str(output)]) == 0
    assert first.startswith(output.read_bytes())
    assert generate.main([*arguments]) == 0
    assert (path.parent / "outputs" / "one_samples.txt").read_bytes() == first


def test_generate_refuses_what_the_sampler_does_not_read(project, capsys):
    path, run = project
    assert run("--dataset", "one") == 0
    capsys.readouterr()
    model = path.parent / "models" / "one.pt"
    assert generate.main(["--model", str(model), "--samples", "2", "--stretch", "8"]) == 2
    assert capsys.readouterr().err == (
        "error: --stretch: the sampler tweedie does not read it; "
        "it reads grid, steps, greedy_last_step, renoise, temperature, top_p\n"
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--samples", "0"], "--samples 0: must be at least 1"),
        (["--temperature", "-1"], "--temperature -1: must be between 0.001 and 10"),
        (["--temperature", "nan"], "--temperature nan: must be between 0.001 and 10"),
        (["--steps", "9" * 400], f"--steps {'9' * 400}: must be between 1 and 4096"),
        (["--output", "."], "--output .: is a folder; name a text file"),
        (["--top-p", "2"], "--top-p 2: must be between 0.001 and 1"),
        ([], "missing.pt: no such file"),
    ],
)
def test_generate_mistakes(capsys, monkeypatch, tmp_path, option, message):
    monkeypatch.chdir(tmp_path)
    assert generate.main(["--model", "missing.pt", *option]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.parametrize("script", ["train.py", "generate.py"])
def test_help_does_not_wait_for_torch(script):
    name = script.removesuffix(".py")
    code = f"import sys, {name}\ntry: {name}.main(['--help'])\nexcept SystemExit: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.endswith("False\n") and "usage" in done.stdout


@pytest.mark.slow
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
