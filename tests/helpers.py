"""What tests share: toy corpora, tiny runs, a silent listener, and an oracle that knows its data's distribution."""

import contextlib
import itertools
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from torch import Tensor

from config.loader import Config
from config.schema import ModelConfig, RunConfig
from diffusion.objectives import HEADS
from diffusion.processes import Process
from training.events import Listener

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = ("prepare", "train", "generate", "evaluate", "collection", "export", "import_model")
ROOMS = (
    "command", "config", "text", "sources", "diffusion", "generation", "evaluation", "checkup", "exporting", "training",
    "nft", "pages",
)  # fmt: skip
MODULES = [*sorted(ROOT.glob("*.py")), *(path for room in ROOMS for path in sorted((ROOT / room).glob("*.py")))]
GOLDEN = (ROOT / "tests" / "golden", ROOT.parent / "shared" / "golden")
# the shape of a small network of the notebook's
NOTEBOOK_SHAPE = ModelConfig(
    layers=2, heads=2, width=16, context=32, noise_width=8, dropout=0.0, parameterization="score"
)
WORDS = ["fix", "add", "remove", "test", "the", "parser", "cache", "build", "of", "in", "docs"]
posix = pytest.mark.skipif(os.name != "posix", reason="signals, limits and /dev are POSIX")
needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="processes are looked up in /proc")
pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
sparse = pytest.mark.skipif(os.name == "nt", reason="there a file without contents takes room all the same")
SECONDS = 120  # a process that has not ended by then hangs
THOROUGH = 200  # random examples of a test, at least, where every case of a list is tried too
TINY = {
    "device": "cpu",
    "data": {"held_out": 0.2, "vocab_size": 64},
    "model": {"layers": 1, "heads": 2, "width": 16, "context": 32, "noise_width": 8, "dropout": 0.1},
    "training": {
        "batch_size": 4,
        "epochs": 1000,
        "max_steps": 6,
        "validations": 2,
        "validation_characters": 200,
        "precision": "float32",
    },
    "sampling": {"steps": 4, "overlap": 8, "max_length": 200},
}


def golden(case: str) -> Mapping[str, np.ndarray]:
    """Numbers of the code that the authors of arXiv:2310.16834 published, or of the notebook's, in float64.

    The smallest case lies in tests/golden, the larger ones beside the project; where they do not, the test is skipped.
    """
    if file := next((file for folder in GOLDEN if (file := folder / f"{case}.npz").is_file()), None):
        return np.load(file)
    pytest.skip(f"{GOLDEN[-1]}, with the stored numbers, is not here")


def toy_lines(count: int, seed: int = 0) -> list[str]:
    """Distinct short documents of a few words."""
    rng = np.random.default_rng(seed)
    return [f"{' '.join(rng.choice(WORDS, size=rng.integers(1, 9)))} {number}" for number in range(count)]


def long_and_short_lines() -> list[str]:
    """Documents on both sides of the context of a tiny run, so that some are written in windows."""
    return [*toy_lines(60), *(f"{'a long document of words ' * 4}{number}" for number in range(30))]


def prose(words: list[str], count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return sorted({" ".join(rng.choice(words, size=rng.integers(4, 9))) for _ in range(count)})


def change_config(path: Path, **sections: object) -> None:
    """Replace sections of a config file."""
    content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    with path.open("w", encoding="utf-8") as file:
        YAML().dump({**content, **sections}, file)


def make_run(root: Path, content: list[str] | bytes = b"", name: str = "toy", **sections: dict) -> RunConfig:
    """The run of a dataset, its lines or bytes, which is written to a folder."""
    folder = root / "datasets"
    folder.mkdir(exist_ok=True)
    data = content if isinstance(content, bytes) else ("\n".join(content) + "\n").encode()
    (folder / f"{name}.txt").write_bytes(data or ("\n".join(toy_lines(60)) + "\n").encode())
    paths = {key: str(root / key) for key in ("datasets", "models", "outputs")}
    return Config(root / "config.yaml", {**TINY, "paths": paths}).resolve(name, **sections)


def write_project(folder: Path) -> Path:
    """A config in a folder, and two datasets; -> the config's path."""
    (folder / "datasets").mkdir()
    for name, seed in (("one", 0), ("two", 1)):
        (folder / "datasets" / f"{name}.txt").write_text("\n".join(toy_lines(80, seed)) + "\n", encoding="utf-8")
    paths = {key: (folder / key).as_posix() for key in ("datasets", "models", "outputs")}
    path = folder / "config.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML().dump({**TINY, "paths": paths, "datasets": {"one": {}, "two": {}}}, file)
    return path


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file grows beyond so many bytes, as on a full disk."""
    import resource  # which Windows lacks

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Killed(BaseException):
    """Ends a command in the middle, as `kill -9` does: nothing in it catches this."""


def config_of(run: RunConfig) -> Config:
    """A config with the folders of a run."""
    return Config(Path("config.yaml"), {"paths": run.paths.model_dump()})


shape = RunConfig.with_training


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name there."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tree(*places: Path) -> dict[Path, object]:
    """All that lies in these places: the bytes of each file, where each link leads, and what else there is."""
    found: dict[Path, object] = {}
    for place in places:
        for path in (place, *place.rglob("*")):
            if path.is_symlink():
                found[path] = path.readlink()
            else:
                found[path] = path.read_bytes() if path.is_file() else stat.S_IFMT(path.stat().st_mode)
    return found


class Quiet(Listener):
    """A listener that says nothing, and stops at a step if asked to."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at, self.resumed_from, self.last = stop_at, None, None
        self.notes: list[str] = []

    def resumed(self, status) -> None:
        self.resumed_from = status.step

    def stepped(self, status) -> None:
        self.last = status

    def stopping(self) -> bool:
        return self.last is not None and self.last.step == self.stop_at

    def note(self, text) -> None:
        self.notes.append(text)


class Oracle:
    """A network that knows the distribution of its data: (V,) * L probabilities -> exact answers by enumeration."""

    def __init__(self, process: Process, probabilities: Tensor) -> None:
        self.process, self.length, self.characters = process, probabilities.dim(), probabilities.shape[0]
        self.texts = torch.tensor(list(itertools.product(range(self.characters), repeat=self.length)))
        self.p = probabilities.flatten().double()

    def entropy(self) -> float:
        """Bits of one whole text."""
        positive = self.p[self.p > 0]
        return float(-(positive * positive.log2()).sum())

    def states(self) -> Tensor:
        """(D ** L, L): every noisy text, masks and all."""
        return torch.tensor(list(itertools.product(range(self.process.states), repeat=self.length)))

    def likelihoods(self, x_t: Tensor, sigma: Tensor) -> Tensor:
        """(B, L), (B,) -> (B, texts, L): p(x_t at a position | the text's character there)."""
        rows = self.process.arrival(x_t, sigma.double().unsqueeze(1)).unsqueeze(1).expand(-1, len(self.texts), -1, -1)
        return rows.gather(-1, self.texts[None, :, :, None].expand(len(x_t), -1, -1, -1)).squeeze(-1)

    def logits(self, x_t: Tensor, sigma: Tensor, given: Tensor) -> Tensor:
        """log pi: what the other positions say of each position."""
        each = self.likelihoods(x_t, sigma)
        pi = torch.zeros(*x_t.shape, self.characters, dtype=torch.float64)
        for place in range(self.length):
            others = [other for other in range(self.length) if other != place]
            weight = self.p * each[:, :, others].prod(-1)
            pi[:, place] = torch.stack([weight[:, self.texts[:, place] == y].sum(1) for y in range(self.characters)], 1)
        return (pi / pi.sum(-1, keepdim=True).clamp_min(1e-300)).log()

    def network(self, parameterization: str):
        """The oracle as a network of this head."""
        if parameterization == "x0":
            return answering(self.once_per_text(self.logits))
        return answering(self.once_per_text(self.log_score))

    def log_score(self, x_t: Tensor, sigma: Tensor, given: Tensor) -> Tensor:
        logits, sigma = self.logits(x_t, sigma, given), sigma.double().expand(len(x_t)).unsqueeze(1)
        return HEADS["x0"].log_score(self.process, logits, x_t, sigma)

    def once_per_text(self, network):
        """The same network, which computes each noisy text once, however many rows of one noise level hold it."""
        states, powers = self.states(), self.process.states ** torch.arange(self.length - 1, -1, -1)

        def answer(x_t, sigma, given):
            if len(x_t) <= len(states) or (sigma != sigma[0]).any():
                return network(x_t, sigma, given)
            return network(states, sigma[:1].expand(len(states)), given)[(x_t * powers).sum(1)]

        return answer


def answering(network):
    """A network of whole texts that also answers for some positions only, as model.DiffusionTransformer does."""

    def answer(x_t, sigma, given, *, positions=None):
        answers = network(x_t, sigma, given)
        return answers if positions is None else answers[positions].unsqueeze(1)

    return answer


def toy_distribution(characters: int, length: int, seed: int = 0) -> Tensor:
    """A peaked, dependent distribution over texts."""
    generator = torch.Generator().manual_seed(seed)
    return (
        (3 * torch.randn((characters,) * length, generator=generator, dtype=torch.float64))
        .flatten()
        .softmax(0)
        .view((characters,) * length)
    )


def one_short_line(message: str) -> bool:
    """Whether a message is one line of less than five hundred characters."""
    return len(message.splitlines()) == 1 and len(message) < 500
