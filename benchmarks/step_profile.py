"""Where a training step's time goes, on one core of a CPU: python benchmarks/step_profile.py --dataset NAME"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from config import load_config
from trainer import Training


def main() -> None:
    parser = argparse.ArgumentParser(description="Profile a few training steps.")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the profiler hears one thread
    training = Training(load_config(Path("config.yaml")).resolve(arguments.dataset, preset=arguments.preset))

    def advance(steps: int) -> float:
        """Milliseconds a step."""
        began = time.perf_counter()
        for _ in range(steps):
            training.advance(training.batches.batch(training.status.step))
        return 1000 * (time.perf_counter() - began) / steps

    advance(5)
    print(f"{advance(arguments.steps):.1f} ms a step, unwatched")
    with torch.profiler.profile() as profile:
        advance(arguments.steps)
    print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=50))


if __name__ == "__main__":
    main()
