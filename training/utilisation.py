"""How much of a GPU's arithmetic a training uses (MFU): what a character takes, and the peak rates of cards."""

import math

import torch

from config.schema import ModelConfig, RunConfig
from generation.checkpoint import shape_of
from model import NOISE_FEATURES
from text.corpus import Corpus

# dense bf16 operations a second, sums in float32, under the name that CUDA gives a card
PEAKS = {
    # NVIDIA's datasheets: half of what they name with sparsity
    "NVIDIA H200": 989.5e12,
    "NVIDIA H100 80GB HBM3": 989.5e12,
    "NVIDIA H100 PCIe": 756.5e12,
    "NVIDIA A100-SXM4-40GB": 312e12,
    "NVIDIA A100-SXM4-80GB": 312e12,
    "NVIDIA A100-PCIE-40GB": 312e12,
    "NVIDIA A100 80GB PCIe": 312e12,
    "NVIDIA L40S": 362e12,
    "NVIDIA A40": 149.7e12,
    "NVIDIA A10": 125e12,
    "NVIDIA L4": 121e12,
    # the tables of NVIDIA's architecture whitepapers: Blackwell RTX, Ada, GA102
    "NVIDIA GeForce RTX 5090": 209.5e12,
    "NVIDIA GeForce RTX 4090": 165.2e12,
    "NVIDIA GeForce RTX 3090": 71e12,
}
PASSES = 3  # of a training step, in forward passes: gradients take two


def forward_flops(config: ModelConfig, outputs: int, length: float) -> float:
    """Operations of one position in a forward pass over `length`: a product and a sum for each weight that meets it.

    Attention adds 2 `width` products for each position that it sees (PaLM, arXiv:2204.02311, appendix B); what a row
    computes once, the noise level, is shared by its positions. Sums, norms and embeddings do not count. For `baby` this
    is 71 million a character in training; 6 for each parameter, as is often counted, and attention would be 83.
    """
    width, noise, layers = config.width, config.noise_width, config.layers
    attending = config.attention_layers or layers
    weights = layers * (9 * width**2 + 2 * config.conv_width * width) + attending * 3 * width**2 + width * outputs
    row = NOISE_FEATURES * noise + noise**2 + (6 * layers + 2) * width * noise
    return 2 * (weights + attending * 2 * width * length + row / length)


def share_of_a_character(run: RunConfig, corpus: Corpus, device: torch.device) -> float:
    """The share of the card's peak bf16 rate that one training character a second takes; nan if it is not known.

    For documents of the corpus's mean length. Padding and given positions are work too, but not counted.
    """
    if device.type != "cuda" or (peak := PEAKS.get(torch.cuda.get_device_name(device))) is None:
        return math.nan
    context = run.model.context
    length = context if corpus.stream else min(context, float(corpus.train.lengths.mean()))
    return PASSES * forward_flops(run.model, shape_of(run, corpus.vocabulary)[2], length) / peak
