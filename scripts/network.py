"""A network of processes on this machine, for the scripts beside it: its files, its nodes, what they agree on."""

import json
import subprocess

from processes import Failure, Process, Rpc, free_ports, wait_ready, wait_until

NODES = 4
# The first account of the usual test mnemonic, which `headway load` sends from.
FUNDED = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
BLOCKS_PER_BATCH = 100
# How long the chain may take for what is asked of it on a busy machine.
CHAIN_SECONDS = 60


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

    def init(self):
        command = [self.binary, "init", "--validators", NODES, "--fund", FUNDED, "--heartbeat-ms", 500]
        command += ["--p2p-port", self.p2p_port, "--rpc-port", self.rpc_port, self.files]
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
