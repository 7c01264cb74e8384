"""A lock keeps other processes away, and takes no file that is not its own."""

import errno
import os
import sys

import pytest

from command.lock import exclusive_lock
from utils import UserError


def test_a_file_in_the_place_of_a_lock_is_left_as_it_is(tmp_path):
    (tmp_path / "notes").write_text("mine", encoding="utf-8")
    (tmp_path / "lock").symlink_to(tmp_path / "notes")
    for name in ("notes", "lock"):
        with pytest.raises(UserError, match=f"{name}: not a lock of this program"), exclusive_lock(tmp_path / name, ""):
            pass
    assert (tmp_path / "notes").read_text(encoding="utf-8") == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="there files are locked in another way")
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_a_disk_without_locks_is_named_and_no_lock_outlives_its_process(tmp_path, monkeypatch, number):
    """A lock that is only the presence of a file would outlive a killed process."""
    import fcntl

    def flock(*_) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    for _ in range(2):
        with pytest.raises(UserError) as error, exclusive_lock(tmp_path / "lock", "another"):
            pass
        assert f"{tmp_path / 'lock'}: cannot be locked" in str(error.value) and os.strerror(number) in str(error.value)
    assert not (tmp_path / "lock").exists() or not (tmp_path / "lock").read_bytes()


def test_what_fails_while_a_lock_is_held_is_no_trouble_with_the_lock(tmp_path):
    with pytest.raises(OSError, match=r"^mine$"), exclusive_lock(tmp_path / "lock", "another"):
        raise OSError("mine")
    with exclusive_lock(tmp_path / "lock", "another"):
        pass
