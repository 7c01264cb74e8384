"""The history of a git repository as a table of its commits; nothing is read that the repository does not hold."""

import itertools
import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from command.libraries import program
from config.data_file import MOST_LINE
from sources.encodings import unnamed
from sources.files import walked
from sources.tables import Table, table_of
from sources.unpack import BLOCK_BYTES
from utils import UserError

GIT_COLUMNS = {"commit": "%H", "date": "%aI", "subject": "%s", "body": "%b", "message": "%B"}
# a repository may come from a stranger: nothing that it names is run, and nothing is fetched
GIT_OPTIONS = ("--no-pager", "-c", "log.showSignature=false", "-c", "core.fsmonitor=false")
GIT_SURROUNDINGS = {
    "GIT_NO_LAZY_FETCH": "1",  # which older versions do not know
    "GIT_ALLOW_PROTOCOL": "",  # none, whatever the repository's own settings allow
    "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C",
}  # fmt: skip
GIT_KEPT = ("GIT_CONFIG_", "GIT_EXEC_PATH")  # of a person's variables; others name another repository, or parts of it
ANSWER_SECONDS = 30  # in which git tells where a history lies
NO_REPOSITORY = "is no git repository; name its top folder"
HISTORY = ("HEAD", "packed-refs", "refs", "reftable", "objects")  # what a history is read from, in git's folder
ALTERNATES = "objects/info/alternates"  # names other folders of objects


def open_git(path: Path, name: str, encoding: str = "") -> tuple[str, Table]:
    """The newest commit of a local git repository, and all from there as a table, newest first.

    `encoding` is that of messages which name none and are not UTF-8. Raises UserError if the history lies elsewhere.
    """
    check_own(path, name)
    newest = answer(path, name, "log", "-1", "--format=%H").strip().decode()  # one for all readings: it may grow
    return newest, table_of([*GIT_COLUMNS], lambda _: git_rows(path, name, encoding, newest))


def git_rows(path: Path, name: str, encoding: str, newest: str) -> Iterator[dict[str, str]]:
    form = "%x00".join(GIT_COLUMNS.values())
    command = git_command(path, "log", "-z", "--encoding=UTF-8", f"--format={form}", newest, "--")
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, env=surroundings()
        )
        with process:
            assert process.stdout
            try:
                cells = cells_of(process.stdout, name)
                while len(row := list(itertools.islice(cells, len(GIT_COLUMNS)))) == len(GIT_COLUMNS):
                    place = f"{name} commit {row[0].decode()}"
                    texts = (unnamed(cell, place, encoding) for cell in row)
                    yield dict(zip(GIT_COLUMNS, texts, strict=True))
                process.wait()
            finally:
                process.kill()  # where no more rows are wanted
        said.seek(0)
        if process.returncode:
            fail(said.read(10_000), name)


def fail(said: bytes, name: str) -> NoReturn:
    """Raise UserError with the last line of what git said."""
    lines = said.decode(errors="replace").strip().splitlines()
    why = lines[-1] if lines else "git ended before its end"
    raise UserError(f"--git {name}: {NO_REPOSITORY if 'not a git repository' in why else why}")


def surroundings() -> dict[str, str]:
    """The environment of git: without variables that name another repository."""
    mine = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key.startswith(GIT_KEPT)}
    return {**mine, **GIT_SURROUNDINGS}


def git_command(path: Path, *arguments: str) -> list[str]:
    """A command about this very folder's repository: git itself would also search parent folders."""
    if not (git := program("git")):
        raise UserError("git is not installed, or not found")
    return [git, *GIT_OPTIONS, f"--git-dir={inner(path)}", *arguments]


def inner(path: Path) -> Path:
    """What tells where the history of a folder lies: its .git, or the folder itself."""
    own = path.absolute() / ".git"
    return own if os.path.lexists(own) else own.parent


def check_own(path: Path, name: str) -> None:
    """Raise UserError where the history of a folder would be read from elsewhere, as a stranger's may have it.

    A second working tree and a submodule are no strangers': their history lies elsewhere, and names them.
    """
    own, shared = (asked(path, name, "rev-parse", option) for option in ("--absolute-git-dir", "--git-common-dir"))
    found = itertools.chain(pointers(own), pointers(shared))
    if not names_back(path, name, own, shared):
        steps = ((inner(path), own), (own / "commondir", shared))
        found = itertools.chain((step for step in steps if not step[1].is_relative_to(path.resolve())), found)
    for teller, place in found:
        fix = "name that place, or a copy made with git clone --no-local"
        raise UserError(f"--git {name}: its history lies elsewhere: {teller} leads to {place}; {fix}")


def names_back(path: Path, name: str, own: Path, shared: Path) -> bool:
    """Whether git's folder elsewhere knows a folder as a second working tree, or as its submodule."""
    if not own.is_relative_to(shared):
        return False
    back = own / "gitdir"
    if back.is_file():
        return (own / back.read_text("utf-8", "surrogateescape").rstrip("\r\n")).resolve() == inner(path).resolve()
    return asked(path, name, "config", "--default", "", "--get", "core.worktree", base=own) == path.resolve()


def pointers(git_folder: Path) -> Iterator[tuple[Path, Path]]:
    """What in git's folder leads elsewhere, and where: links (git makes none), pipes, a list of other objects."""
    places = [git_folder / name for name in HISTORY]
    for place in places:
        below = (Path(folder, name) for folder, *parts in walked(place) for names in parts for name in names)
        for path in itertools.chain([place], below):
            if os.path.lexists(path) and stat.S_IFMT(path.lstat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
                yield path, path.resolve()
    others = git_folder / ALTERNATES
    if others.exists():
        yield others, Path(os.fsdecode(others.read_bytes()[:1000].strip().partition(b"\n")[0]))


def asked(path: Path, name: str, *arguments: str, base: Path | None = None) -> Path:
    """The path that git answers, relative to `base` or else to the folder."""
    return Path(base or path, os.fsdecode(answer(path, name, *arguments)).rstrip("\r\n")).resolve()


def answer(path: Path, name: str, *arguments: str) -> bytes:
    """What git prints."""
    command = git_command(path, *arguments)
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, cwd=path, env=surroundings(), timeout=ANSWER_SECONDS
        )
    except subprocess.TimeoutExpired:  # its settings may be a pipe
        raise UserError(f"--git {name}: git does not answer within {ANSWER_SECONDS} seconds; {NO_REPOSITORY}") from None
    if done.returncode:
        fail(done.stderr, name)
    return done.stdout


def cells_of(stream: Any, name: str) -> Iterator[bytes]:
    """What stands between the NULs of git's output."""
    rest = b""
    while block := stream.read1(BLOCK_BYTES):
        *cells, rest = (rest + block).split(b"\0")
        yield from cells
        if len(rest) > MOST_LINE:
            raise UserError(f"{name}: a commit's message has more than {MOST_LINE >> 20} MB")
    if rest:
        yield rest
