"""Documents written on a Ray cluster: the same bytes as without it, though a machine dies; errors are one line each."""

import os
import platform
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import generate
from command import cluster as connecting
from generation import cluster as joined
from generation.checkpoint import load_checkpoint, save_checkpoint
from generation.cluster import RayMachines, WritingMachine, in_precision, on_machines, places_of
from generation.writer import VERSIONS, Writer, machine_of
from tests.helpers import ROOT, Quiet, files_in, long_and_short_lines, make_run, one_short_line, posix
from training.trainer import train_model
from utils import UserError

ray = pytest.importorskip("ray", reason="Ray is not installed: requirements-ray.txt")
CPU = torch.device("cpu")


@pytest.fixture
def model(tiny_run) -> Path:
    """A model whose documents lie on both sides of its context."""
    run = tiny_run(long_and_short_lines(), diffusion={"process": "absorbing"})
    train_model(run, Quiet())
    return run.model_file()


@posix
@pytest.mark.slow
def test_documents_are_the_same_bytes_though_a_machine_dies(model, cluster, tmp_path, capsys, monkeypatch):
    options = ["--model", str(model), "--samples", "120", "--courses", "--batch-size", "40", "--steps", "60"]
    assert generate.main([*options, "--output", str(tmp_path / "here" / "texts.txt")]) == 0

    ended = RayMachines.ended

    def ended_and_lose_a_machine(machines):
        if beginning := [reference for reference, (_, share) in machines.busy.items() if not share]:
            ray.wait(beginning, num_returns=len(beginning))  # both are to begin before one dies
        elif len(cluster.workers) == 2:
            cluster.remove_node(cluster.workers.pop(), allow_graceful=False)
        return ended(machines)

    monkeypatch.setattr(RayMachines, "ended", ended_and_lose_a_machine)
    capsys.readouterr()
    assert generate.main([*options, "--output", str(tmp_path / "there" / "texts.txt"), "--ray", cluster.address]) == 0
    assert len(cluster.workers) == 1
    assert files_in(tmp_path / "there") == files_in(tmp_path / "here")
    lost = "a machine of the cluster was lost, and what it held is drawn again; 1 machine left\n"
    assert capsys.readouterr().out.count(lost) == 1


@posix
@pytest.mark.slow
def test_what_goes_wrong_on_a_machine_is_one_line(model, cluster, tmp_path, capsys, monkeypatch):
    checkpoint = load_checkpoint(model)
    embedding = torch.full_like(checkpoint.weights["tokens.weight"], 3e38)  # finite, but not what they add up to
    weights = {**checkpoint.weights, "tokens.weight": embedding}
    large, output = model.with_name("large.pt"), tmp_path / "none" / "texts.txt"
    save_checkpoint(large, replace(checkpoint, weights=weights))
    options = ["--samples", "40", "--output", str(output)]
    assert generate.main(["--model", str(large), *options]) == 2
    here = capsys.readouterr().err
    assert "large.pt: the network's output is not a number" in here
    assert generate.main(["--model", str(large), *options, "--ray", cluster.address]) == 2
    assert capsys.readouterr().err == here

    ended = RayMachines.ended

    def ended_and_lose_all(machines):
        while cluster.workers:
            cluster.remove_node(cluster.workers.pop(), allow_graceful=False)
        while any(node["Alive"] and node["Resources"].get("CPU") for node in ray.nodes()):
            time.sleep(0.1)  # else they might have written all before they end
        return ended(machines)

    monkeypatch.setattr(RayMachines, "ended", ended_and_lose_all)
    assert generate.main(["--model", str(model), *options, "--ray", cluster.address]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: Ray: no machine is left: ") and one_short_line(message)
    ray.init(cluster.address)
    while "CPU" in ray.cluster_resources():  # it takes a moment until it is known that they are gone
        time.sleep(0.1)
    ray.shutdown()
    assert generate.main(["--model", str(model), *options, "--ray", cluster.address]) == 2
    assert capsys.readouterr().err == "error: --ray: no machine of the cluster has a cpu to write on\n"
    assert not output.exists()


@posix
@pytest.mark.slow
@pytest.mark.parametrize(
    ("tells", "what"),
    [
        ("machine_of", "a machine of the cluster computes otherwise ({}) than this one (of another kind), so"),
        ("answer_of", "a machine of the cluster ({}) computes other numbers than this one, so"),
    ],
)
def test_machines_that_compute_otherwise_are_left_out(model, cluster, capsys, monkeypatch, tells, what):
    """As one with other instructions, on which a text may come out different."""
    what = what.format(machine_of(Writer.of(load_checkpoint(model), CPU)))
    monkeypatch.setattr(joined, tells, lambda writer: "of another kind")
    assert len(cluster.workers) == 2
    assert generate.main(["--model", str(model), "--samples", "9", "--ray", cluster.address]) == 2
    said = capsys.readouterr()
    assert said.out.splitlines() == [f"{what} it is left out: texts would come out different"]
    assert said.err == f"error: --ray: {what} texts would come out different, and no other is left\n"


ANSWER = """\
import sys
from pathlib import Path
import torch
from generation.checkpoint import load_checkpoint
from generation.cluster import answer_of
from generation.writer import Writer, machine_of
writer = Writer.of(load_checkpoint(Path(sys.argv[1])), torch.device("cpu"))
print(machine_of(writer), answer_of(writer))
"""


@pytest.mark.skipif(not torch.cpu._is_avx512_bf16_supported(), reason="needs a processor with AVX-512 and bfloat16")
def test_processors_of_one_name_that_compute_otherwise_answer_otherwise(tmp_path):
    """torch's names of instructions tell AVX2 from AVX-512 and no more."""
    run = make_run(tmp_path, model={"width": 192}, training={"precision": "bfloat16", "max_steps": 2})
    checkpoint, generator = train_model(run, Quiet()), torch.Generator().manual_seed(0)
    sizes = {name: value.shape for name, value in checkpoint.weights.items()}  # as of a network that has learnt much
    weights = {name: torch.randn(size, generator=generator) * size[-1] ** -0.5 for name, size in sizes.items()}
    save_checkpoint(run.model_file(), replace(checkpoint, weights=weights))
    told = []
    for most in ("DEFAULT", "DEFAULT", "AVX512_CORE"):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "ONEDNN_MAX_CPU_ISA": most}
        command = [sys.executable, "-c", ANSWER, str(run.model_file())]
        told.append(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split())
    assert told[0] == told[1] and told[2][:-1] == told[0][:-1] and told[2][-1] != told[0][-1]


GUARDED = """\
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@posix
@pytest.mark.slow
def test_a_cluster_that_asks_for_a_token_is_reached_by_who_has_it(model, tmp_path):
    """As `ray start --head` begins one; each program finds the token in the home folder of its own."""
    home = {**os.environ, "HOME": str(tmp_path)}
    guarded, bare = {**home, "RAY_AUTH_MODE": "token"}, {**home, "HOME": str(tmp_path / "elsewhere")}
    ray_command = [sys.executable, "-m", "ray.scripts.scripts"]
    subprocess.run([*ray_command, "get-auth-token", "--generate"], env=guarded, check=True, capture_output=True)
    head = subprocess.Popen(
        [sys.executable, "-c", GUARDED], env=guarded, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with head:
        assert head.stdout
        address = next(line.strip() for line in head.stdout if re.fullmatch(r"[\d.]+:\d+", line.strip()))
        program = [sys.executable, str(ROOT / "generate.py"), "--model", str(model), "--samples", "3"]

        def write(name: str, environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
            command = [*program, "--output", str(tmp_path / name), *options]
            return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

        assert write("alone.txt", bare).returncode == 0
        with_token, without = (write(f"{n}.txt", env, "--ray", address) for n, env in enumerate((home, bare)))
        head.communicate()
    assert with_token.returncode == 0, with_token.stderr
    assert (tmp_path / "0.txt").read_bytes() == (tmp_path / "alone.txt").read_bytes()
    said = without.stderr.splitlines()[-1]  # after Ray's own words
    assert without.returncode == 2 and said.startswith(f"error: --ray {address}: Failed to connect to Ray cluster")
    assert "auth_token here the one of its machine? (see docs/machines.md)" in said


def test_without_ray_writing_on_it_is_one_line(model, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert generate.main(["--model", str(model), "--ray"]) == 2
    assert capsys.readouterr().err == "error: Ray is not installed; pip install -r requirements-ray.txt\n"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "head:port"])
def test_no_cluster_to_write_on_is_one_line(model, capsys, address):
    assert generate.main(["--model", str(model), "--ray", address]) == 2
    fix = "begin one with ray start --head, which names its HOST:PORT"
    assert capsys.readouterr().err == f"error: --ray {address}: no cluster answers; {fix}\n"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", None], ids=["closes", "web", "silent"])
def test_what_is_no_head_of_a_cluster_is_one_line(monkeypatch, answer):
    """Ray itself would ask it for minutes. Its dashboard is a server of the web."""
    monkeypatch.setattr(connecting, "CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        address = f"127.0.0.1:{server.getsockname()[1]}"

        def reply() -> None:
            with server.accept()[0] as asked:
                asked.recv(100)
                if answer is None:
                    time.sleep(1)
                else:
                    asked.sendall(answer)

        done = pool.submit(reply)
        with pytest.raises(UserError, match=f"^--ray {address}: no cluster answers; begin one with"):
            connecting.check_address(address)
        done.result()


def test_what_a_cluster_cannot_do_is_one_line(model, capsys):
    with pytest.raises(SystemExit):
        generate.main(["--model", str(model), "--ray", "--watch"])
    assert capsys.readouterr().err.endswith("error: argument --watch: not allowed with argument --ray\n")
    checkpoint, mps = load_checkpoint(model), torch.device("mps")
    writer = replace(Writer.of(checkpoint, CPU), device=mps)
    with (
        pytest.raises(UserError, match="--ray: a cluster writes on cpu or cuda, not on mps; add --device cpu"),
        on_machines(writer, checkpoint, ""),
    ):
        pass


def test_a_machine_with_other_versions_is_named():
    other = "0.0.1, torch 1.0"
    what = f"--ray: {platform.node()} has version {VERSIONS}, and this machine {other}; install the same on both"
    with pytest.raises(UserError, match=re.escape(what)):
        WritingMachine().load([], "cpu", 1, other)


def test_all_machines_compute_in_the_precision_of_this_one(tiny_run, monkeypatch):
    checkpoint = train_model(tiny_run(training={"precision": "auto", "max_steps": 1}), Quiet())
    for native, precision in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda here=native: here)
        sent = in_precision(checkpoint, CPU)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda here=native: not here)  # another machine
        assert Writer.of(sent, CPU).network.precision == precision != Writer.of(checkpoint, CPU).network.precision


def test_all_cores_of_a_machine_write_together_and_each_gpu_alone():
    node = {"NodeID": "a", "Resources": {"CPU": 8.0, "GPU": 2.0, "memory": 1e9}}
    assert places_of(node, CPU) == [("a", 8, 0)]
    assert places_of(node, torch.device("cuda")) == [("a", 1, 1), ("a", 1, 1)]
    assert places_of({"NodeID": "b", "Resources": {}}, CPU) == []
