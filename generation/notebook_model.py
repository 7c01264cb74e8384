"""The network of the notebook ash80/diffusion-gpt: for its checkpoints, and as the reference of benchmarks.

Unlike model.py it has learned positions, sinusoids of sigma itself and no mark for what is given, and its blocks apply
attention twice with the same weights: the notebook's oversight, kept so that its models answer as they did. Parameters
bear the notebook's names (ash80/diffusion-gpt).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from config.schema import ModelConfig

SINUSOIDS = 256
LONGEST_PERIOD = 10_000.0


class SigmaMap(nn.Module):
    """(B,) sigma -> (B, width): sinusoids of sigma, then an MLP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(SINUSOIDS, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, sigma: Tensor) -> Tensor:
        half = SINUSOIDS // 2
        angles = sigma.unsqueeze(1) * torch.exp(
            -math.log(LONGEST_PERIOD) / half * torch.arange(half, device=sigma.device)
        )
        return self.mlp(torch.cat([angles.cos(), angles.sin()], dim=1))


class Attention(nn.Module):
    """Bidirectional self-attention, with dropout on its probabilities."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.c_attn = nn.Linear(width, 3 * width, bias=False)
        self.c_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        parts = self.c_attn(x).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = (part.transpose(1, 2) for part in parts.unbind(2))
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        return F.dropout(self.c_proj(mixed.transpose(1, 2).reshape(batch, length, width)), self.dropout, self.training)


class Block(nn.Module):
    """Attention, the same attention once more, and an MLP, modulated by the noise level."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.width
        self.dropout = config.dropout
        self.ln_1, self.ln_2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.attn = Attention(width, config.heads, config.dropout)
        up, down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)
        self.mlp = nn.ModuleDict({"c_fc": up, "c_proj": down})
        self.adaLN_modulation = nn.Linear(config.noise_width, 6 * width)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(noise).unsqueeze(1).chunk(6, dim=-1)
        once = self.attn(self.ln_1(x) * (1 + scale_a) + shift_a)
        x = x + gate_a * self.attn(self.ln_1(once))
        hidden = F.gelu(self.mlp["c_fc"](self.ln_2(x) * (1 + scale_m) + shift_m))
        return x + gate_m * F.dropout(self.mlp["c_proj"](hidden), self.dropout, self.training)


class Head(nn.Module):
    """(B, L, width) -> (B, L, outputs), modulated by the noise level."""

    def __init__(self, config: ModelConfig, outputs: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(config.width, bias=False)
        self.linear = nn.Linear(config.width, outputs)
        self.adaLN_modulation = nn.Linear(config.noise_width, 2 * config.width)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(noise).unsqueeze(1).chunk(2, dim=-1)
        return self.linear(self.norm_final(x) * (1 + scale) + shift)


class Transformer(nn.Module):
    """(B, L) ids, (B, noise width) -> (B, L, width)."""

    def __init__(self, config: ModelConfig, states: int) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.wte, self.wpe = nn.Embedding(states, config.width), nn.Embedding(config.context, config.width)
        self.h = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.ln_f = nn.LayerNorm(config.width, bias=False)

    def forward(self, x_t: Tensor, noise: Tensor) -> Tensor:
        x = F.dropout(self.wte(x_t) + self.wpe.weight[: x_t.shape[1]], self.dropout, self.training)
        for block in self.h:
            x = block(x, noise)
        return self.ln_f(x)


class NotebookNetwork(nn.Module):
    """(B, L) ids, (B,) sigma, (B, L) given, which it cannot see -> (B, L, V) log-score, but for the zero at x_t."""

    def __init__(self, config: ModelConfig, states: int, outputs: int) -> None:
        super().__init__()
        self.sigma_map = SigmaMap(config.noise_width)
        self.transformer = Transformer(config, states)
        self.lm_head = Head(config, outputs)

    def forward(self, x_t: Tensor, sigma: Tensor, given: Tensor) -> Tensor:
        noise = F.silu(self.sigma_map(sigma))
        return self.lm_head(self.transformer(x_t, noise), noise).float()
