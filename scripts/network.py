"""A network of processes on this machine, for the scripts beside it: its files, its nodes, what they agree on."""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from processes import (
    Failure,
    Process,
    Rpc,
    default_binary,
    free_ports,
    require_binary,
    wait_ready,
    wait_until,
)

NODES = 4
# The first account of the usual test mnemonic, which `headway load` sends from.
FUNDED = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
BLOCKS_PER_BATCH = 100
# How long the chain may take for what is asked of it on a busy machine.
CHAIN_SECONDS = 60
# How long a command may take to refuse what it was asked.
REFUSAL_SECONDS = 20


class Network:
    """The files and processes of four nodes."""

    def __init__(self, binary, directory):
        self.binary = binary
        self.directory = directory
        self.files = directory / "net"
        ports = free_ports(2 * NODES)
        self.p2p_port, self.rpc_port = ports, ports + NODES
        self.nodes = [None] * NODES
        self.rpcs = [Rpc(self.rpc_port + index) for index in range(NODES)]

    def config(self, index):
        return self.files / f"node{index}/headway.toml"

    def data(self, index):
        return self.files / f"node{index}/data"

    def init(self, *more, heartbeat_ms=500):
        command = [self.binary, "init", "--validators", NODES, "--fund", FUNDED, "--heartbeat-ms", heartbeat_ms]
        command += ["--p2p-port", self.p2p_port, "--rpc-port", self.rpc_port, *more, self.files]
        run(command)

    def start(self, *indices):
        for index in indices:
            log = self.directory / f"node{index}.log"
            self.nodes[index] = Process([self.binary, "node", "--config", self.config(index)], log)
        for index in indices:
            wait_ready(self.nodes[index], self.rpcs[index])

    def load(self, node, *more):
        command = [self.binary, "load", "transfers", "--json", "--url", self.rpcs[node].url, *more]
        return Process(command, self.directory / "load.log")

    def require_alive(self, *indices):
        for index in indices:
            if not self.nodes[index].is_alive():
                raise Failure(f"node {index} ended:\n{self.nodes[index].tail()}")

    def no_panics(self):
        for log in sorted(self.directory.glob("*.log")):
            if "panicked" in log.read_text(errors="replace"):
                raise Failure(f"a panic in {log.name}:\n{log.read_text(errors='replace')[-2000:]}")


def run(command):
    """Runs a command that must succeed; what it printed."""
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHAIN_SECONDS, check=False)
    if done.returncode != 0:
        raise Failure(f"`{' '.join(command)}` exited with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def require(is_so, message):
    if not is_so:
        raise Failure(message)


def refused(network, command, code, pattern):
    """A command that is refused with this exit code, in one line that says why."""
    command = [str(part) for part in [network.binary, *command]]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=REFUSAL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise Failure(f"`{' '.join(command)}` was not refused in {REFUSAL_SECONDS} s") from None
    lines = done.stderr.strip().splitlines()
    said = f"exit code {done.returncode}, said: {done.stderr.strip()[-1500:] or 'nothing'}"
    require(done.returncode == code, f"expected exit code {code}: {said}")
    require("panicked" not in done.stderr, f"a panic: {said}")
    require(len(lines) == 1, f"not one line: {said}")
    require(re.search(pattern, lines[0]), f"does not match {pattern!r}: {said}")


def chain(rpc, last):
    """Hash and state root of every height up to `last`."""
    found = []
    for first in range(0, last + 1, BLOCKS_PER_BATCH):
        heights = range(first, min(first + BLOCKS_PER_BATCH, last + 1))
        for height, block in zip(heights, rpc.batch("eth_getBlockByNumber", [(hex(height), False) for height in heights])):
            require(block, f"{rpc.url} has no block {height}")
            found.append((block["hash"], block["stateRoot"]))
    return found


def require_same_chain(network):
    """All four serve the same blocks, from genesis to the lowest executed height."""
    last = min(rpc.heads()["executed"] for rpc in network.rpcs)
    chains = [chain(rpc, last) for rpc in network.rpcs]
    for height, blocks in enumerate(zip(*chains)):
        require(len(set(blocks)) == 1, f"the nodes differ at height {height}: {blocks}")
    return last


def wait_height(network, stage, height, *indices):
    """Until each of the nodes has come so far."""

    def has_come():
        network.require_alive(*indices)
        return all(network.rpcs[index].heads()[stage] >= height for index in indices)

    try:
        wait_until(f"{stage} height {height} on nodes {indices}", has_come, CHAIN_SECONDS)
    except Failure as failure:
        heads = [network.rpcs[index].heads() for index in indices]
        raise Failure(f"{failure}; they have {heads}") from None


def load_report(load, seconds):
    status = load.wait(seconds)
    require(status == 0, f"the load exited with {status}:\n{load.tail()}")
    return json.loads(load.tail(1))


def run_tests(about, tests):
    """All that a script of tests does: one network, on which each test goes on where the one before ended."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=default_binary(), help="the headway to test")
    parser.add_argument("--keep", action="store_true", help="keep the files of the network and say where they are")
    options = parser.parse_args()
    binary = require_binary(options.binary)
    directory = Path(tempfile.mkdtemp(prefix="headway-test-"))
    network = Network(binary, directory)
    failed = 0
    for test in tests:
        name, start = test.__name__.replace("_", " "), time.monotonic()
        try:
            test(network)
            print(f"ok      {name}, {time.monotonic() - start:.1f} s", flush=True)
        except (Failure, OSError, KeyError, ValueError, subprocess.SubprocessError) as error:
            failed += 1
            print(f"FAILED  {name}: {error}", flush=True)
    for node in network.nodes:
        if node:
            node.kill()
    if options.keep:
        print(f"files   {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{len(tests) - failed} passed, {failed} failed")
    sys.exit(failed > 0)
