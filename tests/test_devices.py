"""The same training on one device, on eight, and on those of two processes, to rounding."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from dag_gfn.devices import batch_sharding

# Fits with both flows on each number of devices; prints the losses and marginals as JSON.
PROGRAM = """
import json, sys, warnings
import jax
process, port, folder, *numbers = sys.argv[1:]
if int(port):
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{port}", 2, int(process))
import dag_gfn as dg
from dag_gfn.gflownet import fitting as edges
from dag_gfn.orderflow import fitting as orders

orders.CHUNK = edges.CHUNK = 30  # devices that share two cores wait for each other
warnings.simplefilter("ignore", dg.diagnostics.UntrustedPosteriorWarning)
table = dg.datasets.simulate_linear_gaussian(4, 60, random_state=0).table
# Few updates, since an action that is drawn otherwise for a rounding leads elsewhere.
flows = {
    "orders": (dg.OrderGFlowNet, {"width": 16, "batch_size": 16, "num_updates": 60}),
    "edges": (dg.DAGGFlowNet, {"window": 4, "num_updates": 30}),
}
words = {"n_samples": 200, "early_stopping": False, "progress": False, "random_state": 0}

def fit(name, number, **more):
    flow, settings = flows[name]
    devices = int(number) or None
    model = flow(**settings, **words, num_devices=devices, **more).fit(table)
    return [model.history_["loss"].tolist(), model.posterior_.edge_marginals().to_numpy().tolist()]

class Stop(Exception):
    pass

def stop(row):
    if row["update"] == 60:
        raise Stop

found = {number: [fit("orders", number)] for number in numbers}
kept = {"checkpoint_dir": folder, "checkpoint_every": 0.0}
if int(port):
    # Kept by the first host, gone on with by both.
    found["kept"] = [fit("orders", numbers[0], **kept), fit("orders", numbers[0], **kept)]
else:
    found["edges"] = [fit("edges", number) for number in (numbers[0], numbers[-1])]
    try:
        fit("orders", 0, callback=stop, **kept)
    except Stop:
        pass
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found["moved"] = [fit("orders", numbers[-1], **kept)]
    found["said"] = [str(warning.message) for warning in said]
print("RESULT" + json.dumps(found))
"""


def started(numbers, devices, folder, process=0, port=0):
    environment = os.environ | {
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} "
        f"--xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # most of the time is compilation
    }
    arguments = [str(one) for one in (process, port, folder, *numbers)]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def results_of(process):
    printed, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-2000:]
    line = next(line for line in printed.splitlines() if "RESULT" in line)
    return json.loads(line.split("RESULT")[1])


def assert_alike(fit, alone):
    """Sums in another order differ in their last digit, and what follows from them."""
    for found, expected in zip(fit, alone, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def on_one_host(tmp_path_factory):
    return results_of(started([0, 1, 8], 8, tmp_path_factory.mktemp("one_host")))


def test_eight_devices_train_as_one_does(on_one_host):
    alone = on_one_host["0"][0]
    assert on_one_host["1"][0] == alone
    assert_alike(on_one_host["8"][0], alone)
    assert_alike(*on_one_host["edges"])


def test_a_run_that_was_stopped_goes_on_with_more_devices(on_one_host):
    assert_alike(on_one_host["moved"][0], on_one_host["0"][0])
    assert [said for said in on_one_host["said"] if "goes on with 8 devices" in said]


def test_two_processes_train_as_one_does(on_one_host, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    both = [started([4], 2, tmp_path, process, port) for process in range(2)]
    for found in map(results_of, both):
        for fit in (*found["4"], *found["kept"]):
            assert_alike(fit, on_one_host["0"][0])
    assert (tmp_path / "checkpoint.npz").exists()


def test_what_cannot_be_shared_out_is_refused():
    assert batch_sharding(None, batch_size=7) is None
    with pytest.raises(ValueError, match="num_devices must be from 1 to"):
        batch_sharding(4096)
    with pytest.raises(ValueError, match="num_devices must be from 1 to"):
        batch_sharding(0)
    assert batch_sharding(1, batch_size=7) is not None
