"""The history of a git repository: the one that is named, whole, and nothing that it names is run."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sources.git import open_git
from sources.log import SourceLog
from tests.helpers import posix
from tests.sources.helpers import CAFE_READS, assert_refused, run

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not here")
NO_REPOSITORY = "is no git repository; name its top folder"


@pytest.fixture(autouse=True)
def plain_git(monkeypatch) -> None:
    """Git as it is without a person's settings."""
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    settings |= {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


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


def test_a_commit_made_meanwhile_is_neither_read_nor_named():
    """The history is read several times, and the record names its newest commit."""
    repository("repo", "first words", "second words")
    newest, table = open_git(Path("repo"), "repo")
    repository("repo", "third words")
    assert [row[2] for row in table.read(range(5), SourceLog())] == ["second words", "first words"]
    assert newest == git("-C", "repo", "rev-parse", "HEAD~1")


def test_a_message_keeps_the_html_that_it_speaks_of():
    messages = ["Remove <div> from <nav>", "Write &amp; where & stood", "Add <file> to <source>"]
    repository("repo", *messages)
    Path("a.csv").write_text("text\n<b>some words</b> here\nand other words\n")
    assert run("a.csv", "--git", "repo") == ["some words here", "and other words", *messages[::-1]]


def test_messages_that_name_no_encoding_are_read_in_the_one_that_is_named(capsys):
    """Old programs wrote what their system had; of today's git, such a commit is made by hand."""
    repository("repo", "plain words", "café au lait")
    made = subprocess.run(["git", "-C", "repo", "cat-file", "commit", "HEAD"], check=True, capture_output=True).stdout
    write = ["git", "-C", "repo", "hash-object", "-t", "commit", "-w", "--stdin"]
    written = subprocess.run(write, check=True, capture_output=True, input=made.decode().encode("cp1252")).stdout
    head = written.decode().strip()
    git("-C", "repo", "reset", "-q", "--soft", head)
    assert_refused("--git", "repo", line=f"repo commit {head}: byte 0xe9 is not UTF-8; {CAFE_READS}")
    assert run("--git", "repo", "--encoding", "cp1252") == ["café au lait", "plain words"]
    assert run("--git", "repo", "--encoding", "ascii") == ["caf\ufffd au lait", "plain words"]
    assert "could not be decoded: 1 character of the text, now U+FFFD" in capsys.readouterr().out.splitlines()


@posix
def test_settings_that_are_a_pipe_do_not_hang(monkeypatch):
    repository("repo", "first")
    Path("repo/.git/config").unlink()
    os.mkfifo("repo/.git/config")
    monkeypatch.setattr("sources.git.ANSWER_SECONDS", 1)
    assert_refused("--git", "repo", starts="--git repo: git does not answer within 1 seconds; ")


@posix
def test_an_old_git_fetches_nothing_that_a_stranger_names(monkeypatch):
    """A version that does not know GIT_NO_LAZY_FETCH would run what the repository calls its source."""
    repository("repo", "first", "second")
    settings = {
        "core.repositoryFormatVersion": "1", "extensions.partialClone": "origin", "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::sh -c touch% {Path('RUN').absolute()}", "protocol.ext.allow": "always",
    }  # fmt: skip
    for name, value in settings.items():
        git("-C", "repo", "config", name, value)
    first = git("-C", "repo", "rev-parse", "HEAD~1")
    Path("repo/.git/objects", first[:2], first[2:]).unlink()
    old = Path("bin/git")
    old.parent.mkdir()
    old.write_text(f'#!/bin/sh\nunset GIT_NO_LAZY_FETCH\nexec {shutil.which("git")} "$@"\n')
    old.chmod(0o755)
    subprocess.run([old.absolute(), "-C", "repo", "log"], capture_output=True, check=False)
    assert Path("RUN").exists()  # so the trap is one
    Path("RUN").unlink()
    monkeypatch.setenv("PATH", str(old.parent.absolute()), prepend=os.pathsep)
    assert_refused("--git", "repo", starts="--git repo: ")
    assert not Path("RUN").exists()


def test_a_bare_repository_and_a_second_working_tree_are_read():
    repository("repo", "a b")
    git("clone", "-q", "--bare", "repo", "bare.git")
    git("-C", "repo", "worktree", "add", "-q", str(Path("second").absolute()))
    assert run("--git", "bare.git") == run("--git", "second") == ["a b"]


def test_a_submodule_is_read():
    repository("one", "a b")
    repository("whole", "c d")
    git("-c", "protocol.file.allow=always", "-C", "whole", "submodule", "--quiet", "add", "../one", "part")
    assert run("--git", "whole/part") == ["a b"]


def the_file(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


ELSEWHERE = {  # what a stranger's folder holds beside a repository of its own, and where it leads
    "a file": (".git", the_file("gitdir: ../mine/.git\n"), "mine/.git"),
    "a file that names a second working tree": (
        ".git", the_file("gitdir: ../mine/.git/worktrees/second\n"), "mine/.git/worktrees/second"
    ),
    "a list of other objects": (".git/objects/info/alternates", the_file("../../../mine/.git/objects\n"), ""),
    "the folder of what is shared": (".git/commondir", the_file("../../mine/.git\n"), "mine/.git"),
}  # fmt: skip
LINKS = (".git", ".git/refs", ".git/refs/heads", ".git/objects")


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_no_history_is_read_that_lies_elsewhere(kind):
    repository("mine", "about my salary")
    git("-C", "mine", "worktree", "add", "-q", str(Path("second").absolute()))
    repository("theirs", "a b")
    name, make, place = ELSEWHERE[kind]
    if name == ".git":
        shutil.rmtree("theirs/.git")
    make(Path("theirs", name))
    place = Path(place).resolve() if place else "../../../mine/.git/objects"
    fix = "name that place, or a copy made with git clone --no-local"
    line = f"--git theirs: its history lies elsewhere: {Path('theirs', name).absolute()} leads to {place}; {fix}"
    assert_refused("--git", "theirs", line=line)


@posix
@pytest.mark.parametrize("name", LINKS)
def test_no_history_is_read_through_links(name):
    repository("mine", "about my salary")
    place = Path(repository("theirs", "a b"), name)
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    place.symlink_to(Path("mine", name).absolute())
    assert_refused("--git", "theirs", starts="--git theirs: its history lies elsewhere: ")


@posix
def test_a_pipe_in_a_repository_is_not_waited_for():
    os.mkfifo(Path(repository("theirs", "a b"), ".git/refs/heads/pipe"))
    assert_refused("--git", "theirs", starts="--git theirs: its history lies elsewhere: ")


def test_a_copy_holds_all_of_a_history():
    repository("mine", "a b")
    git("clone", "-q", "--shared", "mine", "shared")
    assert_refused("--git", "shared", starts="--git shared: its history lies elsewhere: ")
    git("clone", "-q", "--no-local", "shared", "copy")
    assert run("--git", "copy") == ["a b"]


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
    header, message = git("-C", "repo", "cat-file", "commit", "HEAD").split("\n\n", 1)
    signed = f"{header}\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n{message}\n"
    write = ["git", "-C", "repo", "hash-object", "-t", "commit", "-w", "--stdin"]
    head = subprocess.run(write, input=signed, check=True, capture_output=True, text=True).stdout.strip()
    git("-C", "repo", "reset", "-q", "--soft", head)
    ran, evil = tmp_path / "ran", tmp_path / "evil.sh"
    evil.write_text(f"#!/bin/sh\ntouch {ran}\n")
    evil.chmod(0o755)
    git("-C", "repo", "config", "gpg.program", str(evil))
    git("-C", "repo", "config", "log.showSignature", "true")
    git("-C", "repo", "log")
    ran.unlink()  # so the trap is one
    assert run("--git", "repo") == ["a b"] and not ran.exists()
