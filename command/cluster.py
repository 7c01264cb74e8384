"""Connects to a Ray cluster. Ray is imported here alone."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

from command.libraries import library
from command.program import stop_signals
from utils import UserError

ROOT = Path(__file__).resolve().parents[1]  # of this program, which every machine has in the same place
TOKEN = "~/.ray/auth_token"  # where Ray keeps what all machines of a cluster must know
CONNECT_SECONDS = 5
SETTINGS = b"\x04"  # the kind of frame with which each side of HTTP/2 begins; gRPC, which a head speaks, is HTTP/2
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + SETTINGS + bytes(5)
REASON = 300  # characters of what Ray says of an error


def ray_library() -> Any:
    """The module. Raises UserError if Ray is not installed."""
    return library("ray", "ray", "Ray")


def reason_of(error: Exception) -> str:
    """What Ray says of an error, on one line."""
    return " ".join(str(error).split())[:REASON]


def check_address(address: str) -> None:
    """Raise UserError at once if no head of a cluster answers there: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    try:
        if address:
            with socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS) as there:
                if os.environ.get("RAY_USE_TLS", "0") == "0":  # Ray's own; encrypted, a head answers no greeting
                    there.sendall(GREETING)
                    if there.makefile("rb").read(4)[3:] != SETTINGS:
                        raise OSError
    except (OSError, ValueError, OverflowError):
        fix = "begin one with ray start --head, which names its HOST:PORT"
        raise UserError(f"--ray {address}: no cluster answers; {fix}") from None


def connected(address: str) -> Any:
    """Ray, connected to the cluster at `address`; "": the one of this machine, started if there is none."""
    token = Path(TOKEN).expanduser()
    if address and token.is_file():  # a head asks for it; given an address, Ray does not use it by itself
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    ray = ray_library()
    check_address(address)
    options: dict[str, Any] = {} if address else {"include_dashboard": False}
    environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    handlers = {number: signal.getsignal(number) for number in stop_signals()}
    try:
        ray.init(address or None, log_to_driver=False, logging_level="error", runtime_env=environment, **options)
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        fix = f"is this a head, and {token} here the one of its machine? (see docs/machines.md)"
        raise UserError(f"--ray {address}: {str(error).partition(chr(10))[0][:REASON]}; {fix}") from None
    for number, handler in handlers.items():  # Ray takes SIGTERM for itself
        signal.signal(number, handler)
    return ray
