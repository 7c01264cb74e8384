"""Connects to a Ray cluster. Ray is imported here alone."""

import signal
import socket
from pathlib import Path
from typing import Any

from config.command_line import stop_signals
from generation.libraries import library
from utils import UserError

ROOT = Path(__file__).resolve().parents[1]  # of this program, which every machine has in the same place
CONNECT_SECONDS = 5
REASON = 300  # characters of what Ray says of an error


def ray_library() -> Any:
    """The module. Raises UserError if Ray is not installed."""
    return library("ray", "ray", "Ray")


def check_address(address: str) -> None:
    """Raise UserError at once if nothing answers there: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    try:
        if address:
            socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError, OverflowError):
        fix = "begin one with ray start --head, which names its HOST:PORT"
        raise UserError(f"--ray {address}: no cluster answers; {fix}") from None


def connected(address: str) -> Any:
    """Ray, connected to the cluster at `address`; "": the one of this machine, started if there is none."""
    ray = ray_library()
    check_address(address)
    options: dict[str, Any] = {} if address else {"include_dashboard": False}
    environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    handlers = {number: signal.getsignal(number) for number in stop_signals()}
    ray.init(address or None, log_to_driver=False, logging_level="error", runtime_env=environment, **options)
    for number, handler in handlers.items():  # Ray takes SIGTERM for itself
        signal.signal(number, handler)
    return ray
