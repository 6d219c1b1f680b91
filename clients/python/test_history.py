"""The state of a thousand blocks ago, with proofs checked here against the headers."""

import rlp
import pytest
from web3 import Web3

DEPTH = 1_000


def mine(w3, blocks):
    answer = w3.provider.make_request("hardhat_mine", [hex(blocks)])
    assert "error" not in answer, answer


@pytest.fixture(scope="module")
def history(w3, accounts, deploy, send):
    """A contract whose value was 1, then 2 a thousand blocks later, with what was seen at each."""
    signer = accounts[7]
    box = deploy(signer, "Box")
    seen = []
    for value in (1, 2):
        call = box.functions.store(value).build_transaction({"from": signer.address, "gas": 200_000})
        receipt = send(signer, {"to": box.address, "data": call["data"], "gas": 200_000})
        block = receipt["blockNumber"]
        balance = w3.eth.get_balance(signer.address, block)
        seen.append((block, value, balance, w3.eth.get_transaction_count(signer.address, block)))
        mine(w3, DEPTH if value == 1 else 2)
    assert w3.eth.block_number - seen[0][0] > DEPTH
    return box, signer.address, seen


def test_reads_and_calls(w3, history):
    box, sender, seen = history
    for block, value, balance, nonce in seen:
        assert w3.eth.get_balance(sender, block) == balance
        assert w3.eth.get_transaction_count(sender, block) == nonce
        assert int.from_bytes(w3.eth.get_storage_at(box.address, 0, block)) == value
        assert box.functions.value().call(block_identifier=block) == value
        assert box.functions.value().call(block_identifier=block - 1) == value - 1


def test_proofs(w3, history):
    box, sender, seen = history
    for block, value, balance, nonce in seen:
        root = bytes(w3.eth.get_block(block)["stateRoot"])
        proof = w3.eth.get_proof(sender, [], block)
        leaf = value_at(root, Web3.keccak(hexstr=sender), proof["accountProof"])
        assert leaf[0] == number(nonce) and leaf[1] == number(balance)
        proof = w3.eth.get_proof(box.address, [0, 1], block)
        leaf = value_at(root, Web3.keccak(hexstr=box.address), proof["accountProof"])
        assert leaf[2] == bytes(proof["storageHash"]) and leaf[3] == bytes(proof["codeHash"])
        stored, unset = proof["storageProof"]
        for slot, expected in ((stored, number(value)), (unset, None)):
            key = Web3.keccak(int.from_bytes(slot["key"]).to_bytes(32))
            assert value_at(bytes(proof["storageHash"]), key, slot["proof"]) == expected


def number(value):
    return value.to_bytes((value.bit_length() + 7) // 8)


def value_at(root, key, proof):
    """The decoded value to which the proof leads from the root; None if it shows that there is none."""
    path = [nibble for byte in key for nibble in (byte >> 4, byte & 15)]
    nodes = [bytes(node) for node in proof]
    expected = root
    while nodes:
        encoded = nodes.pop(0)
        assert bytes(Web3.keccak(encoded)) == expected, "a node has another hash"
        node = rlp.decode(encoded)
        while True:
            if len(node) == 17:
                child, path = node[path[0]], path[1:]
            else:
                prefix = [nibble for byte in node[0] for nibble in (byte >> 4, byte & 15)]
                own = prefix[1:] if prefix[0] & 1 else prefix[2:]
                if path[: len(own)] != own:
                    assert not nodes
                    return None
                child, path = node[1], path[len(own) :]
                if prefix[0] & 2:
                    assert not nodes and not path
                    return rlp.decode(child)
            if child == b"":
                assert not nodes
                return None
            if isinstance(child, bytes):
                expected = child
                break
            node = child
    raise AssertionError("the proof ends too early")
