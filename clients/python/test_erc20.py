"""An ERC-20 deployed and used with web3.py."""

import pytest
from web3.exceptions import ContractCustomError, ContractLogicError

SUPPLY = 10**21


@pytest.fixture(scope="module")
def owner(accounts):
    return accounts[3]


@pytest.fixture(scope="module")
def token(deploy, owner):
    return deploy(owner, "Token", "Token", "TKN", SUPPLY)


def call_of(token, function, *args):
    return {"to": token.address, "data": token.encode_abi(function, args=list(args))}


def test_deployed(w3, token, owner):
    assert token.functions.name().call() == "Token"
    assert token.functions.totalSupply().call() == SUPPLY
    assert token.functions.balanceOf(owner.address).call() == SUPPLY
    assert len(w3.eth.get_code(token.address)) > 1000


def test_transfer(w3, token, owner, accounts, send):
    receiver = accounts[4].address
    was = token.functions.balanceOf(receiver).call()
    receipt = send(owner, call_of(token, "transfer", receiver, 1000))
    assert receipt["status"] == 1
    assert token.functions.balanceOf(receiver).call() == was + 1000
    (event,) = token.events.Transfer().process_receipt(receipt)
    assert event["args"] == {"from": owner.address, "to": receiver, "value": 1000}
    before = token.functions.balanceOf(receiver).call(block_identifier=receipt["blockNumber"] - 1)
    assert before == was


def test_get_logs(w3, token, owner, accounts, send):
    receipt = send(owner, call_of(token, "transfer", accounts[5].address, 5))
    number = receipt["blockNumber"]
    logs = token.events.Transfer().get_logs(
        from_block=number, to_block=number, argument_filters={"to": accounts[5].address}
    )
    assert [log["transactionHash"] for log in logs] == [receipt["transactionHash"]]
    assert token.events.Transfer().get_logs(
        from_block=number, to_block=number, argument_filters={"to": owner.address}
    ) == []


def test_custom_error(token, accounts):
    poor, receiver = accounts[6].address, accounts[7].address
    with pytest.raises(ContractCustomError):
        token.functions.transfer(receiver, 1).call({"from": poor})


def test_revert_reason(deploy, owner):
    box = deploy(owner, "Box")
    with pytest.raises(ContractLogicError, match="the box is shut"):
        box.functions.failWithReason().call()
