"""The history of a git repository: the one that is named, whole, and nothing that it names is run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import prepare
from tests.sources.helpers import assert_refused, run
from tests.training.program import posix

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not here")
NO_REPOSITORY = "is no git repository; name its top folder"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """A folder that is in no repository, and git as it is without a person's settings."""
    monkeypatch.chdir(tmp_path)
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    settings |= {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def repository(path: str, *messages: str) -> str:
    git("init", "-q", path)
    for message in messages:
        git("-C", path, "commit", "-qm", message, "--allow-empty")
    return path


def test_the_history_of_a_repository():
    messages = [(f"Title {n}", f"some\nwords of {n}") for n in range(7)]
    repository("repo", *("\n\n".join(parts) for parts in messages))
    whole = [f"{title} {body}".replace("\n", " ") for title, body in messages][::-1]
    assert run("--git", "repo") == run("--git", "repo/.git") == whole
    assert run("--git", "repo", "--column", "subject") == [title for title, _ in messages][::-1]
    record = json.loads(Path("datasets/x.source.json").read_text())
    head = git("-C", "repo", "rev-parse", "HEAD")
    assert record["files"] == [{"name": "repo", "kind": "git", "commit": head}]


def test_a_bare_repository_and_a_second_working_tree_are_read():
    repository("repo", "a b")
    git("clone", "-q", "--bare", "repo", "bare.git")
    git("-C", "repo", "worktree", "add", "-q", str(Path("second").absolute()))
    assert run("--git", "bare.git") == run("--git", "second") == ["a b"]


def test_no_repository_around_a_folder_is_read(monkeypatch):
    repository(".", "a private commit")
    name = "other" if sys.platform == "win32" else "other:one"  # a colon parts the folders of a list
    other = repository(name, "another")
    for folder in ("downloads/linux", "downloads/empty/.git", f"{name}/inside"):
        Path(folder).mkdir(parents=True)
    for folder in ("downloads/linux", "downloads/empty", f"{name}/inside"):
        assert_refused("--git", folder, line=f"--git {Path(folder)}: {NO_REPOSITORY}")
    monkeypatch.setenv("GIT_DIR", str(Path(".git").absolute()))
    assert_refused("--git", "downloads/linux", starts="--git ")
    assert run("--git", other) == ["another"]


@posix
def test_a_git_that_is_ended_before_its_end_is_one_line(home, monkeypatch):
    repository("repo", *(f"number {n}" for n in range(9)))
    Path("bin").mkdir()
    real = shutil.which("git")
    for last in ("kill -9 $$", "exit 1"):
        Path("bin/git").write_text(f'#!/bin/sh\n{real} "$@" | head -c 600\n{last}\n')
        Path("bin/git").chmod(0o755)
        monkeypatch.setenv("PATH", f"{home}/bin{os.pathsep}{os.environ['PATH']}")
        assert_refused("--git", "repo", line="--git repo: git ended before its end")


@posix
def test_nothing_that_a_repository_names_is_run(tmp_path):
    repository("repo", "a b")
    evil = tmp_path / "evil.sh"
    evil.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    evil.chmod(0o755)
    for key in ("core.pager", "pager.log", "gpg.program", "core.fsmonitor", "core.sshCommand", "diff.external"):
        git("-C", "repo", "config", key, str(evil))
    git("-C", "repo", "config", "log.showSignature", "true")
    assert prepare.main(["--git", "repo", "--name", "x"]) == 0
    assert Path("datasets/x.txt").read_text() == "a b\n" and not Path("ran").exists()
