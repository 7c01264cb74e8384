"""What tells one model from another, whether it lies in a file or in a folder: hashes of what decides its figures."""

import hashlib

from generation.checkpoint import Checkpoint
from utils import hash_json


def weights_sha256(checkpoint: Checkpoint) -> str:
    """SHA-256 of the weights by their names: the same of a model file and of its folder."""
    digest = hashlib.sha256()
    for name, value in sorted(checkpoint.weights.items()):
        digest.update(name.encode() + value.float().cpu().numpy().tobytes())
    return digest.hexdigest()


def voice_sha256(checkpoint: Checkpoint) -> str:
    """SHA-256 of what shapes a model's draws, but for its weights, name and precision: the same of file and folder.

    Settings at their defaults are left out, so that a key of a later version changes nothing.
    """
    sections = {"seed", "data", "model", "diffusion", "sampling"}
    settings = checkpoint.run.model_dump(include=sections, exclude={"data": {"file"}}, exclude_defaults=True)
    lengths = [checkpoint.lengths.values.tolist(), checkpoint.lengths.counts.tolist()]
    vocabulary = checkpoint.vocabulary
    return hash_json([settings, checkpoint.network, vocabulary.characters, vocabulary.open, lengths])
