"""Fixtures: a connection, the funded accounts, deployed contracts."""

import json
import os
from pathlib import Path

import pytest
from eth_account import Account
from web3 import Web3

URL = os.environ.get("RPC_URL", "http://127.0.0.1:8545")
MNEMONIC = "test test test test test test test test test test test junk"
BUILD = Path(__file__).parent.parent / "build" / "contracts"


@pytest.fixture(scope="session")
def w3():
    # No middleware: what the node answers must be good enough as it is.
    w3 = Web3(Web3.HTTPProvider(URL, request_kwargs={"timeout": 20}), middleware=[])
    assert w3.is_connected()
    return w3


@pytest.fixture(scope="session")
def accounts():
    Account.enable_unaudited_hdwallet_features()
    return [Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{i}") for i in range(10)]


@pytest.fixture(scope="session")
def artifact():
    """Reads a contract that `npm run compile` has compiled."""
    return lambda name: json.loads((BUILD / f"{name}.json").read_text())


@pytest.fixture(scope="session")
def send(w3):
    """Fills in, signs here, sends the bytes, and waits for the receipt."""

    def send(signer, transaction):
        base_fee = w3.eth.get_block("latest")["baseFeePerGas"]
        tip = w3.eth.max_priority_fee
        filled = {
            "chainId": w3.eth.chain_id,
            "from": signer.address,
            "nonce": w3.eth.get_transaction_count(signer.address, "pending"),
            "maxPriorityFeePerGas": tip,
            "maxFeePerGas": 2 * base_fee + tip,
            **transaction,
        }
        filled.setdefault("gas", w3.eth.estimate_gas(filled))
        signed = signer.sign_transaction({k: v for k, v in filled.items() if k != "from"})
        tx_hash = w3.eth.send_raw_transaction(signed.raw_transaction)
        assert tx_hash == signed.hash
        return w3.eth.wait_for_transaction_receipt(tx_hash, timeout=20, poll_latency=0.05)

    return send


@pytest.fixture(scope="session")
def deploy(w3, send, artifact):
    def deploy(signer, name, *args):
        compiled = artifact(name)
        contract = w3.eth.contract(abi=compiled["abi"], bytecode=compiled["bytecode"])
        receipt = send(signer, {"data": contract.constructor(*args).data_in_transaction})
        assert receipt["status"] == 1
        return w3.eth.contract(address=receipt["contractAddress"], abi=compiled["abi"])

    return deploy
