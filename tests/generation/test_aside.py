"""Tests of generation.aside."""

from pathlib import Path

from generation.aside import kept_aside


def test_a_folder_that_may_not_be_looked_into_keeps_nothing_aside(monkeypatch, tmp_path):
    """As where a set names a model of another person."""

    def glob(path, pattern):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "glob", glob)
    assert kept_aside(tmp_path / "toy.pt") == []
