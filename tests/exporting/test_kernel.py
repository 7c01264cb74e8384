"""The WebAssembly kernel: its source gives the file in the repository, byte for byte."""

import shutil
import subprocess

import pytest

from exporting.html import BROWSER

COMPILER = "assemblyscript@0.28.20"  # as in the Makefile


def test_the_kernel_is_what_its_source_gives(tmp_path):
    built = tmp_path / "kernel.wasm"
    options = ["-O3", "--noAssert", "--runtime", "stub", "--enable", "simd", "--importMemory"]
    npx = shutil.which("npx")
    if not npx:
        pytest.skip("npx, which comes with Node.js, is not here")
    command = [npx, "--offline", "--yes", "--package", COMPILER, "asc", "kernel.ts", *options, "--outFile", str(built)]
    done = subprocess.run(command, cwd=BROWSER, capture_output=True, text=True, check=False)
    if "ENOTCACHED" in done.stderr or "ENOVERSIONS" in done.stderr:
        pytest.skip(f"{COMPILER} is not in npm's cache; `make kernel` fetches it")
    assert done.returncode == 0, done.stderr
    assert built.read_bytes() == (BROWSER / "kernel.wasm").read_bytes()
