"""The operations of a character, counted by hand and by torch; what share of a card they are, and where it is shown."""

import math

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from command.console import PlainConsole
from config.schema import ModelConfig
from model import DiffusionTransformer
from text.corpus import load_corpus
from training.display import QueueDisplay
from training.events import Advance, Status, Validation
from training.utilisation import PASSES, PEAKS, forward_flops, share_of_a_character

CUDA = torch.device("cuda")


def test_a_position_of_the_smallest_network_by_hand():
    config = ModelConfig(layers=1, heads=1, width=8, context=16, noise_width=8, conv_width=3)
    attention, mlp, head = 4 * 8 * 8, 8 * 32 + 32 * 8, 8 * 5  # query, key, value and output; up and down
    convolutions, scores, sums = 2 * 3 * 8, 16 * 8, 16 * 8
    row = 64 * 8 + 8 * 8 + 8 * 6 * 8 + 8 * 2 * 8  # of the noise level, once in 16 positions
    by_hand = attention + mlp + head + convolutions + scores + sums + row / 16
    assert forward_flops(config, 5, 16) == 2 * by_hand


@pytest.mark.parametrize("attention_layers", [0, 1])
def test_operations_are_those_that_torch_counts(attention_layers):
    config = ModelConfig(layers=3, heads=2, width=16, context=32, noise_width=8, attention_layers=attention_layers)
    model = DiffusionTransformer(config, 11, 10).initialise(torch.Generator().manual_seed(0))
    rows, length = 4, 32
    x, given = torch.zeros(rows, length, dtype=torch.long), torch.zeros(rows, length, dtype=torch.bool)
    # attention as plain products, which torch counts on a CPU
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x, torch.ones(rows), given)
    assert counter.get_total_flops() == pytest.approx(rows * length * forward_flops(config, 10, length), rel=1e-12)


def test_a_training_character_of_baby_takes_71_million_operations():
    assert PASSES * forward_flops(ModelConfig(), 65, 256) == pytest.approx(71e6, rel=0.01)


@pytest.mark.parametrize("name", [*PEAKS, "NVIDIA GeForce RTX 4090 Laptop GPU", "Tesla T4"])
def test_the_share_is_of_a_known_card_alone(tiny_run, monkeypatch, name):
    run = tiny_run()
    corpus = load_corpus(run)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    share = share_of_a_character(run, corpus, CUDA)
    length = float(corpus.train.lengths.mean())
    operations = PASSES * forward_flops(run.model, corpus.vocabulary.size, length)
    assert 8 < length < 32 and (share == operations / PEAKS[name] if name in PEAKS else math.isnan(share))
    assert math.isnan(share_of_a_character(run, corpus, torch.device("cpu")))


@pytest.mark.parametrize(("used", "shown"), [(0.0516, " (5.2% of the card's bf16 rate)"), (math.nan, "")])
def test_the_share_stands_beside_characters_a_second(capsys, used, shown):
    display = QueueDisplay(PlainConsole(), 1, 1)
    status = Status("one", progress=0.5, speed=2000.0, seconds=30.0)
    status.history = [Validation(3, 0.5, 5000, 3.1, 2.5, 0.04, 1e-3, 0.5, "fix")]
    with display:
        display.begin("one")
        display.hear(Advance(status, validated=True, used=used))
    assert f"M chars  2.0k chars/s{shown}  loss" in capsys.readouterr().out
