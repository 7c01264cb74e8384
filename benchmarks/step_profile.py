"""Where a training step's time goes, and how near it is to what the machine can multiply:

python benchmarks/step_profile.py --dataset NAME [--preset baby] [--device cuda]

A CPU is watched on one core.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from config.loader import load_config
from training.trainer import Training

PRODUCT = 2048  # rows and columns of the matrices whose product shows what the machine can do


def seconds(work: Callable[[], object], times: int, device: torch.device) -> list[float]:
    """Of each of so many calls."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - began)
    return found


def peak(training: Training) -> float:
    """Operations a second of a large matrix product in the training's precision."""
    a = torch.randn(PRODUCT, PRODUCT, device=training.device, dtype=training.precision)
    return 2 * PRODUCT**3 / min(seconds(lambda: a @ a, 10, training.device))


def operations(training: Training) -> float:
    """Of a step, in products alone: 6 a weight and position; attention's 12 a width, position and other position."""
    model, (rows, length) = training.run.model, training.batches.batch(0).ids.shape
    weights = training.model.head.weight.numel() + sum(p.numel() for block in training.model.matrices() for p in block)
    return rows * length * (6 * weights + 12 * model.layers * model.width * length)


def main() -> None:
    parser = argparse.ArgumentParser(description="Profile a few training steps.")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the profiler hears one thread
    run = load_config(Path("config.yaml")).resolve(arguments.dataset, preset=arguments.preset, device=arguments.device)
    training = Training(run)

    def step() -> None:  # always of the same batch, so that all steps cost the same
        training.advance(training.batches.batch(0))

    seconds(step, 5, training.device)
    took = statistics.median(seconds(step, arguments.steps, training.device))
    reached, possible = operations(training) / took, peak(training)
    print(
        f"{1000 * took:.1f} ms a step, unwatched: {reached / 1e9:,.0f} GFLOP/s in products of the network, "
        f"{reached / possible:.0%} of the {possible / 1e9:,.0f} that a product of {PRODUCT:,} x {PRODUCT:,} reaches"
    )
    with torch.profiler.profile() as profile:
        seconds(step, arguments.steps, training.device)
    print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=50))


if __name__ == "__main__":
    main()
