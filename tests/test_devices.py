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

# Trains both flows for a few updates on each number of devices; prints the losses as JSON.
PROGRAM = """
import json, sys
import jax
process, port, *numbers = map(int, sys.argv[1:])
if port:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{port}", 2, process)
import jax.numpy as jnp
import numpy as np
import dag_gfn as dg
from dag_gfn.devices import batch_sharding, replicated
from dag_gfn.gflownet import training as edges
from dag_gfn.orderflow import training as orders
from dag_gfn.mcmc.candidates import candidate_table
from dag_gfn.mcmc.parent_sums import parent_sums
from dag_gfn.orderflow.space import canonical_orders, order_space, rank_by_degree

scores = dg.local_scores(dg.datasets.simulate_linear_gaussian(4, 60, random_state=0).table)

def edge_losses(sharding):
    settings = edges.Settings(num_environments=16, batch_size=16, window=4, num_parent_sets=8)
    problem, gains = edges.make_problem(scores, settings)
    state = edges.init(problem, settings, jax.random.key(0))
    problem, state = edges.on_devices(problem, state, sharding)
    rates = replicated(jnp.full(30, 1e-3), sharding)
    return edges.train(problem, gains, settings, state, rates, sharding=sharding)[1]

def order_losses(sharding):
    settings = orders.OrderSettings(width=16, batch_size=16)
    exact = dg.ExactPosterior(n_samples=64, random_state=0).infer(scores)
    graphs = exact.posterior_.adjacency
    rank = rank_by_degree(graphs)
    space = order_space(parent_sums(candidate_table(scores)), rank)
    places = canonical_orders(graphs, rank)
    state = orders.init(space, settings, jax.random.key(0))
    space, state, places, rates, balance = replicated(
        (space, state, jnp.asarray(places, jnp.int32), jnp.full(30, 1e-3), jnp.float32(0.5)),
        sharding,
    )
    more = {"balance": balance, "sharding": sharding}
    return orders.train(space, settings, state, places, rates, **more)[1]

found = {}
for number in numbers:
    sharding = batch_sharding(number) if number else None
    losses = edge_losses(sharding), order_losses(sharding)
    found[number] = [np.asarray(one).tolist() for one in losses]
print("RESULT" + json.dumps(found))
"""


def started(numbers, devices, process=0, port=0):
    environment = os.environ | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
    }
    arguments = [str(one) for one in (process, port, *numbers)]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def losses_of(process):
    printed, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-2000:]
    line = next(line for line in printed.splitlines() if "RESULT" in line)
    return {int(key): value for key, value in json.loads(line.split("RESULT")[1]).items()}


@pytest.fixture(scope="module")
def on_one_host():
    return losses_of(started([0, 1, 8], devices=8))


def test_eight_devices_train_as_one_does(on_one_host):
    for edge_losses, order_losses in on_one_host.values():
        for losses, alone in zip((edge_losses, order_losses), on_one_host[0], strict=True):
            # Sums in another order differ in their last digit, and what follows from them.
            np.testing.assert_allclose(losses, alone, rtol=1e-4, atol=1e-5)
    assert on_one_host[1] == on_one_host[0]


def test_two_processes_train_as_one_does(on_one_host):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    both = [started([4], devices=2, process=number, port=port) for number in range(2)]
    for found in map(losses_of, both):
        for losses, alone in zip(found[4], on_one_host[0], strict=True):
            np.testing.assert_allclose(losses, alone, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_shared_out_is_refused():
    assert batch_sharding(None, batch_size=7) is None
    with pytest.raises(ValueError, match="num_devices must be from 1 to"):
        batch_sharding(4096)
    with pytest.raises(ValueError, match="num_devices must be from 1 to"):
        batch_sharding(0)
    assert batch_sharding(1, batch_size=7) is not None
