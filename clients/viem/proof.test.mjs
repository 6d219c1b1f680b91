// eth_getProof against the state root in the block's header, with our own verifier.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { concat, keccak256, pad, toHex } from 'viem'
import { account } from '../lib/accounts.mjs'
import { artifact } from '../lib/artifacts.mjs'
import { headerHash } from '../lib/header.mjs'
import { call } from '../lib/rpc.mjs'
import { checkAccountProof, checkStorageProof } from '../lib/trie.mjs'
import { client, deploy, succeeded, walletOf } from '../lib/viem.mjs'

const sender = account(3)
const wallet = walletOf(sender)
const { abi, bytecode } = artifact('Box')
const slotOf = (n) => toHex(n, { size: 32 })
const mappingSlot = keccak256(concat([pad(sender.address), slotOf(2)]))

let box
let blockNumber
let stateRoot

before(async () => {
  box = await deploy(wallet, { abi, bytecode })
  const hash = await wallet.writeContract({ address: box, abi, functionName: 'store', args: [0x1234n] })
  const receipt = await succeeded(hash)
  blockNumber = receipt.blockNumber
  const block = await call('eth_getBlockByHash', receipt.blockHash, false)
  assert.equal(headerHash(block), receipt.blockHash, 'the state root is the one under the block hash')
  stateRoot = block.stateRoot
})

test('an ordinary account', async () => {
  const proof = await client.getProof({ address: sender.address, storageKeys: [], blockNumber })
  assert.equal(checkAccountProof(stateRoot, proof), true)
  assert.equal(proof.balance, await client.getBalance({ address: sender.address, blockNumber }))
  assert.equal(proof.nonce, await client.getTransactionCount({ address: sender.address, blockNumber }))
})

test('a contract with slots that are set and one that is not', async () => {
  const proof = await client.getProof({ address: box, storageKeys: [slotOf(0), mappingSlot, slotOf(1)], blockNumber })
  assert.equal(checkAccountProof(stateRoot, proof), true)
  assert.equal(proof.codeHash, keccak256(await client.getCode({ address: box, blockNumber })))
  const [value, mapped, unset] = proof.storageProof
  assert.equal(checkStorageProof(proof.storageHash, value), true)
  assert.equal(value.value, 0x1234n)
  assert.equal(checkStorageProof(proof.storageHash, mapped), true)
  assert.equal(mapped.value, 0x1234n)
  assert.equal(checkStorageProof(proof.storageHash, unset), false)
  assert.equal(BigInt(await client.getStorageAt({ address: box, slot: mappingSlot, blockNumber })), 0x1234n)
})

test('an account that does not exist', async () => {
  const proof = await client.getProof({ address: `0x${'5a'.repeat(20)}`, storageKeys: [], blockNumber })
  assert.equal(checkAccountProof(stateRoot, proof), false)
})

test('a proof at an earlier block has the earlier value', async () => {
  const hash = await wallet.writeContract({ address: box, abi, functionName: 'store', args: [0x99n] })
  const later = await succeeded(hash)
  const proofAt = (number) =>
    client.getProof({ address: box, storageKeys: [slotOf(0)], blockNumber: number })
  const [then, now] = [await proofAt(blockNumber), await proofAt(later.blockNumber)]
  assert.equal(checkAccountProof(stateRoot, then), true)
  assert.equal(checkStorageProof(then.storageHash, then.storageProof[0]), true)
  assert.equal(then.storageProof[0].value, 0x1234n)
  assert.equal(now.storageProof[0].value, 0x99n)
  const { stateRoot: laterRoot } = await client.getBlock({ blockNumber: later.blockNumber })
  assert.equal(checkAccountProof(laterRoot, now), true)
  assert.throws(() => checkAccountProof(stateRoot, now), 'a proof is good for one root only')
})
