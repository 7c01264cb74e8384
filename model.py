"""The network: a diffusion transformer over characters, (x_t, sigma, given) -> logits. Knows no noise maths.

The annotated notebook's DDiT, repaired: one attention per block, blocks that start as the identity, a head that starts
at zero. On top: rotary positions, QK-norm, log-sigma conditioning, an embedding that marks given positions, and short
depthwise convolutions before attention and MLP, which hand the local structure of spelling to a small model.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from config import ModelConfig

ROTARY_BASE = 10_000.0  # RoFormer's; wavelengths from 2 pi to this many positions
NOISE_FREQUENCIES = (
    0.25,
    8.0,
)  # radians per unit of log sigma: the slowest sees 1e-4..20 whole, the fastest tells 10 % apart
NOISE_FEATURES = 64
SMALLEST_SIGMA = 1e-9  # log sigma stays finite at the clean end of the cosine schedule


class NoiseEmbedding(nn.Module):
    """(B,) sigma -> (B, width): sinusoids of log sigma, then an MLP. In sigma itself .001 and .05 would look alike."""

    def __init__(self, width: int) -> None:
        super().__init__()
        low, high = NOISE_FREQUENCIES
        frequencies = torch.exp(torch.linspace(math.log(low), math.log(high), NOISE_FEATURES // 2))
        self.frequencies = nn.Buffer(frequencies, persistent=False)
        self.mlp = nn.Sequential(nn.Linear(NOISE_FEATURES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, sigma: Tensor) -> Tensor:
        angles = sigma.clamp_min(SMALLEST_SIGMA).log().unsqueeze(1) * self.frequencies
        return self.mlp(torch.cat([angles.cos(), angles.sin()], dim=1))


class ShortConvolution(nn.Module):
    """(B, L, D) -> (B, L, D): x plus a depthwise convolution of it, zero at the start."""

    def __init__(self, width: int, taps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, 1, 1, taps))

    def forward(self, x: Tensor) -> Tensor:
        # (B, D, 1, L) seen as channels-last is x's own memory: no transpose, and 4 to 10 times conv1d's speed on a CPU
        image = x.transpose(1, 2).unsqueeze(2)
        taps = self.weight.shape[-1]
        mixed = F.conv2d(image, self.weight.to(x.dtype), padding=(0, taps // 2), groups=x.shape[2])
        return x + mixed.squeeze(2).transpose(1, 2)


def rotary_angles(length: int, head_width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """-> cos, sin, each (L, 1, head_width / 2). RoFormer, arXiv:2104.09864."""
    frequencies = ROTARY_BASE ** (-torch.arange(0, head_width, 2, device=device) / head_width)
    angles = torch.arange(length, device=device).unsqueeze(1) * frequencies
    return angles.cos().unsqueeze(1), angles.sin().unsqueeze(1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """(B, L, heads, head_width): turn each pair (i, i + half) by its position's angle."""
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, left * sin + right * cos], dim=-1)


class Attention(nn.Module):
    """Bidirectional self-attention with rotary positions and unit-RMS queries and keys; no mask, no dropout."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).unbind(2)
        q, k = (rotate(F.rms_norm(part.float(), part.shape[-1:]), cos, sin) for part in (q, k))
        # without matrix units for it, bf16 attention on a CPU takes twice the time of fp32
        kind = torch.float32 if x.device.type == "cpu" else v.dtype
        q, k, v = (part.transpose(1, 2).to(kind) for part in (q, k, v))
        with torch.autocast(x.device.type, enabled=False):
            mixed = F.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """Convolution and attention, convolution and MLP, scaled, shifted and gated by the noise level (adaLN, DiT)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.width
        self.conv_attention = ShortConvolution(width, config.conv_width)
        self.conv_mlp = ShortConvolution(width, config.conv_width)
        self.attention = Attention(width, config.heads)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)
        self.modulation = nn.Linear(config.noise_width, 6 * width)
        self.dropout = config.dropout

    def forward(self, x: Tensor, noise: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.modulation(noise).unsqueeze(1).chunk(6, dim=-1)
        h = self.conv_attention(modulate(x, shift_a, scale_a))
        x = x + (1 + gate_a) * self._drop(self.attention(h, cos, sin))
        h = self.conv_mlp(modulate(x, shift_m, scale_m))
        return x + (1 + gate_m) * self._drop(self.down(F.gelu(self.up(h))))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """(B, L, D) normalised, then scaled by 1 + scale and shifted, both (B, 1, D)."""
    return F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift


class Denoiser:
    """A network ready to be asked: in its precision, on its device, answering in float32 where the question lies."""

    def __init__(self, model: "DiffusionTransformer", precision: torch.dtype) -> None:
        self.model, self.precision = model, precision

    def __call__(self, x_t: Tensor, sigma: Tensor, given: Tensor) -> Tensor:
        device = self.model.head.weight.device
        with torch.autocast(device.type, self.precision, enabled=self.precision != torch.float32):
            output = self.model(x_t.to(device), sigma.to(device), given.to(device))
        return output.to(x_t.device)


class DiffusionTransformer(nn.Module):
    """(B, L) ids, (B,) sigma, (B, L) given -> (B, L, V) logits; what they mean is a head of diffusion.HEADS."""

    def __init__(self, config: ModelConfig, characters: int) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(characters, config.width)
        self.given = nn.Embedding(2, config.width)
        self.noise = NoiseEmbedding(config.noise_width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.modulation = nn.Linear(config.noise_width, 2 * config.width)
        self.head = nn.Linear(config.width, characters)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> "DiffusionTransformer":
        """Draw the weights: scaled normals, but zero where a block, a modulation or the head writes its output.

        So every block is the identity and every prediction uniform at first (adaLN-zero, DiT, arXiv:2212.09748, with
        the zero in the projection and the gate at 1: the matrices learn from the first step, not the gates alone).
        """
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                scale = 0.0 if name.endswith(("out", "down", "modulation", "head")) else module.in_features**-0.5
                module.weight.normal_(0, scale, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.Embedding):
                module.weight.normal_(0, 1, generator=generator)
        self.given.weight.zero_()
        return self

    def forward(self, x_t: Tensor, sigma: Tensor, given: Tensor) -> Tensor:
        x = self.tokens(x_t) + self.given(given.long())
        noise = F.silu(self.noise(sigma))
        cos, sin = rotary_angles(x_t.shape[1], self.config.width // self.config.heads, x.device)
        for block in self.blocks:
            x = block(x, noise, cos, sin)
        shift, scale = self.modulation(noise).unsqueeze(1).chunk(2, dim=-1)
        return self.head(modulate(x, shift, scale)).float()

    def matrices(self) -> list[nn.Parameter]:
        """The blocks' matrices, which Muon orthogonalises; everything else suits AdamW."""
        named = self.blocks.named_parameters()
        return [parameter for name, parameter in named if parameter.dim() == 2 and "modulation" not in name]
