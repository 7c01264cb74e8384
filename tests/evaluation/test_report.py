"""Reports keep the keys of their JSON, and show likelihoods only beside what they compare with."""

import dataclasses
import json
import math
from urllib.parse import quote

import numpy as np
import pytest
import torch
from markdown_it import MarkdownIt
from matplotlib import pyplot
from rich.console import Console

from command.outputs import Outputs
from evaluation.evaluator import Request, compare_voices, evaluate_voice
from evaluation.likelihood import Likelihood
from evaluation.metrics import METRICS, Interval
from evaluation.pictures import png_of, voice_plot
from evaluation.records import Comparison, Copy, VoiceComparison
from evaluation.report import (
    COMPARE,
    JOINT_FILES,
    all_page,
    share_of_words,
    summary,
    table,
    verdict,
    voice_files,
    voice_page,
    write_all,
    write_voice,
)
from evaluation.stored import StoredCopies
from tests.helpers import Quiet, config_of, make_run, toy_lines
from training.trainer import train_model

METRIC_NAMES = [
    "known words",
    "trigram divergence",
    "length distance",
    "5-gram bits/char",
    "character entropy",
    "openings divergence",
    "endings divergence",
    "duplicates",
    "copies",
    "longest match",
]
LIKELIHOOD = {"bits": float, "error": float, "characters": int}
INTERVAL = {"value": float, "low": float, "high": float}
VOICE = {
    "name": str,
    "samples": str,
    "drawn": bool,
    "judged": int,
    "compared": int,
    "likelihood": {
        "held_out": LIKELIHOOD,
        "training": LIKELIHOOD,
        "gap": float,
        "gap_error": float,
        "ordered": {},
        "baselines": {
            "uniform": float,
            "unigram": float,
            "5-gram": float,
            "counts of both sides": float,
            "length": float,
        },
    },
    "figures": {name: {"samples": INTERVAL, "real": INTERVAL} for name in METRIC_NAMES},
    "copies": {
        "bound": int,
        "share": float,
        "calibrated_on": int,
        "gauge": str,
        "flagged": list,
        "worst": list,
        "repeats": int,
        "unknown": int,
        "nearly": int,
    },
    "examples": list,
    "data_sha256": str,
    "training_sha256": str,
    "version": str,
    "weights_sha256": str,
    "voice_sha256": str,
    "training": dict,
    "start": str,
    "unseen": list,
    "held_out_seen": int,
}
ATTRIBUTION = {"samples": float, "samples_interval": list, "real": float, "real_interval": list}


def check_schema(content, schema) -> None:
    """Compare keys, their order, and the types of values, at every depth."""
    if isinstance(schema, dict):
        assert list(content) == list(schema)
        for key, inner in schema.items():
            check_schema(content[key], inner)
    else:
        assert type(content) is schema, (content, schema)


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    """A toy model, judged by new lines and by two lines of its training text."""
    folder = tmp_path_factory.mktemp("judged")
    run = make_run(folder, toy_lines(80))
    train_model(run, Quiet())
    samples = folder / "samples.txt"
    samples.write_text("\n".join([*toy_lines(20, 5), *sorted(toy_lines(80), key=len)[-15:]]) + "\n", encoding="utf-8")
    return evaluate_voice("toy", run.model_file(), samples, Request(60, 0, torch.device("cpu"), config_of(run)))


def test_json_keeps_its_keys(evaluation, tmp_path):
    write_voice(evaluation, Outputs(tmp_path, voice_files("toy"), [], overwrite=False))
    voice = json.loads((tmp_path / "toy_evaluation.json").read_text(encoding="utf-8"))
    check_schema(voice, VOICE)
    assert voice["copies"]["worst"]
    for worst in voice["copies"]["worst"]:
        check_schema(worst, {"index": int, "match": int, "text": str})
    assert {"parameters", "characters", "steps", "held_out_bits"} <= set(voice["training"])
    other = dataclasses.replace(evaluation, name="other")
    together, joint = [evaluation, other], Outputs(tmp_path, JOINT_FILES, [], overwrite=False)
    write_all(compare_voices(together), together, {"toy": tmp_path / "elsewhere/toy_evaluation.md"}, joint)
    rows = (tmp_path / "evaluation.md").read_text(encoding="utf-8").splitlines()
    assert [row.split(" | ")[0] for row in rows if "toy" in row or "other" in row] == [
        "| [toy](elsewhere/toy_evaluation.md)",
        "| other",
    ]
    content = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    matrices = dict.fromkeys(("names", "confusion", "confusion_real", "style_bits"), list)
    attribution = {"toy": ATTRIBUTION, "other": ATTRIBUTION}
    check_schema(content, {"voices": {"toy": VOICE, "other": dict}, **matrices, "attribution": attribution})
    assert content["voices"]["toy"] == voice and np.array(content["style_bits"]).shape == (2, 2)


def test_metrics_keep_the_order_of_their_draws():
    assert [metric.name for metric in METRICS] == METRIC_NAMES


def test_a_comparison_is_at_the_ceiling_when_its_intervals_agree():
    real = Interval(1.0, 0.9, 1.1)
    assert Comparison(METRICS[0], Interval(1.12, 1.02, 1.22), real).at_ceiling
    assert not Comparison(METRICS[0], Interval(1.3, 1.2, 1.4), real).at_ceiling
    assert not Comparison(METRICS[0], Interval(1.17, 1.07, 1.27), real).at_ceiling  # 0.1 and 0.1 are 0.14 together


def test_bits_stand_only_beside_those_that_compare(evaluation):
    exact = Likelihood(2.25, 0.03, 9000)
    likelihood = dataclasses.replace(evaluation.likelihood, ordered={"surest 32": exact, "left to right": exact})
    evaluation = dataclasses.replace(evaluation, likelihood=likelihood)
    nelbo, baselines = likelihood.held_out, likelihood.baselines
    page = "\n".join(voice_page(evaluation))
    bounds, orders = page.split("## Likelihood")[1].split("## Copies")[0].split("| exact, of held-out text in an order")
    assert COMPARE in bounds and "| counts of both sides |" in bounds and "-gram" not in bounds.split("|---")[1]
    assert (
        "| 5-gram, left to right |" in orders
        and "| this voice, surest 32 (9,000 characters) | 2.250 ± 0.030 |" in orders
    )
    pairs = (
        f"{nelbo.bits:.3f} ± {nelbo.error:.3f} / {baselines.two_sided:.3f} | 2.250 ± 0.030 / {baselines.five_gram:.3f}"
    )
    together = all_page(compare_voices([evaluation, dataclasses.replace(evaluation, name="other")]), [evaluation], {})
    assert any(pairs in line for line in together) and any(COMPARE in line for line in together)
    console = Console(width=120)
    with console.capture() as shown:
        console.print(table([evaluation]))
    assert f"2.25 / {baselines.five_gram:.2f}" in shown.get()
    assert "exact: in the order of writing, or left to right if the sampler has none, / of a 5-gram" in shown.get()
    figure = voice_plot(evaluation)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    pyplot.close(figure)
    assert labels[2:] == [
        "5-gram, left to right", "this voice, surest 32", "this voice, left to right", "NELBO: counts of both sides",
        "NELBO: this voice",
    ]  # fmt: skip


def test_a_page_explains_each_metric(evaluation):
    page = "\n".join(voice_page(evaluation))
    for metric in METRICS:
        found = evaluation.comparisons[metric.name]
        assert f"| {metric.name} | {found.samples} | {found.real} | {metric.meaning} |" in page


def test_what_is_flagged_is_to_be_left_out_in_the_words_of_a_card_too():
    copies = StoredCopies(bound=9, share=0.01, calibrated_on=99, gauge="creating", flagged=[3], repeats=5, unknown=0)
    assert verdict(copies).endswith("as far as copying goes, once the flagged documents and the repeats are left out.")
    assert verdict(copies.model_copy(update={"gauge": "of a later version"})) == ""


def test_an_attribution_without_a_miss_is_not_certain():
    found = VoiceComparison(["a", "b"], [[200, 0], [9, 1]], [[100, 100], [0, 10]], style_bits=[]).attributions()
    z2 = 1.96**2
    assert found["a"].samples == 1 and found["a"].samples_interval == pytest.approx((200 / (200 + z2), 1), rel=1e-4)
    half = 1.96 / 2 / np.sqrt(200 + z2)
    assert found["a"].real_interval == pytest.approx((0.5 - half, 0.5 + half), rel=1e-4)
    assert found["b"].samples == 0.1 and found["b"].samples_interval[1] > 0.3  # of ten documents little is known


def test_a_text_without_words_has_no_share_of_known_ones(tiny_run, tmp_path):
    run = tiny_run([f"{k * k} {k * 7919 % 1000}" for k in range(80)])
    train_model(run, Quiet())
    evaluation = evaluate_voice("toy", run.model_file(), None, Request(12, 0, torch.device("cpu"), config_of(run)))
    assert ", no words to compare, copies " in summary(evaluation)
    page = voice_page(evaluation)
    assert any(line.startswith("| known words | - | - |") for line in page)
    assert not any("known words" in line for line in page if line.startswith("- "))
    write_voice(evaluation, Outputs(tmp_path, voice_files("toy"), [], overwrite=False))
    voice = json.loads((tmp_path / "toy_evaluation.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert voice["figures"]["known words"]["real"] == {"value": None, "low": None, "high": None}


def test_a_share_of_next_to_nothing_is_not_shown():
    def words(samples: float, real: float) -> str:
        return share_of_words(Comparison(METRICS[0], *(Interval(value, value, value) for value in (samples, real))))

    assert words(0.9, 0.95) == "95% as many known words as real text"
    assert words(0.5, 0.0) == "50% of words known, 0% in real text"
    assert words(0.9, 0.01) == "90% of words known, 1% in real text"
    assert words(0.0, math.nan) == "no words to compare"


HOSTILE = [
    "```",
    "~~~~",
    "<script>alert(1)</script>",
    "# heading",
    "`` ` ````",
    "| a | b |",
    "\x1b[2J![x](http://x)",
    "`",
]


def test_no_sample_and_no_name_is_taken_for_markup(evaluation):
    """A Markdown renderer finds the page's own blocks alone, and each sample as it is."""
    copies = dataclasses.replace(evaluation.copies, worst=[Copy(k, 9, text) for k, text in enumerate(HOSTILE)])
    name, source = "a`b|[c](d)<e>.pt $x_$", "<img src=x>.txt"
    hostile = dataclasses.replace(evaluation, name=name, source=source, texts=HOSTILE, copies=copies)
    tokens = MarkdownIt().enable("table").parse("\n".join(voice_page(hostile)))
    shown = [text.replace("\x1b", r"\x1b") for text in HOSTILE]
    assert [token.content for token in tokens if token.type == "fence"] == ["\n".join(shown) + "\n"]
    inline = [part for token in tokens if token.type == "inline" for part in token.children or []]
    assert [part.content for part in inline if part.type == "code_inline"] == shown
    assert [part.attrs["src"] for part in inline if part.type == "image"] == [f"{quote(name)}_evaluation.png"]
    assert not [part for part in inline if part.type in ("link_open", "html_inline")]
    assert inline[0].content == name and any(f"({source})" in part.content for part in inline)
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h1", "h2", "h2", "h2", "h2"]
    assert not [token for token in tokens if token.type == "html_block"]
    assert png_of(voice_plot(hostile)).startswith(b"\x89PNG")  # marks of mathematics are read when a picture is drawn
