"""A lock keeps other processes away, and takes no file that is not its own."""

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
