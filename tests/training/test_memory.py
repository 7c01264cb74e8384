"""How much memory there is: of a machine, of a container, by what Windows says."""

import ctypes
import struct
from types import SimpleNamespace

from training import memory


def test_a_container_has_the_memory_that_it_is_given(tmp_path, monkeypatch):
    whole = memory.memory_bytes()
    for content, expected in (("1000\n", 1000), ("max\n", whole), (None, whole)):
        limit = tmp_path / "memory.max"
        limit.unlink(missing_ok=True)
        if content:
            limit.write_text(content)
        monkeypatch.setattr(memory, "CONTAINER_LIMITS", (limit,))
        assert memory.memory_bytes() == expected


def test_windows_is_asked_for_its_memory(monkeypatch):
    """By MEMORYSTATUSEX: 64 bytes that begin with their number; the third figure is all memory there is."""

    def answer(structure) -> int:
        assert ctypes.string_at(structure, 4) == (64).to_bytes(4, "little")
        ctypes.memmove(structure, struct.pack("<II7Q", 64, 50, 1 << 20, *[1 << 40] * 6), 64)
        return 1

    monkeypatch.setattr(memory, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(ctypes, "WinDLL", lambda name: SimpleNamespace(GlobalMemoryStatusEx=answer), raising=False)
    assert memory.memory_bytes() == 1 << 20
