"""Reads config.yaml and merges its layers into the run of a dataset: one resolved configuration.

The layers are the common sections, a preset, the dataset's entry and the command line. Later layers win, key by key.
"""

from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from command.options import CONFIG_FILE
from config.data_file import CACHE, misnamed, no_data, text_files
from config.errors import describe, listed, nearest, place, shown
from config.names import NAME_RULE, is_safe_name
from config.schema import AUTO, RunConfig
from config.yaml_reader import read_yaml
from diffusion.samplers import SAMPLERS, not_read
from utils import UserError

COMMON = set(RunConfig.model_fields) - {"name"}
SECTIONS = {key for key, field in RunConfig.model_fields.items() if isinstance(field.default, BaseModel)}
TOP_LEVEL = COMMON | {"presets", "datasets"}
BASE = "base"  # the model that train.py --base makes of all texts, and where in the datasets folder its text lies
BASE_FILE = f"{CACHE}/base.txt"
OF_BASE = {"data": {"file": BASE_FILE, "format": "lines", "max_documents": 0}, "training": {"start_from": ""}}
MOST_PROBLEMS = 100  # lines about one file; more say nothing new


class Config:
    """The content of a config.yaml; `resolve(name)` gives the run of one dataset."""

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.path = path
        self.common = {key: value for key, value in content.items() if key in COMMON}
        self.presets = {"baby": {}, **or_empty(content.get("presets"))}
        self.datasets: dict[str, Any] = or_empty(content.get("datasets"))

    def resolve(self, name: str, **overrides: Any) -> RunConfig:
        """The run of a dataset that has an entry here or a text file in the datasets folder.

        `overrides` are the values of the command line. Raises UserError for an unknown dataset or a wrong value.
        """
        if name in self.datasets:
            return self.trainable(self.merged(name, overrides))
        folder = Path(self.shared(**overrides).paths.datasets)
        known = [*self.datasets, *text_files(folder)]
        if not is_safe_name(name):
            raise UserError(misnamed(name, folder, known))
        run = self.trainable(self.merged(name, overrides))
        if not run.data_file().is_file():
            missing = f"{self.path}: no dataset {name!r} here, and no file {run.data_file()}{nearest(name, known)}"
            raise UserError(no_data(run.data_file(), missing))
        if alike := next((other for other in known if other.lower() == name.lower() and other != name), None):
            what = f"on Windows and macOS its model would be that of {alike!r}; type that, or rename one"
            raise UserError(f"--dataset {name!r}: differs from {alike!r} in case alone, and {what}")
        return run

    def shared(self, **overrides: Any) -> RunConfig:
        """The run of the common sections alone, whatever the datasets say."""
        return Config(self.path, {**self.common, "presets": self.presets}).merged("dataset", overrides)

    def trainable(self, run: RunConfig) -> RunConfig:
        """This run. Raises UserError if its training would write over what it reads."""
        if problem := run.overwritten():
            raise UserError(f"{self.path}: {problem}")
        return run

    def placed(self, stored: RunConfig, data: Path | None = None) -> RunConfig:
        """The run of a model file with the folders and the text file of this config; `data` names another text file.

        A model may come from anywhere, so no path that it holds is used.
        """
        here = self.merged(stored.name, {})
        file = here.data.file if data is None else str(data.absolute())
        return stored.model_copy(update={"paths": here.paths, "data": stored.data.model_copy(update={"file": file})})

    def merged(self, name: str, overrides: dict[str, Any]) -> RunConfig:
        """Merge common sections, preset, dataset entry and overrides, and validate the result."""
        entry = keys_of(self.path, f"datasets.{name}", self.datasets.get(name))
        preset = ChainMap(overrides, entry, self.common).get("preset", AUTO)
        if preset == AUTO:
            preset = "cpu" if "cpu" in self.presets else "baby"
        if not isinstance(preset, str) or preset not in self.presets:
            choices = listed(self.presets) + nearest(preset, self.presets)
            raise UserError(f"{self.path}: preset: {shown(preset)} is not one of {choices}")
        preset_layer = keys_of(self.path, f"presets.{preset}", self.presets[preset])
        if "preset" in preset_layer:
            raise UserError(f"{self.path}: presets.{preset}.preset: no such key; no preset builds on another")
        layers = {"": self.common, f"presets.{preset}.": preset_layer, f"datasets.{name}.": entry}
        layers["command line: "] = overrides
        check_sampler_reads(self.path, layers)
        content: dict[str, Any] = {}
        for layer in layers.values():
            content = merge(content, {key: or_empty(layer[key]) if key in SECTIONS else layer[key] for key in layer})
        content["preset"] = preset
        if "name" in content:
            raise UserError(f"{self.path}: name: no such key; a dataset's name is its key under datasets")
        try:
            if name == BASE and BASE not in self.datasets:
                base = RunConfig.model_validate({**merge(content, OF_BASE), "name": name})
                if not (Path(base.paths.datasets) / f"{BASE}.txt").is_file():  # a text of the user's own
                    # with the voices' seed it would hold out what they do, and its text has none of that
                    return base.model_copy(update={"seed": base.seed ^ 1})
            return RunConfig.model_validate({**content, "name": name})
        except ValidationError as error:
            problems = [describe(problem, RunConfig, layers) for problem in error.errors()[:MOST_PROBLEMS]]
            raise UserError("\n".join(f"{self.path}: {problem}" for problem in problems)) from None


def load_config(path: Path) -> Config:
    """Read a config file and validate every dataset in it. Raises UserError with one line per mistake."""
    content = keys_of(path, "", read_yaml(path))
    for key in content:
        if key not in TOP_LEVEL:
            raise UserError(f"{path}: {place([key])}: no such key{nearest(key, TOP_LEVEL)}")
    for section in ("presets", "datasets"):
        for name in keys_of(path, section, content.get(section)):
            if not isinstance(name, str):
                raise UserError(f"{path}: {section}: {shown(name)} is no text; write the name in quotes")
            if not is_safe_name(name):
                raise UserError(f"{path}: {section}: {shown(name)} {NAME_RULE}")
    config = Config(path, content)
    check_distinct(path, config.datasets)
    if AUTO in config.presets:
        raise UserError(f"{path}: presets.{AUTO}: means the preset cpu; choose another name")
    problems: dict[str, None] = {}  # each once: a mistake in a common section is found in every dataset
    for line in problems_in(config):
        problems[line] = None
        if len(problems) == MOST_PROBLEMS:
            break
    if problems:
        raise UserError("\n".join(problems))
    return config


def problems_in(config: Config) -> Iterator[str]:
    """A line for each mistake: in every preset, and in every dataset, or in the common sections if there is none."""
    for preset in config.presets:
        mistakes = mistakes_in(config.shared, preset=preset)
        yield from (line for line in mistakes if f"presets.{preset}" in line)  # others may be no mistake in a dataset
    shared, start = mistakes_in(config.shared), f"{config.path}: "
    yield from () if config.datasets else shared
    for name in config.datasets:
        for line in mistakes_in(config.resolve, name):
            placed = line in shared or line.startswith((f"{start}datasets.", f"{start}presets."))
            yield line if placed else f"{start}datasets.{name}: {line.removeprefix(start)}"


def mistakes_in(make: Callable[..., RunConfig], *names: str, **overrides: Any) -> list[str]:
    """The mistakes that keep a run from being made, a line each."""
    try:
        make(*names, **overrides)
    except UserError as error:
        return str(error).splitlines()
    return []


def check_distinct(path: Path, names: Iterable[str]) -> None:
    """Raise UserError for names that differ only in case: on some file systems they would share files."""
    known: dict[str, str] = {}
    for name in names:
        if (other := known.setdefault(name.lower(), name)) != name:
            what = f"{other!r} and {name!r} differ in case alone, and would share files on macOS and Windows"
            raise UserError(f"{path}: datasets: {what}; rename one")


def config_or_defaults(path: Path) -> Config:
    """A config file for its folders alone: where there is no config.yaml, the defaults hold."""
    return Config(path, {}) if path == CONFIG_FILE and not path.exists() else load_config(path)


def run_to_prepare(path: Path, name: str) -> RunConfig:
    """The run of a dataset whose text, NAME.txt, is to be made, by a config file that need not be there.

    Raises UserError for a name that no dataset can have, and if the config names another file for it.
    """
    config = config_or_defaults(path)
    if not is_safe_name(name):
        raise UserError(f"--name {shown(name)}: a dataset's name {NAME_RULE}")
    run = config.merged(name, {})
    if run.data.file not in ("", f"{name}.txt"):
        if name == BASE and name not in config.datasets:
            raise UserError(f"--name {name}: train.py --base trains a model of this name; choose another name")
        raise UserError(f"{path}: datasets.{name}: data.file is {run.data.file!r}, and {name}.txt would not be read")
    return run


def check_sampler_reads(path: Path, layers: dict[str, dict[str, Any]]) -> None:
    """Raise UserError if a preset, a dataset or the command line sets a key that its sampler does not read.

    The common sections may set the keys of all samplers; but if they name a sampler and set none of its own keys, the
    keys of another one are a mistake.
    """
    sampler = RunConfig.model_fields["sampling"].default.sampler
    sampler_keys = {key for row in SAMPLERS.values() for key in row.reads}
    shared = sampler_keys.intersection(*(row.reads for row in SAMPLERS.values()))
    for prefix, layer in layers.items():
        sampling = layer.get("sampling")
        if not isinstance(sampling, dict):
            continue
        sampler = sampling.get("sampler", sampler)
        reads = SAMPLERS[sampler].reads if isinstance(sampler, str) and sampler in SAMPLERS else sampler_keys
        chosen_here = "sampler" in sampling and not sampling.keys() & (set(reads) - shared)
        for key in sampling if prefix or chosen_here else ():
            if key in sampler_keys and key not in reads:
                raise UserError(f"{path}: {prefix}sampling.{key}: {not_read(sampler, reads)}")


def merge(base: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    """A copy of `base` with the values of `layer`; sections are merged key by key."""
    merged = dict(base)
    for key, value in layer.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def or_empty(value: Any) -> Any:
    """A section's value; a key without a value is an empty section."""
    return {} if value is None else value


def keys_of(path: Path, where: str, value: Any) -> dict[str, Any]:
    """The keys of a section with their values, none of one without a value. UserError if it is anything else."""
    if not isinstance(section := or_empty(value), dict):
        raise UserError(f"{path}: {where + ': ' if where else ''}expected keys with values, found {shown(section)}")
    return section
