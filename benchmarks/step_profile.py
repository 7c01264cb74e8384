"""Where a training step's time goes, and how near it is to what the machine can multiply:

python benchmarks/step_profile.py --dataset NAME [--preset baby] [--device cuda]

First the speed over batches of all shapes, after a warm-up in which a GPU captures a graph of each. A CPU is watched on
one core.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from environment import heading, publish

from config.loader import load_config
from training.trainer import Training
from training.utilisation import PASSES, forward_flops

KERNELS = ("compiled", "graphed", "plain")  # in graphs and joined by a compiler, in graphs, each by itself
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


def speed(training: Training, warm_up: int, steps: int) -> list[str]:
    """Lines on the warm-up, and on characters a second of the steps after it."""

    def advance(first: int, last: int) -> None:
        for number in range(first, last):
            training.advance(training.batches.batch(number))

    (began,) = seconds(lambda: advance(0, warm_up), 1, training.device)
    before = training.status.characters
    (took,) = seconds(lambda: advance(warm_up, warm_up + steps), 1, training.device)
    characters = training.status.characters - before
    first = f"the first {warm_up} steps take {began:.1f} seconds"
    return [first, f"{characters / took:,.0f} characters/s, {1000 * took / steps:.2f} ms a step"]


def peak(training: Training) -> float:
    """Operations a second of a large matrix product in the training's precision."""
    a = torch.randn(PRODUCT, PRODUCT, device=training.device, dtype=training.precision)
    return 2 * PRODUCT**3 / min(seconds(lambda: a @ a, 10, training.device))


def operations(training: Training) -> float:
    """Of a step, in products alone, all positions computed."""
    rows, length = training.batches.batch(0).ids.shape
    outputs = training.model.head.out_features
    return PASSES * forward_flops(training.run.model, outputs, length) * rows * length


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Profile a few training steps.")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=5, help="steps before the speed is measured (default 5)")
    parser.add_argument("--kernels", choices=KERNELS, default="graphed", help="on a GPU (default graphed)")
    parser.add_argument("--speed", action="store_true", help="measure the speed alone")
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


def prepared(dataset: str, preset: str, device: str, kernels: str) -> Training:
    """A training whose kernels are launched in one of the ways of KERNELS."""
    training = Training(load_config(Path("config.yaml")).resolve(dataset, preset=preset, device=device))
    for block in training.model.blocks:
        if kernels == "compiled":
            block.compile(dynamic=True)
        else:
            block._compiled_call_impl = None
    if kernels == "plain":
        training.learner.follow = training.learner._follow  # pyright: ignore[reportPrivateUsage]
    return training


def main() -> None:
    arguments = parsed()
    torch.set_num_threads(1)  # the profiler hears one thread
    training = prepared(arguments.dataset, arguments.preset, arguments.device, arguments.kernels)
    measured = speed(training, arguments.warm_up, arguments.steps)
    if not arguments.speed:
        measured += profiled(training, arguments.steps)
    title = f"A training step: {arguments.dataset}, {arguments.preset}, {arguments.kernels}, {arguments.device}"
    publish([*heading(title), "```", *measured, "```"], arguments.output)


def profiled(training: Training, steps: int) -> list[str]:
    """Lines on a step's operations beside what the machine can do, and on where its time goes."""

    def step() -> None:  # always of the same batch, so that all steps cost the same
        training.advance(training.batches.batch(0))

    seconds(step, 5, training.device)
    took = statistics.median(seconds(step, steps, training.device))
    reached, possible = operations(training) / took, peak(training)
    lines = [
        f"{1000 * took:.1f} ms a step, unwatched: {reached / 1e9:,.0f} GFLOP/s in products of the network, "
        f"{reached / possible:.0%} of the {possible / 1e9:,.0f} that a product of {PRODUCT:,} x {PRODUCT:,} reaches"
    ]
    with torch.profiler.profile() as profile:
        seconds(step, steps, training.device)
    own = f"self_{training.device.type}_time_total"
    events = profile.key_averages()
    lines += events.table(sort_by=own, row_limit=25, max_name_column_width=50).splitlines()
    if training.device.type == "cuda":
        launches = sum(event.count for event in events if "Launch" in event.key)
        memory = torch.cuda.max_memory_allocated() / 1e6
        lines.append(f"{launches / steps:,.0f} launches a step, at most {memory:,.0f} MB of the card's memory")
    return lines


if __name__ == "__main__":
    main()
