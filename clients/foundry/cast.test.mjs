// cast: the commands people type first.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { account } from '../lib/accounts.mjs'
import { artifact } from '../lib/artifacts.mjs'
import { cast, privateKey } from '../lib/foundry.mjs'
import { call, chainId } from '../lib/rpc.mjs'
import { checkAccountProof, checkStorageProof } from '../lib/trie.mjs'

const sender = account(5).address
const receiver = `0x${'ca'.repeat(20)}`
const send = async (...args) => JSON.parse(await cast('send', '--json', '--private-key', privateKey(5), ...args))
let box

before(async () => {
  const receipt = await send('--create', artifact('Box').bytecode)
  assert.equal(receipt.status, '0x1')
  box = receipt.contractAddress
})

test('cast chain-id, block-number and client', async () => {
  assert.equal(Number(await cast('chain-id')), chainId)
  assert.ok(Number(await cast('block-number')) > 0)
  assert.equal(await cast('client'), await call('web3_clientVersion'))
})

test('cast send moves the balance, cast receipt and tx agree', async () => {
  const was = BigInt(await cast('balance', receiver))
  const receipt = await send(receiver, '--value', '7')
  assert.equal(receipt.status, '0x1')
  assert.equal(BigInt(await cast('balance', receiver)), was + 7n)
  // Some nodes add the timestamp to a receipt, and cast passes it on.
  const { blockTimestamp: _, ...again } = JSON.parse(await cast('receipt', '--json', receipt.transactionHash))
  assert.deepEqual(again, receipt)
  const { timestamp } = await call('eth_getBlockByHash', receipt.blockHash, false)
  assert.equal(Number(await cast('block', receipt.blockHash, '--field', 'timestamp')), Number(timestamp))
  assert.equal(await cast('tx', receipt.transactionHash, 'blockHash'), receipt.blockHash)
})

test('cast send --legacy, and with an access list that the node makes', async () => {
  assert.equal((await send(receiver, '--legacy')).type, '0x0')
  const { transactionHash, status } = await send(box, 'store(uint256)', '5', '--access-list')
  assert.equal(status, '0x1')
  const { accessList } = await call('eth_getTransactionByHash', transactionHash)
  assert.ok(accessList.some(({ address, storageKeys }) => address === box && storageKeys.length === 2))
})

test('cast send stores, cast call and storage read it, cast logs finds the event', async () => {
  const receipt = await send(box, 'store(uint256)', '42')
  assert.equal(await cast('call', box, 'value()(uint256)'), '42')
  assert.equal(BigInt(await cast('storage', box, '0')), 42n)
  const range = ['--from-block', receipt.blockNumber, '--to-block', receipt.blockNumber]
  const logs = JSON.parse(await cast('logs', '--json', ...range, '--address', box, 'Stored(address indexed,uint256)'))
  assert.deepEqual(logs.map(({ transactionHash }) => transactionHash), [receipt.transactionHash])
})

test('cast nonce and code', async () => {
  const nonce = Number(await cast('nonce', sender))
  await send(receiver)
  assert.equal(Number(await cast('nonce', sender)), nonce + 1)
  assert.equal(await cast('code', box), await call('eth_getCode', box, 'latest'))
})

test('cast estimate and a revert with its reason', async () => {
  assert.ok(Number(await cast('estimate', '--from', sender, box, 'store(uint256)', '1')) > 21_000)
  await assert.rejects(cast('call', box, 'failWithReason()'), /the box is shut/)
})

test('cast proof verifies against cast block', async () => {
  const { blockNumber } = await send(box, 'store(uint256)', '77')
  const block = String(Number(blockNumber))
  const stateRoot = await cast('block', block, '--field', 'stateRoot')
  const proof = JSON.parse(await cast('proof', box, '0', '--block', block))
  checkAccountProof(stateRoot, { ...proof, nonce: Number(proof.nonce), balance: BigInt(proof.balance) })
  const [slot] = proof.storageProof
  assert.equal(checkStorageProof(proof.storageHash, { ...slot, value: BigInt(slot.value) }), true)
  assert.equal(BigInt(slot.value), 77n)
})
