"""The WebAssembly kernel: its source gives the file in the repository, byte for byte."""

import re
import shutil
import subprocess

import pytest

from exporting.html import BROWSER
from tests.helpers import ROOT


def test_the_kernel_is_what_its_source_gives(tmp_path):
    built, makefile = tmp_path / "kernel.wasm", (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    words = re.findall(r"npx --yes (--package \S+ asc kernel\.ts .*?) --outFile", makefile)[0].split()
    npx = shutil.which("npx")
    if not npx:
        pytest.skip("npx, which comes with Node.js, is not here")
    command = [npx, "--offline", "--yes", *words, "--outFile", str(built)]
    done = subprocess.run(command, cwd=BROWSER, capture_output=True, text=True, check=False)
    if "ENOTCACHED" in done.stderr or "ENOVERSIONS" in done.stderr:
        pytest.skip(f"{words[1]} is not in npm's cache; `make kernel` fetches it")
    assert done.returncode == 0, done.stderr
    assert built.read_bytes() == (BROWSER / "kernel.wasm").read_bytes()
