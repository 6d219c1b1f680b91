// Polling filters, for clients without a WebSocket.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { account } from '../lib/accounts.mjs'
import { artifact } from '../lib/artifacts.mjs'
import { eventually } from '../lib/eventually.mjs'
import { failure } from '../lib/rpc.mjs'
import { client, deploy, succeeded, walletOf } from '../lib/viem.mjs'

const sender = account(1)
const wallet = walletOf(sender)
const { abi, bytecode } = artifact('Box')
const store = async (value) =>
  succeeded(await wallet.writeContract({ address: box, abi, functionName: 'store', args: [value] }))

let box

before(async () => {
  box = await deploy(wallet, { abi, bytecode })
})

/** Polls until `enough` holds for all changes so far. */
async function changes(filter, enough) {
  const all = []
  await eventually('the changes', async () => {
    all.push(...(await client.getFilterChanges({ filter })))
    return enough(all)
  })
  return all
}

test('a log filter has each matching log once', async () => {
  const fromBlock = await client.getBlockNumber()
  const filter = await client.createContractEventFilter({ address: box, abi, eventName: 'Stored', fromBlock })
  const first = await store(1n)
  const second = await store(2n)
  const logs = await changes(filter, (all) => all.length >= 2)
  assert.deepEqual(logs.map(({ transactionHash }) => transactionHash), [first.transactionHash, second.transactionHash])
  assert.deepEqual(logs.map(({ args }) => args.value), [1n, 2n])
  assert.deepEqual(await client.getFilterChanges({ filter }), [])
  assert.deepEqual(await client.getFilterLogs({ filter }), logs, 'the whole range, however often it is asked for')
  assert.equal(await client.uninstallFilter({ filter }), true)
})

test('a log filter holds back what its topics exclude', async () => {
  const filter = await client.createContractEventFilter({
    address: box, abi, eventName: 'Stored', args: { from: account(2).address },
  })
  const blocks = await client.createBlockFilter()
  const { blockHash } = await store(3n)
  await changes(blocks, (all) => all.includes(blockHash))
  assert.deepEqual(await client.getFilterChanges({ filter }), [])
})

test('a block filter has the hash of every block in order', async () => {
  const filter = await client.createBlockFilter()
  const { blockHash } = await store(4n)
  const hashes = await changes(filter, (all) => all.includes(blockHash))
  const blocks = await Promise.all(hashes.map((blockHash) => client.getBlock({ blockHash })))
  for (let i = 1; i < blocks.length; i++) assert.equal(blocks[i].parentHash, blocks[i - 1].hash)
  await client.uninstallFilter({ filter })
})

test('a pending-transaction filter has the hash', async () => {
  const filter = await client.createPendingTransactionFilter()
  const { transactionHash } = await store(5n)
  await changes(filter, (all) => all.includes(transactionHash))
  await client.uninstallFilter({ filter })
})

test('a filter that is gone or never was is an error', async () => {
  const filter = await client.createBlockFilter()
  assert.equal(await client.uninstallFilter({ filter }), true)
  assert.equal(await client.uninstallFilter({ filter }), false)
  const { code, message } = await failure('eth_getFilterChanges', filter.id)
  assert.match(message, /filter/i)
  assert.equal(code, -32000)
})
