"""The network: a diffusion transformer (DiT) over characters, from x_t, sigma and given positions to outputs.

It is the DDiT of the annotated notebook with three repairs: one attention per block, blocks that start as the
identity, and a head that starts at zero. New are rotary positions, QK-norm, log sigma as input, and an embedding that
marks given positions. Short depthwise convolutions before attention and MLP help a small model to learn spelling.
Shapes: B batch, L positions, D width; `positions` select N of the B * L positions, where outputs are computed.
"""

import math
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from config.schema import ModelConfig

ROTARY_BASE = 10_000.0  # RoFormer's value; wavelengths reach from 2 pi to 2 pi times this many positions
# radians per unit of log sigma: the slowest wave turns by less than a third from 1e-2 to 20, the fastest tells apart
# levels that differ by 10 %
NOISE_FREQUENCIES = (0.25, 8.0)
NOISE_FEATURES = 64
# smaller sigmas are shown to the network as this one: log-linear training draws one of a hundred there, seldom with a
# loss, so the outputs would stay untrained and could cost thousands of nats at a masked character
SMALLEST_SIGMA = 1e-2


def noise_frequencies() -> Tensor:
    """(NOISE_FEATURES / 2,) radians per unit of log sigma, evenly spaced in their logarithm."""
    low, high = map(math.log, NOISE_FREQUENCIES)
    # on a CPU even where a network is built on "meta" for its shapes: there these two take seconds of imports
    return torch.exp(torch.linspace(low, high, NOISE_FEATURES // 2, device="cpu"))


class NoiseEmbedding(nn.Module):
    """(B,) sigma -> (B, width): sinusoids of log sigma, then an MLP. The log tells small levels apart."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.frequencies = nn.Buffer(noise_frequencies(), persistent=False)
        self.mlp = nn.Sequential(nn.Linear(NOISE_FEATURES, width), nn.SiLU(), nn.Linear(width, width))

    def features(self, sigma: Tensor) -> Tensor:
        """(B,) sigma -> (B, NOISE_FEATURES) cosines and sines."""
        angles = sigma.clamp_min(SMALLEST_SIGMA).log().unsqueeze(1) * self.frequencies
        return torch.cat([angles.cos(), angles.sin()], dim=1)

    def forward(self, sigma: Tensor) -> Tensor:
        return self.mlp(self.features(sigma))


class ShortConvolution(nn.Module):
    """(B, L, D) x -> (B, L, D): x plus a depthwise convolution of x, whose weights start at 0."""

    def __init__(self, width: int, taps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, 1, 1, taps))
        identity = torch.zeros(1, 1, 1, taps)
        identity[..., taps // 2] = 1
        self.identity = nn.Buffer(identity, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        mixed = Depthwise.apply if x.device.type == "cpu" or torch.compiler.is_compiling() else depthwise
        # a 1 added to the middle tap is the residual; a separate sum would read the memory once more
        return mixed(x, (self.weight + self.identity).to(x.dtype))


def depthwise(x: Tensor, weight: Tensor) -> Tensor:
    """(B, L, D) x, (D, 1, 1, taps) -> (B, L, D): each channel convolved with its own taps; zeros beyond the ends."""
    # a compiler fuses sums with what surrounds them, and convolutions with nothing; without oneDNN, as on a Mac, torch
    # makes a convolution of its own for each channel
    if torch.compiler.is_compiling() or (x.device.type == "cpu" and not torch.backends.mkldnn.is_available()):
        taps, length = weight.shape[-1], x.shape[1]
        padded = F.pad(x, (0, 0, taps // 2, taps // 2))
        return reduce(torch.add, (padded[:, k : k + length] * weight[:, 0, 0, k] for k in range(taps)))
    # channels-last (B, D, 1, L) is x's memory as it lies: no copy, and conv2d is faster than conv1d on a CPU
    image = x.transpose(1, 2).unsqueeze(2)
    mixed = F.conv2d(image, weight, padding=(0, weight.shape[-1] // 2), groups=x.shape[2])
    return mixed.squeeze(2).transpose(1, 2)


class Depthwise(torch.autograd.Function):
    """`depthwise` with gradients computed tap by tap, which is faster than torch's gradients on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return depthwise(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,), (x, weight) = gradients, ctx.saved_tensors
        taps, length = weight.shape[-1], x.shape[1]
        padded = F.pad(x, (0, 0, taps // 2, taps // 2))
        if torch.compiler.is_compiling():
            # (B, L, D, taps), never stored: the compiler fuses it with the sum
            products = padded.unfold(1, taps, 1) * gradient.unsqueeze(-1)
            return depthwise(gradient, weight.flip(-1)), products.sum((0, 1)).view(weight.shape)
        tap_gradients = [(padded[:, k : k + length] * gradient).sum((0, 1)) for k in range(taps)]
        return depthwise(gradient, weight.flip(-1)), torch.stack(tap_gradients, -1).view(weight.shape)


def rotary_turns(length: int, head_width: int, device: torch.device) -> Tensor:
    """(L, 1, head_width / 2) complex numbers: how each pair rotates at each position. RoFormer, arXiv:2104.09864."""
    frequencies = ROTARY_BASE ** (-torch.arange(0, head_width, 2, device=device) / head_width)
    angles = torch.arange(length, device=device).unsqueeze(1) * frequencies
    return torch.polar(torch.ones_like(angles), angles).unsqueeze(1)


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """(..., L, heads, head_width) float32 -> the same shape: rotate each pair of neighbours by its position's angle."""
    pairs = x.unflatten(-1, (-1, 2))
    if torch.compiler.is_compiling():  # compilers pass complex numbers by
        cos, sin = torch.view_as_real(turns).split(1, -1)
        signs = 2 * torch.arange(2, device=x.device) - 1
        return (pairs * cos + pairs.flip(-1) * (sin * signs)).flatten(-2)
    return torch.view_as_real(torch.view_as_complex(pairs) * turns).flatten(-2)


class Attention(nn.Module):
    """(B, L, D) -> (B, L, D): bidirectional self-attention with rotary positions and normalised q and k (QK-norm)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, turns: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).unbind(2)
        q, k = (F.normalize(rotate(part.float(), turns), dim=-1) for part in (q, k))
        # on a CPU without bf16 matrix units, attention is faster in fp32
        kind = torch.float32 if x.device.type == "cpu" else v.dtype
        q, k, v = (part.transpose(1, 2).to(kind) for part in (q, k, v))
        with torch.autocast(x.device.type, enabled=False):
            # vectors of length 1 need the scale sqrt(d); 1 / sqrt(d) is for entries of mean square 1
            mixed = F.scaled_dot_product_attention(q, k, v, scale=q.shape[-1] ** 0.5)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class Pointwise(nn.Module):
    """(B, L, D) -> (B, L, D): the output projection without attention, for blocks that do not attend."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, turns: Tensor) -> Tensor:
        return self.out(x)


class Block(nn.Module):
    """Convolution and attention, then convolution and MLP; the noise level scales, shifts and gates both (adaLN, DiT).

    A block that does not attend sees only the neighbours that its convolutions span.
    """

    def __init__(self, config: ModelConfig, *, attends: bool = True) -> None:
        super().__init__()
        width = config.width
        self.conv_attention = ShortConvolution(width, config.conv_width)
        self.conv_mlp = ShortConvolution(width, config.conv_width)
        self.attention = Attention(width, config.heads) if attends else Pointwise(width)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)
        self.modulation = nn.Linear(config.noise_width, 6 * width)
        self.dropout = config.dropout

    def forward(
        self, x: Tensor, noise: Tensor, turns: Tensor,
        dropping: torch.Generator | None = None, positions: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """(B, L, D) x, (B, noise width) noise -> (B, L, D), or (N, 1, D) at (N,) `positions`, indices into B * L."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = (
            self.modulation(noise).float().unsqueeze(1).chunk(6, dim=-1)
        )
        h = self.conv_attention(modulate(x, shift_a, scale_a))
        x = torch.addcmul(x, drop(self.attention(h, turns), self.dropout, dropping).float(), 1 + gate_a)
        h = self.conv_mlp(modulate(x, shift_m, scale_m))
        if positions is not None:
            gate_m = gate_m.index_select(0, positions // x.shape[1])  # the gates of each position's row
            x, h = (part.flatten(0, 1).index_select(0, positions).unsqueeze(1) for part in (x, h))
        return torch.addcmul(x, drop(self.down(F.gelu(self.up(h))), self.dropout, dropping).float(), 1 + gate_m)


def drop(x: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Dropout drawn from a given generator: `share` of x becomes 0 and the rest grows to match. None: no dropout."""
    if generator is None or not share:
        return x
    if x.device.type == "cuda":  # from the device's own generator, as compiled kernels draw from no other
        return F.dropout(x, share)
    kept = torch.rand(x.shape, generator=generator, device=x.device) >= share  # bernoulli_ is slower on a CPU
    return x * kept.to(x.dtype).div_(1 - share)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """(B, L, D) x, (B, 1, D) shift and scale -> (B, L, D): layer_norm(x) (1 + scale) + shift, in autocast's type."""
    device = x.device.type
    kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:]), 1 + scale).to(kind)


class Denoiser:
    """A network ready for use: it computes in its precision on its device, and returns float32 on the input's device.

    (B, L) x_t, (B,) sigma, (B, L) given -> (B, L, outputs). With (B, L) `positions`, if the network supports them,
    it computes only there: (N, 1, outputs), row by row from left to right.
    """

    def __init__(self, model: nn.Module, precision: torch.dtype) -> None:
        self.model, self.precision = model, precision

    def __call__(self, x_t: Tensor, sigma: Tensor, given: Tensor, *, positions: Tensor | None = None) -> Tensor:
        device = next(self.model.parameters()).device
        part = {} if positions is None else {"positions": positions.to(device)}
        with torch.autocast(device.type, self.precision, enabled=self.precision != torch.float32):
            output = self.model(x_t.to(device), sigma.to(device), given.to(device), **part)
        return output.to(x_t.device)


class DiffusionTransformer(nn.Module):
    """(B, L) ids below `states`, (B,) sigma, (B, L) given -> (B, L, outputs), which a row of HEADS interprets."""

    def __init__(self, config: ModelConfig, states: int, outputs: int) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(states, config.width)  # of ids; model files hold its weights under this name
        self.given = nn.Embedding(2, config.width)
        self.noise = NoiseEmbedding(config.noise_width)
        first = config.layers - (config.attention_layers or config.layers)  # the first layer that attends
        self.blocks = nn.ModuleList(Block(config, attends=layer >= first) for layer in range(config.layers))
        self.modulation = nn.Linear(config.noise_width, 2 * config.width)
        self.head = nn.Linear(config.width, outputs)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> "DiffusionTransformer":
        """Draw the weights: scaled normals, but zeros in the last layer of each branch, each modulation and the head.

        So every block starts as the identity and every prediction as uniform (adaLN-zero, DiT, arXiv:2212.09748). Here
        the projections are 0 and the gates 1, so that the matrices learn from the first step, not only the gates.
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

    def forward(
        self, x_t: Tensor, sigma: Tensor, given: Tensor,
        dropping: torch.Generator | None = None, positions: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """`dropping` is the generator of dropout in training; None means no dropout.

        With (B, L) `positions`, the last block's MLP and the head are computed only there: (N, 1, outputs).
        """
        x = self.tokens(x_t) + self.given(given.long())
        noise = F.silu(self.noise(sigma))
        turns = rotary_turns(x_t.shape[1], self.config.width // self.config.heads, x.device)
        chosen = None if positions is None else positions.flatten().nonzero().squeeze(1)
        *inner, last = self.blocks
        for block in inner:
            x = block(x, noise, turns, dropping)
        x = last(x, noise, turns, dropping, chosen)
        modulation = self.modulation(noise).float().unsqueeze(1)
        if chosen is not None:
            modulation = modulation.index_select(0, chosen // x_t.shape[1])
        shift, scale = modulation.chunk(2, dim=-1)
        return self.head(modulate(x, shift, scale)).float()

    def matrices(self) -> list[list[nn.Parameter]]:
        """Each block's matrices, which Muon optimises; AdamW optimises all other weights."""
        named = [block.named_parameters() for block in self.blocks]
        return [[p for name, p in block if p.dim() == 2 and "modulation" not in name] for block in named]
