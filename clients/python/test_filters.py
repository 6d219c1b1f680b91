"""Filters, which web3.py polls."""

import pytest
from web3.exceptions import Web3Exception

from eventually import eventually


@pytest.fixture(scope="module")
def sender(accounts):
    return accounts[8]


@pytest.fixture(scope="module")
def box(deploy, sender):
    return deploy(sender, "Box")


@pytest.fixture
def store(box, send, sender):
    return lambda value: send(sender, {"to": box.address, "data": box.encode_abi("store", args=[value])})


def collect(entries, wanted):
    """Polls a filter until `wanted` is among its entries; returns all of them."""
    seen = []

    def probe():
        seen.extend(entries.get_new_entries())
        return wanted in seen

    eventually("the filter's entry", probe)
    return seen


def test_event_filter(w3, box, store):
    entries = box.events.Stored.create_filter(from_block="latest")
    hashes = [store(value)["transactionHash"] for value in (1, 2)]
    logs = []

    def both():
        logs.extend(log for log in entries.get_new_entries() if log["transactionHash"] in hashes)
        return len(logs) >= 2

    eventually("two events", both)
    assert [log["args"]["value"] for log in logs] == [1, 2]
    assert entries.get_new_entries() == []
    assert w3.eth.uninstall_filter(entries.filter_id)


def test_block_filter(w3, store):
    entries = w3.eth.filter("latest")
    receipt = store(3)
    hashes = collect(entries, receipt["blockHash"])
    assert len(hashes) == len(set(hashes))


def test_pending_filter(w3, store):
    entries = w3.eth.filter("pending")
    collect(entries, store(4)["transactionHash"])


def test_uninstalled_filter(w3):
    entries = w3.eth.filter("latest")
    assert w3.eth.uninstall_filter(entries.filter_id) is True
    assert w3.eth.uninstall_filter(entries.filter_id) is False
    with pytest.raises(Web3Exception):
        entries.get_new_entries()
