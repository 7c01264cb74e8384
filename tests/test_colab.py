"""The notebook demo/colab.ipynb: it runs in a copy of the project, and in a stand-in of Colab, where it clones it."""

import base64
import io
import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from generation.checkpoint import load_checkpoint
from tests.helpers import ROOT, TINY, toy_lines

NOTEBOOK = ROOT / "demo" / "colab.ipynb"
# google.colab gives the files that a person chooses, and takes those to download
STAND_IN = """
from pathlib import Path
class files:
    def upload():
        return {{path.name: path.read_bytes() for path in Path({texts!r}).iterdir()}}
    def download(path):
        Path({taken!r}).write_bytes(Path(path).read_bytes())
"""
SECONDS = 1800  # for a cell, on a machine with other work


@pytest.fixture
def copy(tmp_path) -> Path:
    """This project with settings of a tiny network, and no texts."""
    folder = tmp_path / "copy"
    left_out = (".*", "__pycache__", "tests", "benchmarks", "docs", "datasets", "models", "outputs")
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*left_out))
    for name in ("datasets", "outputs"):
        (folder / name).mkdir()
        shutil.copy(ROOT / name / ".gitignore", folder / name)  # git keeps no empty folder
    with (folder / "config.yaml").open("w", encoding="utf-8") as file:
        YAML().dump({**TINY, "datasets": {"tweets": {}}}, file)
    return folder


def write_texts(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for seed, name in enumerate(("commits", "tweets")):
        (folder / f"{name}.txt").write_text("\n".join(toy_lines(120, seed)) + "\n", encoding="utf-8")


def executed(place: Path, repository: str = "") -> list[dict]:
    """The notebook's cells after it has run in a folder."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("ADDRESS_OF_THIS_PROJECT", repository).replace("HOURS = 2.0", "HOURS = 0.1")
    resources = {"metadata": {"path": str(place)}}
    nbclient.NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources=resources).execute()
    return notebook.cells


def printed(cells: list[dict]) -> str:
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))


def pictures(cells: list[dict]) -> list[bytes]:
    found = [output["data"] for cell in cells for output in cell.get("outputs", []) if "data" in output]
    return [base64.b64decode(data["image/png"]) for data in found]


def check(cells: list[dict], folder: Path, archive: bytes) -> None:
    """Two models were trained, their texts and pictures shown, and both are in the archive."""
    names = set(zipfile.ZipFile(io.BytesIO(archive)).namelist())
    shown = pictures(cells)
    assert len(shown) == 2 * (1 + 6)
    for name in ("commits", "tweets"):
        assert load_checkpoint(folder / "models" / f"{name}.pt").run.name == name
        assert f"models/{name}.pt" in names
        assert (folder / "outputs" / f"{name}_samples.txt").read_text("utf-8") in printed(cells)
        images = [path.read_bytes() for path in (folder / "outputs" / name / "images").glob("*.png")]
        assert len(images) == 6 and set(images) <= set(shown)
        assert (folder / "models" / f"{name}.png").read_bytes() in shown


def test_the_notebook_holds_no_outputs_and_is_short():
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code and not any(cell["outputs"] or cell["execution_count"] for cell in code)
    assert sum(len(cell["source"]) for cell in cells) < 80


@pytest.mark.slow
def test_the_notebook_runs_on_a_machine_of_ones_own(copy):
    write_texts(copy / "datasets")
    cells = executed(copy / "demo")
    check(cells, copy, (copy / "outputs" / "models.zip").read_bytes())
    assert "git clone" not in printed(cells) and str(copy / "outputs" / "models.zip") in printed(cells)


@pytest.mark.slow
def test_the_notebook_clones_uploads_and_downloads_in_colab(copy, tmp_path, monkeypatch):
    git = ["git", "-C", str(copy), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "all"]):
        subprocess.run([*git, *command], check=True)
    write_texts(texts := tmp_path / "texts")
    (texts / "commits.txt").rename(texts / "commits!.txt")  # a name that no dataset may have
    taken = tmp_path / "taken.zip"
    (tmp_path / "colab" / "google").mkdir(parents=True)
    stand_in = STAND_IN.format(texts=str(texts), taken=str(taken))
    (tmp_path / "colab" / "google" / "colab.py").write_text(stand_in, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "colab"), os.environ.get("PYTHONPATH", "")]))
    (tmp_path / "content").mkdir()
    cells = executed(tmp_path / "content", copy.as_uri())
    check(cells, tmp_path / "content" / "diffusion-gpt-local", taken.read_bytes())
