"""The Merkle root is that of RFC 6962."""

import hashlib
import json

from nft.provenance import merkle_root
from nft.schemas import canonical_json
from tests.nft.sets import info_of, select
from utils import hash_file, sha256


def test_the_merkle_root_is_rfc_6962s():
    leaf = [hashlib.sha256(b"\0" + bytes([k])).digest() for k in range(5)]
    node = lambda a, b: hashlib.sha256(b"\1" + a + b).digest()  # noqa: E731
    left = node(node(leaf[0], leaf[1]), node(leaf[2], leaf[3]))
    assert merkle_root([bytes([k]) for k in range(5)]) == node(left, leaf[4]).hex()
    assert merkle_root([b"\0"]) == leaf[0].hex()


def test_the_hashes_of_a_set_are_those_that_the_page_describes(studio):
    _, make = studio
    _, folder = make("set", 6, "--live", "ipfs://cid/index.html")
    proof = json.loads((folder / "provenance.json").read_text("utf-8"))
    lines = (folder / "samples.jsonl").read_bytes().split(b"\n")[:-1]  # each canonical JSON
    hashes = [hashlib.sha256(line).hexdigest() for line in lines]
    assert proof["token_sha256"] == hashes
    assert proof["provenance_sha256"] == hashlib.sha256("".join(hashes).encode()).hexdigest()
    assert proof["merkle_root"] == merkle_root(lines)
    info = info_of(folder)
    free = ("title", "description", "base_uri", "live", "pieces", "theme", "model_file")
    settings = {key: value for key, value in info.items() if key not in free}
    settings["rules"] = {key: value for key, value in info["rules"].items() if key != "word_list"}
    assert proof["settings_sha256"] == sha256(canonical_json(settings))
    for name in ("samples", "courses"):
        assert proof[f"{name}_sha256"] == hash_file(folder / f"{name}.jsonl")
    assert select(folder, "2 5") == 0
    chosen = json.loads((folder / "provenance.json").read_text("utf-8"))
    assert chosen["token_sha256"] == [hashes[1], hashes[4]]
    assert {key for key in chosen if key.endswith("sha256") and chosen[key] != proof[key]} == {
        "token_sha256", "provenance_sha256",
    }  # fmt: skip
