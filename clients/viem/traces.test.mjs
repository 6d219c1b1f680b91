// What happened inside a transaction, in geth's and in Parity's form.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { encodeFunctionData } from 'viem'
import { account } from '../lib/accounts.mjs'
import { artifact } from '../lib/artifacts.mjs'
import { call, failure, isAnvil } from '../lib/rpc.mjs'
import { eventually } from '../lib/eventually.mjs'

const { abi, bytecode } = artifact('Box')
const from = account(6).address
const fields = (object) => Object.keys(object).sort()
let deployed
let stored

async function send(transaction) {
  const hash = await call('eth_sendTransaction', { from, ...transaction })
  return eventually(`receipt of ${hash}`, () => call('eth_getTransactionReceipt', hash))
}

before(async () => {
  deployed = await send({ data: bytecode })
  const data = encodeFunctionData({ abi, functionName: 'store', args: [7n] })
  stored = await send({ to: deployed.contractAddress, data })
  assert.equal(stored.status, '0x1')
})

test('callTracer tells calls, and what was charged', async () => {
  const options = { tracer: 'callTracer', tracerConfig: { withLog: true } }
  const frame = await call('debug_traceTransaction', stored.transactionHash, options)
  assert.deepEqual(fields(frame), ['from', 'gas', 'gasUsed', 'input', 'logs', 'to', 'type', 'value'])
  assert.equal(frame.type, 'CALL')
  assert.equal(frame.from, from.toLowerCase())
  assert.equal(frame.gasUsed, stored.gasUsed)
  assert.equal(frame.logs[0].address, deployed.contractAddress)
})

test('prestateTracer in diff mode tells what changed', async () => {
  const options = { tracer: 'prestateTracer', tracerConfig: { diffMode: true } }
  const { pre, post } = await call('debug_traceTransaction', stored.transactionHash, options)
  const word = `0x${'7'.padStart(64, '0')}`
  assert.ok(Object.values(post[deployed.contractAddress].storage).includes(word))
  assert.equal((post[from.toLowerCase()].nonce ?? 0) - (pre[from.toLowerCase()].nonce ?? 0), 1)
})

test('steps have the fields of geth', async () => {
  const frame = await call('debug_traceTransaction', stored.transactionHash, {})
  assert.deepEqual(fields(frame), ['failed', 'gas', 'returnValue', 'structLogs'])
  assert.equal(frame.gas, Number(stored.gasUsed))
  // Anvil keeps them only if it is asked to when it starts.
  if (isAnvil) return
  const [first] = frame.structLogs
  assert.deepEqual(fields(first), ['depth', 'gas', 'gasCost', 'op', 'pc', 'refund', 'stack'])
})

test('a creation in the form of Parity', async () => {
  const [trace, ...more] = await call('trace_transaction', deployed.transactionHash)
  assert.deepEqual(more, [])
  assert.equal(trace.type, 'create')
  assert.equal(trace.action.from, from.toLowerCase())
  assert.equal(trace.result.address, deployed.contractAddress)
  assert.deepEqual(trace.traceAddress, [])
  assert.equal(trace.blockHash, deployed.blockHash)
  const block = await call('trace_block', deployed.blockNumber)
  assert.deepEqual(block.filter(({ transactionHash }) => transactionHash === deployed.transactionHash), [trace])
})

test('scripts are refused, and the answer names what there is', { skip: isAnvil }, async () => {
  const { code, message } = await failure('debug_traceTransaction', stored.transactionHash, { tracer: '{ step() {} }' })
  assert.equal(code, -32602)
  assert.match(message, /JavaScript.*callTracer/)
})
