"""The Merkle root is that of RFC 6962."""

import hashlib

from nft.provenance import merkle_root


def test_the_merkle_root_is_rfc_6962s():
    leaf = [hashlib.sha256(b"\0" + bytes([k])).digest() for k in range(5)]
    node = lambda a, b: hashlib.sha256(b"\1" + a + b).digest()  # noqa: E731
    left = node(node(leaf[0], leaf[1]), node(leaf[2], leaf[3]))
    assert merkle_root([bytes([k]) for k in range(5)]) == node(left, leaf[4]).hex()
    assert merkle_root([b"\0"]) == leaf[0].hex()
