// The chain and the actions of headway/ against a node.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPublicClient, http, parseGwei, webSocket } from 'viem'
import { headwayActions, headwayChain, headwayDev } from '../headway/index.mjs'
import { account } from '../lib/accounts.mjs'
import { eventually } from '../lib/eventually.mjs'
import { chainId, isAnvil, url, wsUrl } from '../lib/rpc.mjs'
import { succeeded, walletOf } from '../lib/viem.mjs'

const options = { skip: isAnvil && 'headway only' }
const chain = headwayChain({ id: chainId, url })
const client = createPublicClient({ chain, transport: http() }).extend(headwayActions())
const sender = account(6)
const wallet = walletOf(sender)
const transfer = () => wallet.sendTransaction({ to: sender.address, value: 1n })

test('the chain of dev is where dev listens', options, () => {
  assert.equal(headwayDev.id, 31_337)
  assert.deepEqual(headwayDev.rpcUrls.default, { http: ['http://127.0.0.1:8545'], webSocket: ['ws://127.0.0.1:8545'] })
})

test('a transaction is waited for until it is verified', options, async () => {
  const hash = await transfer()
  const height = await client.waitForVerified({ hash })
  const { blockNumber } = await succeeded(hash)
  assert.equal(height, blockNumber)
  const heads = await client.getHeads()
  assert.ok(heads.verified >= height && heads.verified <= heads.executed && heads.executed <= heads.finalized)
  const stages = await client.getBlockStages({ block: height })
  assert.equal(stages.height, height)
  assert.ok(stages.proposed <= stages.executed && stages.executed <= stages.verified)
  assert.equal(await client.getBlockStages({ block: 1n << 40n }), null)
})

test('waiting ends', options, async () => {
  await assert.rejects(client.waitForVerified({ block: 1n << 40n, timeout: 200 }), /not verified within 200 ms/)
})

test('a budget is in numbers', options, async () => {
  const budget = await client.getInclusionBudget({ address: sender.address })
  assert.equal(typeof budget.nonceNext, 'number')
  assert.ok(budget.available > 0n)
  assert.equal(budget.delegated, false)
})

test('what a block did and how it was executed', options, async () => {
  const { blockNumber, blockHash } = await succeeded(await transfer())
  const byNumber = await client.getBlockAccessList({ block: blockNumber })
  assert.deepEqual(await client.getBlockAccessList({ block: blockHash }), byNumber)
  assert.equal(byNumber.gasUsed.length, 1)
  const execution = await client.getBlockExecution({ block: blockNumber })
  assert.equal(BigInt(execution.height), blockNumber)
})

test('many transactions at once, each with its own fate', options, async () => {
  const nonce = await client.getTransactionCount({ address: sender.address, blockTag: 'pending' })
  const sign = (number) =>
    sender.signTransaction({
      chainId, nonce: number, to: sender.address, gas: 21_000n,
      maxFeePerGas: parseGwei('100'), maxPriorityFeePerGas: 1n, type: 'eip1559',
    })
  const serializedTransactions = [await sign(nonce), await sign(nonce + 1), '0x02']
  const sent = await client.sendRawTransactions({ serializedTransactions })
  assert.equal(sent.accepted, 2)
  assert.deepEqual(sent.errors.map(({ index }) => index), [2])
})

test('stages are streamed', options, async () => {
  const transport = webSocket(wsUrl, { reconnect: false, keepAlive: false })
  const streaming = createPublicClient({ chain, transport }).extend(headwayActions())
  const seen = []
  const stop = await streaming.watchStages({ onStage: (event) => seen.push(event) })
  const { blockNumber } = await succeeded(await transfer())
  await eventually('all stages', () => {
    const stages = seen.filter(({ height }) => height === blockNumber).map(({ stage }) => stage)
    return ['finalized', 'executed', 'verified'].every((stage) => stages.includes(stage))
  })
  assert.ok(seen.every(({ time }) => Math.abs(Date.now() - time) < 60_000))
  stop()
  const count = seen.length
  await succeeded(await transfer())
  await new Promise((resolve) => setTimeout(resolve, 200))
  assert.ok(seen.length <= count + 1, 'none after it was ended')
  ;(await streaming.transport.getRpcClient()).close()
})

test('without a WebSocket there is no stream, and that is said', options, async () => {
  await assert.rejects(client.watchStages({ onStage() {} }), /webSocket transport/)
})
