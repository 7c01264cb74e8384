"""Fixtures: temporary projects; a browser; one core per operation; how long Hypothesis searches, without deadlines."""

import multiprocessing
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings

import train
from tests.browser import Visits, chromium
from tests.helpers import THOROUGH, make_run, write_project
from tests.homes import home, trained
from tests.killing import warm
from training import worker
from utils import set_up_cores

__all__ = ["home", "trained"]  # fixtures

NO_PRIVILEGE = 1314  # Windows' ERROR_PRIVILEGE_NOT_HELD

settings.register_profile("unhurried", deadline=None)  # a machine with other work takes its time
settings.register_profile("thorough", deadline=None, max_examples=THOROUGH)  # pytest --hypothesis-profile=thorough
settings.register_profile("soak", deadline=None, max_examples=500)
settings.load_profile("unhurried")
set_up_cores()  # as every command does: or two workers of pytest would wait for each other's threads


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, for each of two workers: what is left at the end, where one may wait, is quick."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    slow = [tests for tests in files.values() if any(test.get_closest_marker("slow") for test in tests)]
    quick = [test for tests in files.values() if tests not in slow for test in tests]
    parts: list[list[pytest.Item]] = [[], []]
    for tests in sorted(slow, key=len, reverse=True):
        min(parts, key=len).extend(tests)
    middle = max(0, len(items) // 2 - len(parts[0]))  # xdist gives each worker one half of all to begin with
    items[:] = [*parts[0], *quick[:middle], *parts[1], *quick[middle:]]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Skip a test that makes links where Windows lets none but its developers."""
    try:
        return (yield)
    except OSError as error:
        if getattr(error, "winerror", None) == NO_PRIVILEGE:
            pytest.skip("links need Windows' developer mode")
        raise


@pytest.fixture
def tiny_run(tmp_path: Path):
    """A function (lines or bytes, **section overrides) -> the run of a dataset written to a temporary folder."""

    return partial(make_run, tmp_path)


@pytest.fixture
def warm_processes(monkeypatch):
    """Trainings begin as forks of one process that has imported torch, where a system can; what they print is lost."""
    if "forkserver" in multiprocessing.get_all_start_methods():
        monkeypatch.setattr(worker, "CONTEXT", warm())


@pytest.fixture(scope="module")  # Playwright's event loop runs as long as it does
def browser():
    """Chromium; see tests/browser.py."""
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser, tmp_path):
    """A function (path, width, height, **options of Playwright) -> its page, which may ask for nothing elsewhere."""
    visits = Visits(browser)
    yield visits
    visits.leave(tmp_path)


@pytest.fixture
def cluster(monkeypatch):
    """A Ray cluster: two machines of one core each, and a third that holds no core, where the command is."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # whether or not this machine has a token
    import ray
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    found.workers = [found.add_node(num_cpus=1) for _ in range(2)]
    yield found
    ray.shutdown()
    found.shutdown()


@pytest.fixture
def project(tmp_path):
    """A folder with a config and two datasets; -> (config path, a function that runs train.py on it)."""
    path = write_project(tmp_path)
    return path, lambda *arguments: train.main(["--config", str(path), *arguments])
