// The state of a thousand blocks ago: read, called and proved, and all of it checked against the headers.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Contract, ContractFactory, id, keccak256, toBeHex, zeroPadValue } from 'ethers'
import { artifact } from '../lib/artifacts.mjs'
import { httpProvider, walletOf } from '../lib/ethers.mjs'
import { headerHash } from '../lib/header.mjs'
import { checkAccountProof, checkStorageProof } from '../lib/trie.mjs'

const DEPTH = 1_000
const WRITES = 8
const provider = httpProvider()
const sender = walletOf(6, provider)
const { abi, bytecode } = artifact('Box')
const slotOf = (n) => zeroPadValue(toBeHex(n), 32)

// What was seen at the block of each write, when it was the newest.
const seen = []
let box
let deployedIn

const look = async (blockTag, value) => ({
  blockTag,
  value,
  balance: await provider.getBalance(sender.address, blockTag),
  nonce: await provider.getTransactionCount(sender.address, blockTag),
})

const mine = (blocks) => provider.send('hardhat_mine', [toBeHex(blocks)])

before(async () => {
  const factory = new ContractFactory(abi, bytecode, sender)
  box = await factory.deploy()
  deployedIn = (await box.deploymentTransaction().wait()).blockNumber
  for (let index = 0; index < WRITES; index++) {
    const value = BigInt(id(`value ${index}`))
    const receipt = await (await box.store(value)).wait()
    seen.push(await look(receipt.blockNumber, value))
    // Most of the distance lies behind the first writes.
    await mine(index === 0 ? DEPTH : 3)
  }
})

after(() => provider.destroy())

test('the first write is a thousand blocks back', async () => {
  assert.ok((await provider.getBlockNumber()) - seen[0].blockTag > DEPTH)
})

test('balances, nonces, code and storage are what they were', async () => {
  for (const was of seen) {
    assert.deepEqual(await look(was.blockTag, was.value), was)
    assert.equal(BigInt(await provider.getStorage(box.target, 0, was.blockTag)), was.value)
    assert.notEqual(await provider.getCode(box.target, was.blockTag), '0x')
  }
  assert.equal(await provider.getCode(box.target, deployedIn - 1), '0x', 'not deployed yet')
  assert.equal(await provider.getTransactionCount(box.target, deployedIn - 1), 0)
  assert.equal(await provider.getTransactionCount(box.target, deployedIn), 1)
})

test('a call runs on the state of its block', async () => {
  const then = new Contract(box.target, abi, provider)
  for (const { blockTag, value } of seen) {
    assert.equal(await then.value({ blockTag }), value)
    assert.equal(await then.getFunction('valueOf').staticCall(sender.address, { blockTag }), value)
    assert.notEqual(await then.value({ blockTag: blockTag - 1 }), value, 'one block earlier')
  }
})

test('proofs lead to the root in the header of their block', async () => {
  const mapped = keccak256(zeroPadValue(sender.address, 32) + slotOf(2).slice(2))
  for (const { blockTag, value, balance, nonce } of seen) {
    const block = await provider.send('eth_getBlockByNumber', [toBeHex(blockTag), false])
    assert.equal(headerHash(block), block.hash, 'the root is the one under the hash')
    const proofOf = async (address, keys) =>
      parsed(await provider.send('eth_getProof', [address, keys, toBeHex(blockTag)]))
    const own = await proofOf(sender.address, [])
    assert.equal(checkAccountProof(block.stateRoot, own), true)
    assert.deepEqual([own.balance, own.nonce], [balance, nonce])
    const contract = await proofOf(box.target, [slotOf(0), mapped, slotOf(1)])
    assert.equal(checkAccountProof(block.stateRoot, contract), true)
    const [stored, byAddress, unset] = contract.storageProof
    assert.equal(checkStorageProof(contract.storageHash, stored), true)
    assert.equal(checkStorageProof(contract.storageHash, byAddress), true)
    assert.deepEqual([stored.value, byAddress.value], [value, value])
    assert.equal(checkStorageProof(contract.storageHash, unset), false)
  }
})

test('a later block has another proof', async () => {
  const [first, second] = seen
  const { stateRoot } = await provider.send('eth_getBlockByNumber', [toBeHex(second.blockTag), false])
  const proof = await provider.send('eth_getProof', [box.target, [slotOf(0)], toBeHex(first.blockTag)])
  assert.throws(() => checkAccountProof(stateRoot, parsed(proof)))
})

// As the verifier takes it: nonce as a number, the rest as big integers.
const parsed = (proof) => ({
  ...proof,
  nonce: Number(proof.nonce),
  balance: BigInt(proof.balance),
  storageProof: proof.storageProof.map((slot) => ({ ...slot, value: BigInt(slot.value) })),
})
