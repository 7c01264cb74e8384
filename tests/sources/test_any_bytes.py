"""prepare.py with any bytes under any name: a text, or one line."""

import contextlib
import io
import json
import shutil

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import prepare
from sources.files import KINDS, PACKED
from tests.helpers import one_short_line

SUFFIXES = [*KINDS, *(f".csv{packing}" for packing in PACKED), ".zip", ".txt.zip"]
PIECES = st.sampled_from([
    b"id,text\n", b'1,"a b', b'"\n', b"{", b'{"text": "a b"}', b"[", b"}\n", b"\0", b"\xff\xfe", b"\xc3\xa9", b"\r\n",
    b"PAR1", b"PK\3\4", b"\x1f\x8b\x08", b"BZh9", b"<row Body='a b'/>", b"<p>", b"</p>", b"From a\n\n",
    b"Content-Type: multipart/mixed\n",
])  # fmt: skip


@settings(max_examples=settings().max_examples * 3 // 5)
@example(content=b'1,"a b{\x1c\xb0\xd0id,text\n')  # reads otherwise in each of fifteen encodings
@given(content=st.lists(PIECES | st.binary(max_size=20), max_size=12).map(b"".join))
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_any_bytes_become_a_text_or_are_one_line(suffix, content, tmp_path_factory):
    pytest.importorskip("duckdb")
    pytest.importorskip("zstandard")
    folder = tmp_path_factory.mktemp("any")
    path, said = folder / f"a{suffix}", io.StringIO()
    path.write_bytes(content)
    (folder / "c.yaml").write_text(json.dumps({"paths": {"datasets": str(folder / "d")}}))
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = prepare.main([str(path), "--name", "x", "--config", str(folder / "c.yaml")])
    assert status == 0 or (status == 2 and one_short_line(said.getvalue())), said.getvalue()
    assert (folder / "d/x.txt").exists() == (status == 0)
    shutil.rmtree(folder)
