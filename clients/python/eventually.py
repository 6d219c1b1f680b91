"""Polling with a deadline."""

import time


def eventually(what, probe, timeout_s=15.0):
    """Calls `probe` until its answer is true, and returns it."""
    deadline = time.monotonic() + timeout_s
    while not (answer := probe()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.05)
    return answer
