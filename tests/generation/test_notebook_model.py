"""The notebook's network gives the notebook's own numbers."""

import torch
import torch.nn.functional as F

from config.schema import ModelConfig
from diffusion.processes import PROCESSES
from generation.notebook_model import Block, NotebookNetwork
from tests.helpers import NOTEBOOK_SHAPE, golden


def test_the_network_is_the_notebooks():
    stored = golden("notebook_model_V11")
    config = ModelConfig.model_construct(layers=2, heads=2, width=32, context=24, noise_width=16, dropout=0.0)
    network = NotebookNetwork(config, 11, 11).eval()
    prefix = "weight/"
    weights = {key.removeprefix(prefix): stored[key] for key in stored if key.startswith(prefix)}
    network.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    ids, sigma = torch.from_numpy(stored["input_ids"]), torch.from_numpy(stored["sigma"])
    with torch.no_grad():
        log_score = network(ids, sigma, torch.zeros_like(ids, dtype=torch.bool)).scatter(-1, ids.unsqueeze(-1), 0)
    torch.testing.assert_close(log_score, torch.from_numpy(stored["log_score"]), atol=1e-5, rtol=0)
    reverse = PROCESSES["uniform"](11).tweedie_of_score(
        log_score.double(), ids, torch.from_numpy(stored["delta_sigma"]).double()
    )
    torch.testing.assert_close(reverse.float(), torch.from_numpy(stored["reverse_unnormalised"]), atol=1e-5, rtol=1e-4)


def test_a_block_attends_twice_with_the_same_weights():
    torch.manual_seed(1)
    block, x, noise = Block(NOTEBOOK_SHAPE), torch.randn(1, 5, 16), torch.randn(1, 8)

    def attention(h):
        q, k, v = (part.view(5, 2, 8).transpose(0, 1) for part in F.linear(h[0], block.attn.c_attn.weight).chunk(3, -1))
        mixed = (q @ k.transpose(1, 2) / 8**0.5).softmax(-1) @ v
        return F.linear(mixed.transpose(0, 1).reshape(1, 5, 16), block.attn.c_proj.weight)

    def norm(h):
        return F.layer_norm(h, (16,))

    shift, scale, gate, shift_m, scale_m, gate_m = block.adaLN_modulation(noise).unsqueeze(1).chunk(6, -1)
    y = x + gate * attention(norm(attention(norm(x) * (1 + scale) + shift)))
    hidden = F.gelu(F.linear(norm(y) * (1 + scale_m) + shift_m, block.mlp["c_fc"].weight))
    torch.testing.assert_close(block(x, noise), y + gate_m * F.linear(hidden, block.mlp["c_proj"].weight))
