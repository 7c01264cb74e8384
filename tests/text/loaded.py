"""The documents of an encoded file, and documents that hold every letter."""


def texts(split, vocabulary) -> list[str]:
    return [vocabulary.decode(document) for document in split]


def everything(loaded) -> list[str]:
    """All documents but the alphabet's."""
    both = texts(loaded.train, loaded.vocabulary) + texts(loaded.held_out, loaded.vocabulary)
    return sorted(text for text in both if not text.startswith("§"))


# documents that put every letter of the others into the training split, whichever of them are held out
ALPHABET = [f"§{i} abcdefghijklmnopqrstuvwxyz é\t\ufffd" for i in range(9)]
