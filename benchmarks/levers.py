"""The changes that ablation.py tries, one row each: other settings, or another piece of code."""

from functools import partial
from typing import Any

import torch
import variants
from torch.nn import functional as F

import dataset_loader
import model
from generation import checkpoint
from training import learner, trainer
from training import step as optimizers


def settings(section: str, **values: Any) -> dict[str, Any]:
    return {section: values}


# name: settings of the config, and (object, attribute): what stands there instead
LEVERS: dict[str, tuple[dict[str, Any], dict[tuple[Any, str], Any]]] = {
    "preset": ({}, {}),
    "seed 2": ({"seed": 2}, {}),  # another split too
    "seed 3": ({"seed": 3}, {}),
    "hybrid": ({"diffusion": {"process": "hybrid"}, "sampling": {"sampler": "tweedie"}}, {}),
    "uniform": ({"diffusion": {"process": "uniform"}, "sampling": {"sampler": "tweedie"}}, {}),
    "cosine": (settings("diffusion", schedule="cosine"), {}),
    "geometric": (settings("diffusion", schedule="geometric"), {}),
    "nelbo": (settings("training", loss="nelbo"), {}),
    "score head": ({"training": {"loss": "nelbo"}, "model": {"parameterization": "score"}}, {}),
    "independent t": ({}, {(learner, "stratified_times"): variants.independent_times}),
    "less noise": ({}, {(learner, "stratified_times"): variants.Times(1.5)}),
    "more noise": ({}, {(learner, "stratified_times"): variants.Times(0.7)}),
    "less noise first": ({}, {(learner, "stratified_times"): variants.Times(2.5, 1.0)}),
    "from the base": (settings("training", start_from="models/base.pt"), {}),  # of train.py --all --base
    "even times": (settings("training", times_width=0.0), {}),
    **{
        f"bell {mean} {width}": (settings("training", times_mean=mean, times_width=width), {})
        for mean in (0.3, 0.4, 0.45, 0.5, 0.6, 0.7)
        for width in (0.15, 0.2, 0.3, 0.5)
    },
    "noise in runs": ({}, {(trainer.Training, "advance"): variants.noise_in_runs(16)}),
    "batch 8": (settings("training", batch_size=8), {}),
    "batch 32": (settings("training", batch_size=32), {}),
    "rates / 2": (settings("training", learning_rate=0.002, muon_learning_rate=0.02), {}),
    "rates / 4": (settings("training", learning_rate=0.001, muon_learning_rate=0.01), {}),
    "rates * 2": (settings("training", learning_rate=0.008, muon_learning_rate=0.08), {}),
    "muon * 2": (settings("training", muon_learning_rate=0.08), {}),
    "adamw * 2": (settings("training", learning_rate=0.008), {}),
    "adamw alone": (settings("training", optimizer="adamw", learning_rate=0.002), {}),
    "muon, 3 iterations": ({}, {(optimizers.torch.optim, "Muon"): partial(torch.optim.Muon, ns_steps=3)}),
    "muon, 4 iterations": ({}, {(optimizers.torch.optim, "Muon"): partial(torch.optim.Muon, ns_steps=4)}),
    **{
        f"{part} rate * {factor}": (
            {},
            {(optimizers.torch.optim, "AdamW"): partial(variants.RatesApart, **{part: factor})},
        )
        for part in ("embedding", "head")
        for factor in (0.25, 0.5, 2, 4)
    },
    "complementary pairs": (
        {},
        {
            (dataset_loader.TrainingBatches, "batch"): variants.half_as_pairs,
            (learner, "stratified_times"): variants.opposite_times,
            (trainer.Training, "advance"): variants.complementary,
        },
    ),
    **{
        f"surest first, {levels} levels": ({}, {(learner.Learner, "_follow"): variants.unmasked_in_turn(levels)})
        for levels in (8, 16)
    },
    "convolution in the MLP": ({}, {(model, "Block"): variants.ConvolvedMLP}),
    "inner blocks twice": ({}, {(model, "Block"): variants.TwiceBlock}),
    "warm-up 10 %": (settings("training", warmup=0.1), {}),
    "final rate 0": (settings("training", final_rate=0.0), {}),
    "final rate 0.3": (settings("training", final_rate=0.3), {}),
    "EMA 0.99": (settings("training", ema_decay=0.99), {}),
    "no EMA": (settings("training", ema_decay=0.0), {}),
    "dropout 0.1": (settings("model", dropout=0.1), {}),
    "no decay": (settings("training", weight_decay=0.0), {}),
    "decay 0.1": (settings("training", weight_decay=0.1), {}),
    "no convolution": (settings("model", conv_width=1), {}),
    "one convolution": ({}, {(model, "Block"): variants.OneConvolution}),
    "convolution 3": (settings("model", conv_width=3), {}),
    "convolution 5": (settings("model", conv_width=5), {}),
    "convolution 11": (settings("model", conv_width=11), {}),
    "convolution 15": (settings("model", conv_width=15), {}),
    "hourglass": ({}, {(model.DiffusionTransformer, "forward"): variants.hourglass}),
    "7 layers of 96": (settings("model", layers=7, width=96, heads=2), {}),
    "3 layers of 128": (settings("model", layers=3, width=128, heads=2), {}),
    "4 layers of 128": (settings("model", layers=4, width=128, heads=2), {}),
    "6 layers of 128": (settings("model", layers=6, width=128, heads=2), {}),
    "3 layers of 192": (settings("model", layers=3, width=192, heads=3), {}),
    "1 layer of 256": (settings("model", layers=1, width=256, heads=4), {}),
    "2 layers of 256": (settings("model", layers=2, width=256, heads=4), {}),
    "3 layers of 256": (settings("model", layers=3, width=256, heads=4), {}),
    "6 layers of 192": (settings("model", layers=6, width=192, heads=3), {}),
    "4 layers of 192": (settings("model", layers=4, width=192, heads=3), {}),
    "4 layers of 256": (settings("model", layers=4, width=256, heads=4), {}),
    "6 heads": (settings("model", heads=6), {}),
    "1 head": (settings("model", heads=1), {}),
    "relu": ({}, {(model.F, "gelu"): F.relu}),
    "silu": ({}, {(model.F, "gelu"): F.silu}),
    "relu squared": ({}, {(model.F, "gelu"): lambda x: F.relu(x).square()}),
    "gated MLP": ({}, {(model, "Block"): variants.GatedBlock, (model.F, "gelu"): variants.gate}),
    "convolution of q, k, v": ({}, {(model, "Attention"): variants.MixedAttention}),
    "self-conditioning": (
        {},
        {
            (trainer, "DiffusionTransformer"): variants.SelfConditioned,
            (checkpoint, "NETWORKS"): {**checkpoint.NETWORKS, "transformer": variants.SelfConditioned},
        },
    ),
    "attention in all blocks": (settings("model", attention_layers=0), {}),
    "attention in the last two": (settings("model", attention_layers=2), {}),
    "blind to noise": ({}, {(model.NoiseEmbedding, "forward"): variants.blind}),
    "noise width 16": (settings("model", noise_width=16), {}),
    "no given spans": (settings("training", given_fraction=0.0), {}),
    "given spans 0.3": (settings("training", given_fraction=0.3), {}),
    "vocabulary 64": (settings("data", vocab_size=64), {}),
    "vocabulary 256": (settings("data", vocab_size=256), {}),
    "context 256": (settings("model", context=256), {}),
}  # fmt: skip
