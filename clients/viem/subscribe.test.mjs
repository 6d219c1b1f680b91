// eth_subscribe over WebSocket, by viem's watchers and by hand.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { account } from '../lib/accounts.mjs'
import { artifact } from '../lib/artifacts.mjs'
import { eventually } from '../lib/eventually.mjs'
import { call } from '../lib/rpc.mjs'
import { client, deploy, succeeded, walletOf, webSocketClient } from '../lib/viem.mjs'

const sender = account(8)
const wallet = walletOf(sender)
const { abi, bytecode } = artifact('Box')
const { wsClient, close } = webSocketClient()
const store = async (value) =>
  succeeded(await wallet.writeContract({ address: box, abi, functionName: 'store', args: [value] }))

let box

before(async () => {
  box = await deploy(wallet, { abi, bytecode })
})

after(close)

/** Subscribes by hand and collects what arrives; a lost connection shows as events that never come. */
async function subscription(...params) {
  const events = []
  const { subscriptionId, unsubscribe } = await wsClient.transport.subscribe({
    params,
    onData: ({ result }) => events.push(result),
    onError: () => {},
  })
  assert.match(subscriptionId, /^0x[0-9a-f]+$/)
  return { events, unsubscribe }
}

test('newHeads has every block once, in order, each on its parent', async () => {
  const { events, unsubscribe } = await subscription('newHeads')
  for (let i = 0n; i < 3n; i++) await store(i)
  await eventually('three heads', () => events.length >= 3)
  await unsubscribe()
  for (let i = 1; i < events.length; i++) {
    assert.equal(BigInt(events[i].number), BigInt(events[i - 1].number) + 1n)
    assert.equal(events[i].parentHash, events[i - 1].hash)
  }
  const [head] = events
  const block = await call('eth_getBlockByHash', head.hash, false)
  for (const field of ['number', 'stateRoot', 'receiptsRoot', 'transactionsRoot', 'gasUsed', 'timestamp', 'logsBloom']) {
    assert.equal(head[field], block[field], field)
  }
})

test('when a head arrives its receipts and state are there', async () => {
  const { events, unsubscribe } = await subscription('newHeads')
  const { blockHash } = await store(77n)
  const head = await eventually('the head', () => events.find(({ hash }) => hash === blockHash))
  await unsubscribe()
  assert.ok(BigInt(await call('eth_blockNumber')) >= BigInt(head.number))
  assert.equal((await call('eth_getBlockReceipts', head.number)).length >= 1, true)
})

test('logs come only from the address and topic asked for', async () => {
  const other = await deploy(wallet, { abi, bytecode })
  const { events, unsubscribe } = await subscription('logs', { address: box })
  await succeeded(await wallet.writeContract({ address: other, abi, functionName: 'store', args: [1n] }))
  const receipt = await store(42n)
  await eventually('the log', () => events.length > 0)
  await unsubscribe()
  assert.equal(events.length, 1)
  const [log] = events
  assert.equal(log.address, box)
  assert.equal(log.transactionHash, receipt.transactionHash)
  assert.equal(log.blockHash, receipt.blockHash)
  assert.equal(BigInt(log.data), 42n)
})

test('newPendingTransactions tells the hash before the receipt is asked for', async () => {
  const { events, unsubscribe } = await subscription('newPendingTransactions')
  const { transactionHash } = await store(5n)
  await eventually('the hash', () => events.includes(transactionHash))
  await unsubscribe()
})

test('after eth_unsubscribe nothing arrives any more', async () => {
  const silent = await subscription('newHeads')
  const open = await subscription('newHeads')
  await silent.unsubscribe()
  const count = silent.events.length
  const { blockHash } = await store(6n)
  await eventually('the head elsewhere', () => open.events.some(({ hash }) => hash === blockHash))
  assert.equal(silent.events.length, count)
  await open.unsubscribe()
})

test('an unknown kind of subscription is refused', async () => {
  await assert.rejects(subscription('newEverything'))
})

test('watchBlocks and watchContractEvent', async () => {
  const blocks = []
  const logs = []
  const stop = [
    wsClient.watchBlocks({ includeTransactions: true, onBlock: (block) => blocks.push(block) }),
    wsClient.watchContractEvent({ address: box, abi, eventName: 'Stored', onLogs: (some) => logs.push(...some) }),
  ]
  // Watching starts in the background; a first event shows that it has.
  await eventually('both watchers at work', async () => {
    await store(0n)
    return blocks.length > 0 && logs.length > 0
  })
  const { blockHash, transactionHash } = await store(4321n)
  const block = await eventually('the block', () => blocks.find(({ hash }) => hash === blockHash))
  assert.ok(block.transactions.some(({ hash }) => hash === transactionHash))
  const log = await eventually('the event', () => logs.find((log) => log.transactionHash === transactionHash))
  assert.deepEqual(log.args, { from: sender.address, value: 4321n })
  stop.forEach((unwatch) => unwatch())
})

test('calls and subscriptions share a connection', async () => {
  const { events, unsubscribe } = await subscription('newHeads')
  const [number, code] = await Promise.all([wsClient.getBlockNumber(), wsClient.getCode({ address: box })])
  assert.ok(number > 0n)
  assert.equal(code, await client.getCode({ address: box }))
  await store(9n)
  await eventually('a head', () => events.length > 0)
  await unsubscribe()
})
