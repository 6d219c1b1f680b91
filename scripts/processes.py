"""What the Python scripts beside it share: processes that never outlive the script, ports, JSON-RPC.

Standard library only.
"""

import atexit
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
ANSWER_SECONDS = 20
READY_SECONDS = 30
# No number of nodes gets near this; a range of ports must lie below the ports that clients take.
PORTS = range(20_000, 32_000)

_running = []


class Failure(Exception):
    """Something is not as it must be; the message says what."""


class Process:
    """A child whose output goes to a file."""

    def __init__(self, command, log):
        self.command = [str(part) for part in command]
        self.log = Path(log)
        with open(self.log, "ab") as output:
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        _running.append(self)

    def is_alive(self):
        return self.child.poll() is None

    def wait(self, seconds):
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"`{' '.join(self.command)}` still runs after {seconds} s") from None

    def kill(self):
        """Ends it at once, as a power cut would."""
        if self.is_alive():
            self.child.kill()
        self.child.wait()
        if self in _running:
            _running.remove(self)

    def stop(self, seconds=20):
        """Asks it to end, so that it removes its temporary files; the exit status."""
        if self.is_alive():
            self.child.terminate()
        try:
            return self.wait(seconds)
        finally:
            self.kill()

    def tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def _kill_all():
    for process in list(_running):
        process.kill()


atexit.register(_kill_all)
for _signal in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(_signal, lambda number, _: sys.exit(128 + number))


class Rpc:
    """JSON-RPC of one node."""

    def __init__(self, port, path=""):
        self.port = port
        self.url = f"http://{HOST}:{port}{path}"

    def at(self, path):
        """Another chain of the same node."""
        return Rpc(self.port, path)

    def call(self, method, *params):
        return self.batch(method, [params])[0]

    def batch(self, method, every_params):
        """One method with several parameters; the results in their order."""
        calls = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
            for number, params in enumerate(every_params)
        ]
        request = urllib.request.Request(
            self.url, json.dumps(calls).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
            answers = json.load(response)
        if isinstance(answers, dict):
            raise Failure(f"{method}: {answers.get('error')}")
        for answer in answers:
            if "error" in answer:
                raise Failure(f"{method}: {answer['error']}")
        answers.sort(key=lambda answer: answer["id"])
        return [answer["result"] for answer in answers]

    def number(self, method, *params):
        return int(self.call(method, *params), 16)

    def heads(self):
        """The verified, executed and finalized height."""
        return {name: int(height, 16) for name, height in self.call("headway_getHeads").items()}

    def is_ready(self):
        try:
            return self.call("eth_blockNumber") is not None
        except (OSError, ValueError, Failure):
            return False


def wait_until(what, is_so, seconds):
    """Waits until `is_so()` gives something true and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        result = is_so()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Failure(f"not in {seconds} s: {what}")
        time.sleep(0.05)


def wait_ready(process, rpc, seconds=READY_SECONDS):
    def is_ready():
        if not process.is_alive():
            raise Failure(f"`{' '.join(process.command)}` ended:\n{process.tail()}")
        return rpc.is_ready()

    wait_until(f"{rpc.url} answers", is_ready, seconds)


def is_free(port):
    """Whether nobody listens on it on this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(count):
    """The first of so many neighbouring ports that nobody listens on."""
    start = PORTS.start + os.getpid() * 16 % (len(PORTS) // 2)
    for first in range(start, PORTS.stop - count, count):
        if all(is_free(port) for port in range(first, first + count)):
            return first
    raise Failure("no free ports")


def default_binary():
    return ROOT / "target/release/headway"


def require_binary(path):
    if not os.access(path, os.X_OK):
        sys.exit(f"error: {path} is not there; run `cargo build --release --package node --bin headway`")
    return Path(path).resolve()


def find_anvil():
    """anvil from the clients' packages, installed if missing, or from the PATH."""
    clients = ROOT / "clients"
    anvil = clients / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
    if not anvil.exists() and shutil.which("npm"):
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(command, cwd=clients, check=False)
    if anvil.exists():
        return str(anvil)
    anvil = shutil.which("anvil")
    if not anvil:
        sys.exit("error: there is no anvil; install Node.js with npm, or put anvil on the PATH")
    return anvil


def machine():
    """One line that says where a figure comes from."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"{os.cpu_count()} x {model}, {memory:.0f} GiB, {platform.system()} {platform.release()}; load average {load}"
