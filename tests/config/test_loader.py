"""config.yaml as shipped, layers, and every mistake's exact message."""

import re
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from config.loader import Config, load_config
from config.schema import HASHED, RunConfig
from config.section import Section
from tests.helpers import MODULES, ROOT
from utils import UserError

SHIPPED = YAML(typ="safe", pure=True).load((ROOT / "config.yaml").read_text(encoding="utf-8"))


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def sections(model=RunConfig):
    """(section, key, default) of every hyperparameter."""
    for name, field in model.model_fields.items():
        if hasattr(field.annotation, "model_fields"):
            for key, inner in field.annotation.model_fields.items():
                yield name, key, inner.get_default(call_default_factory=True)


def test_shipped_config_names_every_key_with_its_default():
    tables = {name: table for name, table in SHIPPED.items() if name not in ("presets", "datasets")}
    given = {(name, key): v for name, table in tables.items() if isinstance(table, dict) for key, v in table.items()}
    assert given == {(section, key): default for section, key, default in sections()}
    assert {key: SHIPPED[key] for key in ("seed", "device", "preset")} == {
        k: RunConfig.model_fields[k].default for k in ("seed", "device", "preset")
    }


def test_every_line_of_the_shipped_config_that_sets_a_value_has_a_comment():
    text = (ROOT / "config.yaml").read_text(encoding="utf-8").split("\npresets:")[0]
    bare = [line for line in text.splitlines() if re.match(r"\s*\w+: *[^#\s]", line) and "#" not in line]
    assert bare == []


def names_of(section: str, code: str) -> set[str]:
    """The names by which a module reads a section: those that it declares as one, or assigns `run.section` to."""
    kinds = {kind.__name__ for kind in RunConfig.model_fields[section].annotation.__mro__ if issubclass(kind, Section)}
    kinds = kinds - {"Section"} | ({"SamplerSettings"} if section == "sampling" else set())
    names = re.findall(rf'\b(\w+): "?(?:{"|".join(kinds)})\b', code)
    names += re.findall(rf"\b(\w+) = .*\.{section}$", code, re.MULTILINE)
    return {rf"\.{section}", *(rf"\b{name}" for name in names)}


@cache
def readers(section: str) -> list[tuple[str, str]]:
    """The code of each module, and a pattern of the names by which it reads a section."""
    codes = [path.read_text(encoding="utf-8") for path in MODULES]
    return [("|".join(names_of(section, code)), code) for code in codes]


@pytest.mark.parametrize(("section", "key"), [(section, key) for section, key, _ in sections()])
def test_every_key_is_read_by_code(section, key):
    found = any(re.search(rf"(?:{names})\.{key}\b", code) for names, code in readers(section))
    assert found, f"nothing reads {section}.{key}"


def test_shipped_config_resolves_fifteen_datasets_and_its_presets():
    config = load_config(ROOT / "config.yaml")
    assert len(config.datasets) == 15
    run = config.resolve("github_commits", preset="baby")
    assert (run.model.layers, run.model.heads, run.model.width, run.model.context) == (6, 6, 384, 256)
    assert config.resolve("tweets", preset="cpu").model.width == 256


def test_the_automatic_preset_is_the_same_on_every_device(tmp_path):
    config = load_config(ROOT / "config.yaml")
    assert {config.resolve("tweets", device=device).preset for device in ("auto", "cpu", "cuda", "mps")} == {"cpu"}
    assert config.resolve("tweets", preset="tiny").preset == "tiny"
    assert read(tmp_path, "datasets: {d: }").resolve("d").preset == "baby"  # no preset `cpu` here


def test_layers_win_in_order(tmp_path):
    text = "training: {epochs: 1, batch_size: 2, patience: 3}\npreset: p\n"
    text += "presets: {p: {training: {epochs: 4, batch_size: 5}}}\ndatasets: {d: {training: {epochs: 6}}}"
    training = read(tmp_path, text).resolve("d").training
    assert (training.epochs, training.batch_size, training.patience, training.beta2) == (6, 5, 3, 0.99)


def test_a_section_whose_keys_are_all_comments_is_empty(tmp_path):
    text = "training:\n  # epochs: 1\npresets: {p: {model: }}\npreset: p\ndatasets: {d: {sampling: }}"
    assert read(tmp_path, text).resolve("d") == read(tmp_path, "preset: p\npresets: {p: }").merged("d", {})


def test_a_file_without_an_entry_trains_with_the_defaults(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("a\n")
    config = read(tmp_path, f"paths: {{datasets: '{(tmp_path / 'data').as_posix()}'}}\ndatasets: {{other: }}")
    assert config.resolve("mine").data_file() == tmp_path / "data" / "mine.txt"
    with pytest.raises(UserError, match=r"no dataset 'mime' here, and no file .*mime.txt; did you mean 'mine'\?"):
        config.resolve("mime")
    assert config.resolve("other").name == "other"
    (tmp_path / "data" / "Other.txt").write_text("a\n")  # of the same models, where the system ignores case
    with pytest.raises(UserError, match="--dataset 'Other': differs from 'other' in case alone, and on Windows and "):
        config.resolve("Other")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trainin: {}", "trainin: no such key; did you mean 'training'?"),
        ("training: {learning_rat: 1}", "training.learning_rat: no such key; did you mean 'learning_rate'?"),
        ("training: {learning_rate: fast}", "training.learning_rate: 'fast' should be a valid number"),
        ("training: {learning_rate: -1}", "training.learning_rate: -1 should be greater than 0"),
        ("training: {learning_rate: .nan}", "training.learning_rate: nan should be a finite number"),
        ("model: {layers: '6'}", "model.layers: '6' should be a valid integer"),
        ("model: {layers: 1.5}", "model.layers: 1.5 should be a valid integer"),
        ("model: {layers: yes}", "model.layers: 'yes' should be a valid integer"),
        ("model: {context: 100}", "model.context: 100 should be a multiple of 16"),
        ("model: {width: 100, heads: 6}", "model: width 100 must be a multiple of twice heads, 12"),
        ("model: {attention_layers: 7}", "model: attention_layers 7 must not be more than layers, 6"),
        ("model: {conv_width: 4}", "model: conv_width 4 must be odd, so that a window has a middle"),
        ("data: {max_documents: 1}", "data: max_documents 1 leaves none to hold out; at least 2, or 0 for all"),
        ("model: 5", "model: expected keys with values, found 5"),
        (
            "diffusion: {process: unifrom}",
            "diffusion.process: 'unifrom' is not one of uniform, absorbing, hybrid; did you mean 'uniform'?",
        ),
        (
            "model: {parameterization: score}",
            "training.loss 'posterior' needs model.parameterization 'x0'; choose loss 'nelbo'",
        ),
        (
            "sampling: {sampler: surest}",
            "sampling.sampler 'surest' needs diffusion.process 'absorbing'; choose sampler 'tweedie'",
        ),
        ("sampling: {overlap: 255}", "sampling.overlap 255 must leave room in model.context 256"),
        ("preset: bayb", "preset: 'bayb' is not one of baby; did you mean 'baby'?"),
        ("preset: p\npresets: {p: {model: {layer: 3}}}", "presets.p.model.layer: no such key; did you mean 'layers'?"),
        (
            "datasets: {tweets: {model: {layers: 0}}}",
            "datasets.tweets.model.layers: 0 should be greater than or equal to 1",
        ),
        (
            "datasets: {../up: {}}",
            "datasets: '../up' must consist of at most 100 letters a-z and A-Z, digits, '_' and '-', "
            "begin with a letter or digit, and be no Windows device name",
        ),
        (
            "datasets: {Aux: {}}",
            "datasets: 'Aux' must consist of at most 100 letters a-z and A-Z, digits, '_' and '-', "
            "begin with a letter or digit, and be no Windows device name",
        ),
        *(
            (
                f"data: {{file: '{file}'}}",
                f"data.file: {file!r} must lie in the datasets folder; paths.datasets says which that is",
            )
            for file in ("/etc/passwd", "../up.txt", "C:up.txt")
        ),
        ("paths: {models: ''}", "paths.models: an empty name; name a folder, . for this one"),
        ("data: {file: a/Nul.txt}", "data.file: 'a/Nul.txt' names a device on Windows; rename it"),
        *(
            (
                f"paths: {{datasets: ., models: {models}}}\ndatasets: {{a: {{data: {{file: {file}}}}}}}",
                f"datasets.a: data.file: {file!r} names a file that training writes; rename it, or set paths.models",
            )
            for models, file in ((".", "a.pt"), ("./sub/", "sub/a.resume.pt"))
        ),
        (
            "datasets: {toy: {}, a: {}, Toy: {}}",
            "datasets: 'toy' and 'Toy' differ in case alone, and would share files on macOS and Windows; rename one",
        ),
        ("datasets: [a]", "datasets: expected keys with values, found ['a']"),
        ("datasets: {a: 3}", "datasets.a: expected keys with values, found 3"),
        ("- a\n- b", "expected keys with values, found ['a', 'b']"),
        ("seed: 1\nseed: 2", 'line 2, column 1: found duplicate key "seed" with value "2" (original value: "1")'),
        ("seed: [1", "line 1, column 9: expected ',' or ']', but got '<stream end>'"),
    ],
)
def test_mistakes_are_named_in_one_line(tmp_path, text, message):
    with pytest.raises(UserError) as error:
        read(tmp_path, text)
    assert str(error.value) == f"{tmp_path / 'c.yaml'}: {message}"


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        ("max_length: 1000001", "sampling.max_length: 1000001 should be less than or equal to 1000000"),
        (
            "{max_length: 500000, steps: 4096, overlap: 200}",
            "sampling: up to 36,560,896 network calls for one document, more than 10,000,000; "
            "lower sampling.max_length, overlap, steps or revisions",
        ),
    ],
)
def test_a_document_has_bounds(tmp_path, sampling, message):
    with pytest.raises(UserError) as error:
        read(tmp_path, f"sampling: {sampling if '{' in sampling else '{' + sampling + '}'}")
    assert str(error.value) == f"{tmp_path / 'c.yaml'}: {message}"


def test_every_mistake_is_named_at_once(tmp_path):
    with pytest.raises(UserError) as error:
        read(tmp_path, "datasets:\n  a: {model: {layers: 0}}\n  b: {training: {epoch: 1}}\nseed: -1")
    lines = str(error.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["seed", "datasets.a.model.layers", "datasets.b.training.epoch"]


def test_numbers_in_scientific_notation_are_numbers(tmp_path):
    assert (
        read(tmp_path, "training: {learning_rate: 3e-4}\ndatasets: {d: }").resolve("d").training.learning_rate == 3e-4
    )


def test_a_default_and_the_same_value_written_out_have_one_hash():
    run = Config(Path("c.yaml"), {}).merged("toy", {})
    written = Config(Path("c.yaml"), {"training": {"max_minutes": 0, "epochs": 20}}).merged("toy", {})
    again = RunConfig.model_validate_json(run.model_dump_json())
    assert run.training_hash() == written.training_hash() == again.training_hash()


def test_the_training_hash_leaves_out_what_shapes_no_weights(tmp_path):
    base = read(tmp_path, "datasets: {d: }").resolve("d")
    other = {
        "sampling": {"steps": 5},
        "paths": {"models": "elsewhere"},
        "device": "cpu",
        "training": {"max_minutes": 5},
    }
    assert all(
        base.model_copy(update={k: type(getattr(base, k))(**v) if isinstance(v, dict) else v}).training_hash()
        == base.training_hash()
        for k, v in other.items()
    )


SHAPING = [
    {"seed": 3}, {"data": {"held_out": 0.2}}, {"model": {"layers": 1}}, {"diffusion": {"process": "absorbing"}},
    {"training": {"epochs": 3}},
]  # fmt: skip


@pytest.mark.parametrize("other", SHAPING, ids=lambda other: next(iter(other)))
def test_every_section_that_shapes_the_weights_changes_the_hash(other):
    base, found = (Config(Path("c.yaml"), settings).merged("toy", {}) for settings in ({}, other))
    assert not found.trains_like(base)


def test_every_section_that_shapes_the_weights_is_tried():
    assert {"name", *(key for other in SHAPING for key in other)} == HASHED


SUREST = "diffusion: {process: absorbing}\n"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("presets: {small: {sampling: {sampler: surest, steps: 32}}}\npreset: small\n", "presets.small."),
        ("datasets: {d: {sampling: {sampler: surest, renoise: 0.15}}}\n", "datasets.d."),
        ("sampling: {sampler: surest, steps: 8, temperature: 0.9}\n", ""),
        ("datasets: {d: {sampling: {sampler: tweedie, stretch: 8}}}\n", "datasets.d."),
    ],
)
def test_a_key_that_the_sampler_does_not_read_is_refused(tmp_path, text, place):
    with pytest.raises(UserError) as caught:
        read(tmp_path, SUREST + text).resolve("d")
    assert re.search(
        rf": {re.escape(place)}sampling\.\w+: the sampler \w+ does not read it; it reads ", str(caught.value)
    )


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("sampling: {sampler: surest, temperature: 0.9}\ndatasets: {d: }\n", "temperature", 0.9),
        # as config.yaml, which has all keys
        ("sampling: {sampler: surest, steps: 64, stretch: 8}\ndatasets: {d: }\n", "stretch", 8),
        (
            "presets: {small: {sampling: {stretch: 8, sampler: surest}}}\npreset: small\n"
            "datasets: {d: {sampling: {sampler: tweedie, steps: 9}}}\n",
            "steps",
            9,
        ),
    ],
)
def test_keys_that_some_sampler_reads_are_taken_where_they_are_read(tmp_path, text, key, value):
    assert getattr(read(tmp_path, SUREST + text).resolve("d").sampling, key) == value


def test_a_model_that_all_others_start_from_may_be_used(tmp_path):
    stored = Config(tmp_path / "config.yaml", {}).merged("common", {})
    config = Config(tmp_path / "config.yaml", {"training": {"start_from": "common"}, "datasets": {"voice": {}}})
    assert config.placed(stored).name == "common" and config.resolve("voice").training.start_from == "common"
    with pytest.raises(UserError, match=r"start_from: .* is the model to be trained"):
        Config(config.path, {"training": {"start_from": "voice"}, "datasets": {"voice": {}}}).resolve("voice")


def test_a_mistake_of_one_dataset_names_it(tmp_path):
    """Also if two keys do not go together, so that no single key is the mistake."""
    fifteen = "".join(f"  d{number}:\n" for number in range(14))
    with pytest.raises(UserError) as error:
        read(tmp_path, f"datasets:\n{fifteen}  odd: {{model: {{context: 16}}, sampling: {{overlap: 20}}}}\n")
    said = "datasets.odd: sampling.overlap 20 must leave room in model.context 16"
    assert str(error.value) == f"{tmp_path / 'c.yaml'}: {said}"
    with pytest.raises(UserError) as error:
        read(tmp_path, f"sampling: {{overlap: 255}}\ndatasets:\n{fifteen}")
    assert str(error.value) == f"{tmp_path / 'c.yaml'}: sampling.overlap 255 must leave room in model.context 256"


@pytest.mark.parametrize(
    ("presets", "said"),
    [
        ("{p: 5}", "presets.p: expected keys with values, found 5"),
        ("{p: {modle: 5}}", "presets.p.modle: no such key; did you mean 'model'?"),
        ("{p: {model: {width: x}}}", "presets.p.model.width: 'x' should be a valid integer"),
        ("{p: {preset: baby}}", "presets.p.preset: no such key; no preset builds on another"),
        ("{auto: {seed: 5}}", "presets.auto: means the preset cpu; choose another name"),
    ],
)
def test_mistakes_in_presets_that_nobody_uses_are_named(tmp_path, presets, said):
    with pytest.raises(UserError) as error:
        read(tmp_path, f"presets: {presets}\ndatasets: {{one: }}\n")
    assert str(error.value) == f"{tmp_path / 'c.yaml'}: {said}"


@pytest.mark.parametrize(("name", "read_as"), [("2024", "2024"), ("2024-01-01", "2024, 1, 1"), ("true", "True")])
def test_a_name_that_yaml_takes_for_a_number_is_to_be_quoted(tmp_path, name, read_as):
    with pytest.raises(UserError, match=rf"datasets: .*{read_as}.* is no text; write the name in quotes"):
        read(tmp_path, f"datasets:\n  {name}:\n")
    assert [*read(tmp_path, f"datasets:\n  '{name}':\n").datasets] == [name]
