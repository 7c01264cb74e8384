"""What a checkup expects of a training: a line through what was measured, and counts of the text itself."""

import math

import numpy as np
import pytest

from checkup.estimate import LEAST_READ, MARGIN, MOST_READ, NETWORKS, TRAININGS, Estimate, estimate_of, in_words
from config.loader import load_config
from dataset_loader import held_out_batches
from diffusion.objectives import Diffusion
from evaluation.likelihood import held_out_likelihood
from evaluation.two_sided import TwoSidedCounts
from tests.helpers import ROOT, shape
from text.corpus import load_corpus


def test_the_line_is_that_of_least_squares_and_its_error_twice_the_deviation():
    x = [math.log(1e6 * millions) for _, _, millions, _, _ in TRAININGS]
    y = [counts - bits for *_, bits, counts in TRAININGS]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)
    left = [b - mean_y - slope * (a - mean_x) for a, b in zip(x, y, strict=True)]
    estimate = Estimate(3.0, 1000, 1e7, 1e7, 10**7, True)
    assert estimate.bits(1e7) == pytest.approx(3.0 - mean_y - slope * (math.log(1e7) - mean_x))
    assert pytest.approx(2 * math.sqrt(sum(r * r for r in left) / (len(x) - 2))) == MARGIN
    assert sum(abs(r) > MARGIN for r in left) <= len(left) / 10  # the band holds what was measured


def test_every_training_of_the_line_stands_in_the_results():
    page = (ROOT / "benchmarks/results/learning.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if row[1] in ("tiny", "cpu")]
    told = [(text, preset, float(read), float(bits), float(counts)) for text, preset, read, _, bits, counts, _ in rows]
    assert sorted(told) == sorted(TRAININGS)
    assert all(float(row[3]) == pytest.approx(float(row[5]) - float(row[4]), abs=0.0011) for row in rows)


def test_the_networks_of_the_line_are_the_presets_as_shipped():
    for preset, network in NETWORKS.items():
        run = load_config(ROOT / "config.yaml").shared(preset=preset)
        model = run.model
        assert (model.layers, model.attention_layers, model.width, model.context) == network
        assert run.diffusion.process == "absorbing"
    assert NETWORKS.keys() == {preset for _, preset, *_ in TRAININGS}


def test_nothing_is_promised_beyond_what_was_measured():
    estimate = Estimate(3.0, 1000, 1e7, 1e9, 10**7, True)
    assert estimate.bits(MOST_READ * 100) == estimate.bits(MOST_READ)
    assert estimate.bits(LEAST_READ / 100) == estimate.bits(LEAST_READ)
    assert estimate.told(LEAST_READ / 2) == f"over {estimate.bits(LEAST_READ) - MARGIN:.1f}"
    low, high = estimate.bits(MOST_READ) - MARGIN, estimate.bits(MOST_READ) + MARGIN
    assert estimate.told(MOST_READ) == f"{low:.1f} to {high:.1f}"
    assert estimate.told(2 * MOST_READ) == f"{low:.1f} to {high:.1f} or less"


def test_budgets_longer_than_the_training_or_beyond_what_was_measured_are_not_named():
    words = in_words(Estimate(3.0, 10_000, 2e7, 2e7, 4 * 10**6, True))
    assert "after 15 minutes" in words and "at the end, after 33m20s" in words and "hour" not in words
    assert words.endswith("10,000 characters a second here, as fast as the steps just timed") and "passes" not in words
    assert "(less is known of over 5 passes)" in in_words(Estimate(3.0, 10_000, 2e7, 2e7, 10**6, True))
    planned = in_words(Estimate(3.0, 10_000, 3e6, 2e7, 4 * 10**6, True))
    assert "as planned" in planned and planned.index("as planned, after 5m00s") < planned.index("after 15 minutes")
    assert "without a limit of time, after 33m20s" in planned and "at the end" not in planned
    long = in_words(Estimate(3.0, 10_000, 1e9, 1e9, 10**9, True))
    assert "or less after an hour" in long and "night" not in long and "at the end" not in long
    assert "no training of this preset was measured" in in_words(Estimate(3.0, 10_000, 2e7, 2e7, 10**6, False))
    for counts in (1.5, 5.5):
        words = in_words(Estimate(counts, 10_000, 2e7, 2e7, 10**6, True))
        assert f"need {counts} bits a character, of texts that were measured 2.5 to 3.2, so nothing is known" in words


@pytest.mark.parametrize("form", ["lines", "stream"])
def test_counts_are_those_of_the_text_for_the_windows_that_a_training_measures(tiny_run, form):
    preset = load_config(ROOT / "config.yaml").shared(preset="tiny")
    network = {"model": preset.model.model_dump(), "diffusion": preset.diffusion.model_dump()}
    run = tiny_run(data={"format": form}, **network).model_copy(update={"preset": "tiny"})
    corpus = load_corpus(run)
    alphabet, stream = corpus.vocabulary.size, form == "stream"
    held_out = held_out_batches(corpus.held_out, 32, 200, run.seed, alphabet=alphabet)
    found = estimate_of(run, corpus, held_out, speed=50.0, seconds=100.0, most=7000.0)
    assert (found.characters, found.most, found.known) == (5000.0, 7000.0, True)
    assert found.text == corpus.train.lengths.sum()
    other = run.model_copy(update={"model": run.model.model_copy(update={"width": 48})})
    for unknown in (shape(run, start_from="base"), other, run.model_copy(update={"preset": "baby"})):
        assert not estimate_of(unknown, corpus, held_out, speed=1, seconds=1, most=1).known
    if stream:  # windows in another order: the same counts, but for where they join
        assert 1 < found.counts < math.log2(alphabet)
        return
    text = np.concatenate([[0], *(np.append(corpus.train.document(i), 0) for i in range(len(corpus.train.lengths)))])
    absorbing = Diffusion.named("absorbing", "log_linear", "x0", alphabet)
    counts = held_out_likelihood(absorbing, TwoSidedCounts(text, alphabet), held_out, run.seed, held_out[0].ids.device)
    assert found.counts == pytest.approx(counts.bits, abs=0.1)  # in another order: other neighbours of frames


def test_a_night_helps_where_the_plan_is_shorter_and_the_passes_are_not_over():
    assert Estimate(3.0, 1000, 9e5, 9e9, 10**6, True).gains_from(3600)  # a quarter of an hour is planned
    assert not Estimate(3.0, 1000, 9e9, 9e9, 10**6, True).gains_from(3600)  # more is planned
    assert not Estimate(3.0, 1000, 9e5, 9e5, 10**6, True).gains_from(3600)  # the passes end before
