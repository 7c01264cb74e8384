"""The network starts as it should, sees what it should, and costs what it should."""

import pytest
import torch
import torch.nn.functional as F

from config.loader import load_config
from config.schema import ModelConfig
from diffusion.schedules import SCHEDULES
from model import (
    SMALLEST_SIGMA,
    Attention,
    Block,
    Denoiser,
    Depthwise,
    DiffusionTransformer,
    NoiseEmbedding,
    ShortConvolution,
    drop,
    rotary_turns,
    rotate,
)
from tests.helpers import ROOT

SMALL = ModelConfig(layers=2, heads=2, width=16, context=32, noise_width=8, dropout=0.0)
LATE = SMALL.model_copy(update={"attention_layers": 1})


def trained(config: ModelConfig = SMALL, characters: int = 7) -> DiffusionTransformer:
    """A network whose every weight is nonzero, as after training."""
    model = DiffusionTransformer(config, characters, characters)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3, generator=generator)
    return model.eval()


def question(batch: int = 3, length: int = 32, characters: int = 7):
    generator = torch.Generator().manual_seed(1)
    x_t = torch.randint(characters, (batch, length), generator=generator)
    return x_t, torch.tensor([0.01, 0.5, 5.0])[:batch], torch.rand(batch, length, generator=generator) < 0.3


def initial(config: ModelConfig = SMALL) -> DiffusionTransformer:
    return DiffusionTransformer(config, 7, 7).initialise(torch.Generator().manual_seed(0)).eval()


@pytest.mark.parametrize("config", [SMALL, LATE])
def test_an_untrained_network_is_uniform_and_its_blocks_the_identity(config):
    model = initial(config)
    assert (model(*question()) == 0).all()
    x, noise = torch.randn(3, 32, 16), torch.randn(3, 8)
    for block in model.blocks:
        assert torch.equal(block(x, noise, rotary_turns(32, 8, x.device)), x)


@pytest.mark.parametrize("config", [SMALL, LATE])
def test_every_weight_learns_within_three_steps(config):
    model = initial(config).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    touched = dict.fromkeys((name for name, _ in model.named_parameters()), False)
    for _ in range(3):
        model.zero_grad()
        F.cross_entropy(model(*question()).flatten(0, 1), question()[0].flatten()).backward()
        for name, parameter in model.named_parameters():
            touched[name] |= bool((parameter.grad != 0).any())
        optimizer.step()
    assert [name for name, seen in touched.items() if not seen] == []


def test_the_same_generator_gives_the_same_weights():
    first, second = initial().state_dict(), initial().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("config", "attending"), [(SMALL, 2), (LATE, 1)])
def test_one_attention_and_one_mlp_per_block_that_attends(config, attending):
    counts = {}

    def count(module, *_):
        counts[type(module).__name__] = counts.get(type(module).__name__, 0) + 1

    model = trained(config)
    for module in model.modules():
        module.register_forward_hook(count)
    model(*question())
    assert counts["Attention"] == attending and counts["Block"] == 2 and counts["ShortConvolution"] == 4


@pytest.mark.parametrize(("preset", "expected"), [("baby", 10.6e6 + 2.1e6), ("cpu", 2.4e6), ("tiny", 1.0e6)])
def test_presets_have_their_size(preset, expected):
    run = load_config(ROOT / "config.yaml").resolve("tweets", preset=preset)
    parameters = DiffusionTransformer(run.model, 128, 128).parameters()
    assert sum(p.numel() for p in parameters) == pytest.approx(expected, rel=0.1)


def test_levels_that_training_hardly_sees_look_like_the_least_it_knows():
    embedding = DiffusionTransformer(SMALL, 5, 5).initialise(torch.Generator().manual_seed(0)).noise
    rare, least, more = (embedding(torch.tensor([sigma])) for sigma in (1e-9, SMALLEST_SIGMA, 2 * SMALLEST_SIGMA))
    assert torch.equal(rare, least) and not torch.allclose(least, more)
    assert SMALLEST_SIGMA >= 0.01
    below = SCHEDULES["log_linear"].sigma(torch.linspace(0, 1, 10_001)) < SMALLEST_SIGMA
    assert float(below.float().mean()) == pytest.approx(0.01, rel=0.02)  # of draws: enough to have learnt the edge


def test_small_noise_levels_are_told_apart():
    def similarity(a: float, b: float) -> float:
        return float(F.cosine_similarity(*NoiseEmbedding(64).features(torch.tensor([a, b])), dim=0))

    assert similarity(0.001, 0.05) < 0.5  # the notebook's sinusoid of sigma itself: above 0.99
    assert similarity(SMALLEST_SIGMA, 0.05) < 0.5
    assert similarity(0.05, 0.1) < 0.8 and similarity(1.0, 1.02) > 0.95
    assert similarity(1e-9, SMALLEST_SIGMA) == pytest.approx(1)
    assert torch.isfinite(NoiseEmbedding(64).features(torch.tensor([1e-9]))).all()


@pytest.fixture(params=["oneDNN", "none"])
def convolutions(request, monkeypatch):
    """As most machines have them, and as a Mac, whose torch has no oneDNN."""
    if request.param == "none":
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)


@pytest.mark.usefixtures("convolutions")
def test_short_convolution_is_a_depthwise_convolution_with_a_residual():
    conv = ShortConvolution(6, 5)
    x = torch.randn(2, 11, 6)
    assert torch.equal(conv(x), x)
    torch.nn.init.normal_(conv.weight)
    expected = x + F.conv1d(x.transpose(1, 2), conv.weight.squeeze(2), padding=2, groups=6).transpose(1, 2)
    torch.testing.assert_close(conv(x), expected)


def test_without_onednn_no_channel_is_convolved_by_itself(monkeypatch):
    """Torch would, which takes several times as long as a sum of shifted copies."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    x, weight = torch.randn(2, 5, 3), torch.randn(3, 1, 1, 7)
    with torch.profiler.profile() as found:
        Depthwise.apply(x, weight)
    assert not [event.name for event in found.events() if "conv" in event.name]


@pytest.mark.usefixtures("convolutions")
@pytest.mark.parametrize("taps", [1, 3, 7])
def test_the_convolutions_gradients_are_those_of_finite_differences(taps):
    x, weight = torch.randn(2, 5, 3, dtype=torch.float64), torch.randn(3, 1, 1, taps, dtype=torch.float64)
    assert torch.autograd.gradcheck(Depthwise.apply, (x.requires_grad_(), weight.requires_grad_()))


def test_rotation_keeps_length_and_makes_products_relative():
    q, k = torch.randn(1, 1, 1, 8, dtype=torch.float64), torch.randn(1, 1, 1, 8, dtype=torch.float64)
    turns = rotary_turns(20, 8, q.device).to(torch.complex128)
    turned_q, turned_k = (rotate(part.expand(1, 20, 1, 8).contiguous(), turns)[0, :, 0] for part in (q, k))
    products = turned_q @ turned_k.T
    torch.testing.assert_close(turned_q.norm(dim=1), q.norm().expand(20))
    for shift in range(1, 20):
        diagonal = products.diagonal(-shift)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-5, atol=1e-6)


def test_queries_and_keys_are_normalised():
    attention = Attention(16, 2)
    x = torch.randn(2, 8, 16)
    turns = rotary_turns(8, 8, x.device)
    before = attention(x, turns)
    with torch.no_grad():
        attention.qkv.weight[:32] *= 100  # queries and keys, not values
    torch.testing.assert_close(attention(x, turns), before, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("change", ["noise", "given", "far character"])
def test_the_answer_depends_on(change):
    model = trained()
    x_t, sigma, given = question()
    before = model(x_t, sigma, given)
    if change == "noise":
        sigma = sigma * 1.5
    elif change == "given":
        given = ~given
    else:
        x_t = x_t.clone()
        x_t[:, -1] = (x_t[:, -1] + 1) % 7
    after = model(x_t, sigma, given)
    assert ((after - before)[:, 0].abs() > 1e-6).any(dim=1).all()


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_chosen_positions_get_the_outputs_they_have_among_all(share):
    model = trained()
    positions = torch.rand(3, 32, generator=torch.Generator().manual_seed(2)) < share
    alone, together = model(*question(), positions=positions), model(*question())[positions]
    assert alone.shape == (int(positions.sum()), 1, 7)
    torch.testing.assert_close(alone.squeeze(1), together, rtol=1e-4, atol=1e-5)


def test_rows_of_a_batch_do_not_see_each_other():
    model = trained()
    x_t, sigma, given = question()
    together = model(x_t, sigma, given)
    for row in range(3):
        alone = model(x_t[row : row + 1], sigma[row : row + 1], given[row : row + 1])
        torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-5)


def test_dropout_is_drawn_by_its_generator_and_absent_without_one():
    model, plain = trained(SMALL.model_copy(update={"dropout": 0.5})), trained()
    plain.load_state_dict(model.state_dict())
    dropped = [model(*question(), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(dropped[0], dropped[1]) and not torch.equal(dropped[0], dropped[2])
    assert torch.equal(model(*question()), plain(*question()))


def test_dropout_keeps_the_mean():
    x = torch.ones(100_000)
    out = drop(x, 0.25, torch.Generator().manual_seed(0))
    assert torch.equal(out[out > 0], torch.full_like(out[out > 0], 4 / 3))
    assert float((out == 0).float().mean()) == pytest.approx(0.25, abs=0.01)


def test_matrices_are_the_blocks_two_dimensional_weights():
    model = trained()
    expected = {
        name for name, p in model.named_parameters() if "blocks" in name and p.dim() == 2 and "modulation" not in name
    }
    found = {id(p) for block in model.matrices() for p in block}
    assert {name for name, p in model.named_parameters() if id(p) in found} == expected and len(expected) == 8


def test_denoiser_answers_in_float32_near_the_exact_answer():
    model = trained()
    exact = model(*question())
    half = Denoiser(model, torch.bfloat16)(*question())
    assert half.dtype == torch.float32
    assert float((half - exact).detach().norm() / exact.detach().norm()) < 0.05
    assert torch.equal(Denoiser(model, torch.float32)(*question()), exact)


@pytest.mark.parametrize("layer", [0, 1])
def test_only_the_last_block_sees_farther_than_its_convolutions(layer):
    generator = torch.Generator().manual_seed(2)
    x, noise = torch.randn(1, 32, 16, generator=generator), torch.randn(1, 8, generator=generator)
    block, turns = trained(LATE).blocks[layer], rotary_turns(32, 8, torch.device("cpu"))
    other = x.clone()
    other[:, 0] = torch.randn(16, generator=generator)  # a shift alone would be normalised away
    seen = (block(x, noise, turns) != block(other, noise, turns)).any(-1)[0]
    assert seen.nonzero().flatten().tolist() == list(range(7 if layer == 0 else 32))  # two convolutions reach 3 each


def test_block_has_the_configured_convolution():
    assert Block(SMALL.model_copy(update={"conv_width": 3})).conv_mlp.weight.shape == (16, 1, 1, 3)


@pytest.mark.parametrize("attends", [True, False])
def test_a_compiled_block_computes_the_same(attends):
    """What a compiler sees is written otherwise: rotations without complex numbers, convolutions as sums."""
    torch.manual_seed(0)
    block, noise = Block(SMALL, attends=attends), torch.randn(2, 8)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    compiled = torch.compile(block, backend="aot_eager", dynamic=True)
    for length in (16, 24):
        x, wanted = torch.randn(2, length, 16, requires_grad=True), torch.randn(2, length, 16)
        turns = rotary_turns(length, 8, x.device)
        found, expected = (way(x, noise, turns) for way in (compiled, block))
        torch.testing.assert_close(found, expected)
        of = [x, *block.parameters()]
        for one, other in zip(*(torch.autograd.grad(y, of, wanted) for y in (found, expected)), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)  # float32 sums, in another order
