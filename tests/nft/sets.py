"""What a set holds, for the tests of sets."""

import json
from pathlib import Path


def texts(folder: Path) -> list[str]:
    return [json.loads(line)["text"] for line in (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
