"""Faults for a training's process, put in place of worker.train_in_process; a new process finds them by name."""

import os
import signal
from pathlib import Path

from training import worker

here, train_model = worker.train_in_process, worker.train_model


def no_kernel_for_one(run, cores, link):
    def fail(run, listener, **settings):
        if run.name == "one":
            raise RuntimeError("no such kernel")
        return train_model(run, listener, **settings)

    worker.train_model = fail
    here(run, cores, link)


def no_memory(run, cores, link):
    def fail(run, listener, **settings):
        raise MemoryError

    worker.train_model = fail
    here(run, cores, link)


def no_patience(run, cores, link):
    worker.LOCK_SECONDS = 0
    here(run, cores, link)


def killed_the_first_time(run, cores, link):
    mark = Path(run.paths.models) / "killed"
    if not mark.exists():
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    here(run, cores, link)
