"""The configuration schema: every key of config.yaml with its type, default (those of sets in sets.py) and bounds.

The comments in config.yaml explain the keys to users. All sections are read-only, and an unknown key is an error.
"""

import math
from dataclasses import fields
from os.path import expanduser, realpath
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator, model_validator

from command.messages import counted
from command.places import is_device, is_same_place
from config.errors import one_of, shown
from config.names import Name, is_safe_name
from config.section import Section
from config.sets import CollectionConfig
from diffusion.objectives import HEADS, LOSSES
from diffusion.processes import PROCESSES
from diffusion.sampler_settings import SamplerSettings
from diffusion.samplers import SAMPLERS
from diffusion.schedules import SCHEDULES
from utils import hash_json

AUTO = "auto"
ENOUGH_TEXT = 800_000  # characters; of fewer the preset tiny learns more than cpu: benchmarks/results/learning.md
MOST_CHARACTERS = 60_000  # of a vocabulary: ids have 16 bits, and some are left
MOST_CALLS = 10_000_000  # of the network for one document: days of a CPU; the presets take thousands
HASHED = {"name", "seed", "data", "model", "diffusion", "training"}  # sections that determine the weights
LONGEST_DOCUMENT = 1_000_000  # characters that a model may write into one document; a thick novel has as many


class PathsConfig(Section):
    """The folders of text files, models and outputs."""

    datasets: str = "datasets"
    models: str = "models"
    outputs: str = "outputs"

    @field_validator("*")
    @classmethod
    def check_folder(cls, value: str) -> str:
        if not value:
            raise ValueError("an empty name; name a folder, . for this one")
        return expanduser(value)  # noqa: PTH111  of a user unknown here it leaves the name as it is


class DataConfig(Section):
    """The text file, and how its documents are read, sampled and held out."""

    file: str = ""  # empty: <name>.txt
    format: Annotated[str, one_of(("lines", "stream"))] = "lines"
    max_documents: int = Field(default=0, ge=0)
    vocab_size: int = Field(default=128, ge=2, le=MOST_CHARACTERS)
    held_out: float = Field(default=0.05, gt=0, le=0.5)
    invalid_utf8: Annotated[str, one_of(("error", "skip", "replace"))] = "error"

    @property
    def stream(self) -> bool:
        """Whether it is continuous text instead of one document per line."""
        return self.format == "stream"

    @model_validator(mode="after")
    def check_sample(self) -> "DataConfig":
        if self.max_documents == 1:
            raise ValueError("max_documents 1 leaves none to hold out; at least 2, or 0 for all")
        return self

    @field_validator("file")
    @classmethod
    def check_file(cls, file: str) -> str:
        path = PureWindowsPath(file)  # accepts the separators of Windows and of Unix
        if path.anchor or ".." in path.parts:
            raise ValueError(f"{shown(file)} must lie in the datasets folder; paths.datasets says which that is")
        if any(map(is_device, path.parts)):
            raise ValueError(f"{shown(file)} names a device on Windows; rename it")
        return file


class ModelConfig(Section):
    """The size and form of the network."""

    layers: int = Field(default=6, ge=1, le=48)
    attention_layers: int = Field(default=0, ge=0, le=48)
    heads: int = Field(default=6, ge=1, le=64)
    width: int = Field(default=384, ge=8, le=4096)
    context: int = Field(default=256, ge=16, le=4096, multiple_of=16)
    conv_width: int = Field(default=7, ge=1, le=31)
    noise_width: int = Field(default=128, ge=8, le=1024)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    parameterization: Annotated[str, one_of(HEADS)] = "x0"

    @model_validator(mode="after")
    def check_shapes(self) -> "ModelConfig":
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} must be a multiple of twice heads, {2 * self.heads}")
        if self.attention_layers > self.layers:
            raise ValueError(f"attention_layers {self.attention_layers} must not be more than layers, {self.layers}")
        if self.conv_width % 2 == 0:
            raise ValueError(f"conv_width {self.conv_width} must be odd, so that a window has a middle")
        return self


class DiffusionConfig(Section):
    """The noise process and its schedule."""

    process: Annotated[str, one_of(PROCESSES)] = "uniform"
    schedule: Annotated[str, one_of(SCHEDULES)] = "log_linear"


class TrainingConfig(Section):
    """Loss, optimiser, length and measurements of a training."""

    loss: Annotated[str, one_of(LOSSES)] = "posterior"
    optimizer: Annotated[str, one_of(("muon", "adamw"))] = "muon"
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    muon_learning_rate: float = Field(default=0.02, gt=0, le=1)
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    beta2: float = Field(default=0.99, gt=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    batch_size: int = Field(default=64, ge=1, le=65_536)
    epochs: float = Field(default=20, gt=0, le=1e9)
    max_steps: int = Field(default=0, ge=0)
    max_minutes: float = Field(default=0, ge=0, le=1e9)
    warmup: float = Field(default=0.02, ge=0, le=0.5)
    final_rate: float = Field(default=0.05, ge=0, le=1)
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    times_mean: float = Field(default=0.5, ge=0, le=1)
    times_width: float = Field(default=0.0, ge=0, le=10)
    start_from: str = ""
    start_rates: float = Field(default=0.5, gt=0, le=1)
    given_fraction: float = Field(default=0.1, ge=0, le=1)
    precision: Annotated[str, one_of(("auto", "bfloat16", "float32"))] = "auto"
    validations: int = Field(default=20, ge=1)
    validation_characters: int = Field(default=20_000, ge=100)
    patience: int = Field(default=5, ge=0)
    tensorboard: bool = False


# abs: -0.0 becomes 0.0, so that equal settings have one hash
FromZero = Annotated[float, Field(ge=0, lt=1), AfterValidator(abs)]


class SamplingConfig(Section):
    """How a trained model writes documents."""

    sampler: Annotated[str, one_of(SAMPLERS)] = "tweedie"
    grid: Annotated[str, one_of(SCHEDULES)] = "log_linear"
    steps: int = Field(default=64, ge=1, le=4096)
    temperature: float = Field(default=0.8, ge=1e-3, le=10)
    top_p: float = Field(default=1.0, ge=1e-3, le=1)
    greedy_last_step: bool = True
    renoise: FromZero = 0.0
    stretch: int = Field(default=32, ge=1, le=4096)
    revisions: int = Field(default=10, ge=0, le=1000)
    revised: FromZero = 0.15
    revision_stretch: int = Field(default=0, ge=0, le=4096)
    max_length: int = Field(default=4000, ge=1, le=LONGEST_DOCUMENT)
    overlap: int = Field(default=64, ge=1)
    batch_size: int = Field(default=256, ge=1)

    def sampler_settings(self) -> SamplerSettings:
        """The part of this section that a sampler reads."""
        return SamplerSettings(**{field.name: getattr(self, field.name) for field in fields(SamplerSettings)})


def stored_sampling(found: Any) -> Any:
    """Sampling settings of a stored file, which may come from an earlier version, with today's keys.

    Earlier, `surest` had no keys of its own: `steps` was its stretch, `renoise` its share `revised`, and it made
    steps // 3 revisions if `renoise` was not 0.
    """
    if not isinstance(found, dict):
        return found  # a mistake, which the schema names
    steps, renoise = found.get("steps"), found.get("renoise")
    if found.get("sampler") != "surest" or "stretch" in found or not isinstance(steps, int):
        return found
    return {**found, "stretch": steps, "revisions": steps // 3 if renoise else 0, "revised": renoise}


class RunConfig(Section):
    """One resolved configuration: common sections, preset, dataset entry and command line merged."""

    name: Name
    seed: int = Field(default=1337, ge=0, lt=2**63)
    device: Annotated[str, one_of(("auto", "cpu", "cuda", "mps"))] = "auto"
    preset: str = AUTO
    paths: PathsConfig = PathsConfig()
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    diffusion: DiffusionConfig = DiffusionConfig()
    training: TrainingConfig = TrainingConfig()
    sampling: SamplingConfig = SamplingConfig()
    collection: CollectionConfig = CollectionConfig()
    license: str = ""
    source: str = ""

    @model_validator(mode="after")
    def check_together(self) -> "RunConfig":
        if self.training.loss == "posterior" and self.model.parameterization == "score":
            raise ValueError("training.loss 'posterior' needs model.parameterization 'x0'; choose loss 'nelbo'")
        sampler = self.sampling.sampler
        if SAMPLERS[sampler].fills_masks and self.diffusion.process != "absorbing":
            needs = f"sampling.sampler {sampler!r} needs diffusion.process 'absorbing'"
            raise ValueError(f"{needs}; choose sampler 'tweedie'")
        overlap, context = self.sampling.overlap, self.model.context
        if overlap >= context - 1:
            raise ValueError(f"sampling.overlap {overlap} must leave room in model.context {context}")
        if (calls := self.most_calls()) > MOST_CALLS:
            what = f"sampling: up to {counted(calls, 'network call')} for one document, more than {MOST_CALLS:,}"
            raise ValueError(f"{what}; lower sampling.max_length, overlap, steps or revisions")
        return self

    def overwritten(self) -> str:
        """Why training would write over a file that it reads, in words; "" if it would not."""
        if realpath(self.data_file()) in (realpath(self.model_file()), realpath(self.state_file())):
            what = f"data.file: {shown(self.data.file)} names a file that training writes"
            return f"{what}; rename it, or set paths.models"
        if self.starts_from(self):
            return f"training.start_from: {shown(str(self.start_file()))} is the model to be trained; name another"
        return ""

    def most_calls(self) -> int:
        """How many network calls the longest document takes, all its windows together."""
        context, sampling = self.model.context, self.sampling
        windows = 1 + math.ceil(max(0, sampling.max_length + 2 - context) / (context - sampling.overlap))
        return windows * SAMPLERS[sampling.sampler].calls(sampling.sampler_settings(), context)

    def data_file(self) -> Path:
        """The text file to learn from."""
        return Path(self.paths.datasets) / (self.data.file or f"{self.name}.txt")

    def model_file(self) -> Path:
        """The trained model."""
        return Path(self.paths.models) / f"{self.name}.pt"

    def state_file(self) -> Path:
        """The state of an unfinished training, from which it resumes."""
        return Path(self.paths.models) / f"{self.name}.resume.pt"

    def start_file(self) -> Path | None:
        """The model whose weights training starts from; None to start from random ones."""
        start = expanduser(self.training.start_from)  # noqa: PTH111  as of paths
        if is_safe_name(start):
            return Path(self.paths.models) / f"{start}.pt"
        return Path(start) if start else None

    def starts_from(self, other: "RunConfig") -> bool:
        """Whether training starts from the model that another run makes, by whatever path it names it."""
        start = self.start_file()
        return bool(start) and is_same_place(start, other.model_file())

    def with_training(self, **settings: Any) -> "RunConfig":
        """The same run with other settings of its training."""
        return self.model_copy(update={"training": self.training.model_copy(update=settings)})

    def minutes(self) -> float:
        """How long training may take, in minutes; infinite without a limit."""
        return self.training.max_minutes or float("inf")

    @classmethod
    def stored(cls, config: dict[str, Any]) -> "RunConfig":
        """The run stored in a model or state file of this or an earlier version; keys it lacks take their defaults.

        Its paths are those of the machine that wrote it and may be a stranger's: see Config.placed for this machine's.
        """
        return cls.model_validate({**config, "paths": {}, "sampling": stored_sampling(config.get("sampling", {}))})

    def trains_like(self, other: "RunConfig") -> bool:
        """Whether two runs give the same weights when trained on the same text."""
        return self.training_hash() == other.training_hash()

    def training_hash(self) -> str:
        """SHA-256 of the settings that determine the weights and differ from the defaults: no time, paths, sampling.

        data.file does not count: the text is known by its own hash.
        """
        # a key added in a later version does not change it, so finished models need no new training
        exclude = {"training": {"max_minutes", "tensorboard"}, "data": {"file"}}
        settings = self.model_dump(include=HASHED, exclude=exclude, exclude_defaults=True)
        return hash_json({key: value for key, value in settings.items() if value != {}})
