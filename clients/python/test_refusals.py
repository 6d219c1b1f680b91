"""What the node must refuse, and how web3.py reports it."""

import pytest
from eth_account import Account
from web3.exceptions import BlockNotFound, TransactionNotFound, Web3RPCError


@pytest.fixture
def signed(w3, accounts):
    """A signed transfer with some fields changed."""

    def signed(signer, **fields):
        transaction = {
            "chainId": w3.eth.chain_id,
            "nonce": w3.eth.get_transaction_count(signer.address),
            "to": accounts[1].address,
            "value": 1,
            "gas": 21_000,
            "maxFeePerGas": 10**11,
            "maxPriorityFeePerGas": 1,
            **fields,
        }
        return signer.sign_transaction(transaction)

    return signed


def refused(w3, signed, pattern):
    with pytest.raises(Web3RPCError, match=pattern):
        w3.eth.send_raw_transaction(signed.raw_transaction)
    with pytest.raises(TransactionNotFound):
        w3.eth.get_transaction(signed.hash)


def test_nonce_too_low(w3, accounts, send, signed):
    send(accounts[9], {"to": accounts[1].address, "value": 1})
    refused(w3, signed(accounts[9], nonce=0), "nonce too low")


def test_insufficient_funds(w3, signed):
    refused(w3, signed(Account.create()), "(?i)insufficient funds")


def test_another_chain(w3, accounts, signed):
    refused(w3, signed(accounts[9], chainId=w3.eth.chain_id + 1), "(?i)chain.?id")


def test_bytes_that_are_no_transaction(w3):
    with pytest.raises(Web3RPCError):
        w3.eth.send_raw_transaction("0x02c0")


def test_unknown_method(w3):
    answer = w3.provider.make_request("eth_nonsense", [])
    assert answer["error"]["code"] == -32601


def test_unknown_block_and_transaction(w3):
    with pytest.raises(BlockNotFound):
        w3.eth.get_block(2**40)
    with pytest.raises(TransactionNotFound):
        w3.eth.get_transaction("0x" + "ab" * 32)
