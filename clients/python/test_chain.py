"""The chain itself: ids, blocks, balances, fees."""

from eth_account.messages import encode_defunct
from web3 import Web3


def test_chain_id(w3):
    assert w3.eth.chain_id == int(w3.net.version)
    assert w3.eth.chain_id > 0
    assert w3.eth.syncing is False
    assert "/" in w3.client_version


def test_development_accounts_are_funded(w3, accounts):
    for account in accounts:
        assert w3.eth.get_balance(account.address) > Web3.to_wei(1, "ether")


def test_blocks_are_a_chain(w3):
    newest = w3.eth.get_block("latest")
    if newest["number"] > 0:
        parent = w3.eth.get_block(newest["number"] - 1)
        assert parent["hash"] == newest["parentHash"]
        assert parent["timestamp"] <= newest["timestamp"]
    assert w3.eth.get_block(newest["hash"]) == newest
    assert w3.eth.get_block("earliest")["number"] == 0


def test_fee_history(w3):
    newest = w3.eth.block_number
    history = w3.eth.fee_history(2, newest, [50])
    assert history["oldestBlock"] == max(newest - 1, 0)
    assert history["baseFeePerGas"][-2] == w3.eth.get_block(newest)["baseFeePerGas"]


def test_transfer_signed_here(w3, accounts, send):
    sender, receiver = accounts[0], accounts[1].address
    was = w3.eth.get_balance(receiver)
    receipt = send(sender, {"to": receiver, "value": 17})
    assert receipt["status"] == 1
    assert receipt["gasUsed"] == 21_000
    assert receipt["from"] == sender.address
    assert w3.eth.get_balance(receiver) == was + 17
    transaction = w3.eth.get_transaction(receipt["transactionHash"])
    assert transaction["value"] == 17
    assert transaction["blockHash"] == receipt["blockHash"]


def test_message_signed_here_recovers(w3, accounts):
    message = encode_defunct(text="headway")
    signed = accounts[2].sign_message(message)
    assert w3.eth.account.recover_message(message, signature=signed.signature) == accounts[2].address
