// Every served method of Ethereum's specification: requests and answers as its OpenRPC document says.
//
// The document is found through HEADWAY_FIXTURES, else beside the repository in ../shared/data, and is not part
// of the repository; without it this suite is skipped.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import Ajv from 'ajv'
import { keccak256, toHex } from 'viem'
import { account } from '../lib/accounts.mjs'
import { artifact } from '../lib/artifacts.mjs'
import { eventually } from '../lib/eventually.mjs'
import { post, request } from '../lib/rpc.mjs'
import { client, walletOf } from '../lib/viem.mjs'

const beside = fileURLToPath(new URL('../../../shared/data', import.meta.url))
const folders = [process.env.HEADWAY_FIXTURES, process.env.HEADWAY_FIXTURES && join(process.env.HEADWAY_FIXTURES, 'data'), beside]
const path = folders.filter(Boolean).map((folder) => join(folder, 'openrpc.json.xz')).find(existsSync)
if (!path) console.error('SKIPPED: no openrpc.json.xz; name its folder in HEADWAY_FIXTURES')

const unpack = 'import lzma, sys; sys.stdout.buffer.write(lzma.open(sys.argv[1]).read())'
const specification = path && JSON.parse(execFileSync('python3', ['-c', unpack, path], { maxBuffer: 2 ** 28 }))
const methods = new Map(specification?.methods.map((method) => [method.name, method]))
const ajv = new Ajv({ strict: false, allErrors: false })
const compiled = new Map()
const validator = (key, schema) => {
  if (!compiled.has(key)) compiled.set(key, ajv.compile(lenient(schema)))
  return compiled.get(key)
}

const seen = new Set()
const nobody = `0x${'3d'.repeat(20)}`
const unknown = keccak256(toHex('nothing has this hash'))

function conform(key, schema, value) {
  const validate = validator(key, schema)
  assert.ok(validate(value), `${key}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(value)?.slice(0, 1_500)}`)
}

// Four things that the document does not describe, and that every client answers as geth does. The rest of such an
// answer is looked at all the same.
const place = { blockHash: unknown, blockNumber: '0x1', transactionIndex: '0x0', blockTimestamp: '0x1' }
const made = { hash: unknown, nonce: '0x0000000000000000', miner: nobody }

/** An answer in which what waits has a place, and the pending block a hash. */
function settled(value) {
  if (Array.isArray(value)) return value.map(settled)
  if (value === null || typeof value !== 'object') return value
  const inner = Object.fromEntries(Object.entries(value).map(([key, inside]) => [key, settled(inside)]))
  if (inner.from && inner.blockHash === null) return { ...inner, ...place }
  // One that is filled in and not signed has no price yet.
  if (inner.maxFeePerGas && inner.hash === undefined && inner.gas) return { gasPrice: inner.maxFeePerGas, ...inner }
  if (inner.parentHash && inner.hash === null) return { ...inner, ...made }
  return inner
}

/** An empty list is one of logs and one of hashes. */
function lenient(schema) {
  if (Array.isArray(schema)) return schema.map(lenient)
  if (schema === null || typeof schema !== 'object') return schema
  return Object.fromEntries(Object.entries(schema).map(([key, inside]) => [key === 'oneOf' ? 'anyOf' : key, lenient(inside)]))
}

/** The answer to a call that the document describes, both as it says. */
async function call(name, ...params) {
  const method = methods.get(name)
  assert.ok(method, `${name} is not in the document`)
  seen.add(name)
  method.params.forEach((param, index) => {
    if (params[index] === undefined) assert.ok(!param.required, `${name}: ${param.name} is required`)
    else conform(`${name} asks ${param.name}`, param.schema, params[index])
  })
  const answer = await post(request(name, params))
  assert.deepEqual(Object.keys(answer).sort(), ['id', 'jsonrpc', answer.error ? 'error' : 'result'].sort())
  if (answer.error) throw Object.assign(new Error(`${name}: ${answer.error.message}`), answer.error)
  // What the pool answers has no place in the document either.
  const result = name.startsWith('txpool_') ? answer.result : settled(answer.result)
  conform(name, method.result.schema, result)
  return answer.result
}

/** A call that fails with a code of JSON-RPC or of Ethereum's clients. */
async function refused(name, ...params) {
  const answer = await post(request(name, params))
  assert.ok(Number.isInteger(answer.error?.code), `${name} must fail: ${JSON.stringify(answer)}`)
  assert.equal(typeof answer.error.message, 'string')
  assert.equal(answer.result, undefined)
}

describe('the specification', { skip: !path && 'no openrpc.json.xz' }, () => {
  const wallet = walletOf(account(0))
  const { abi, bytecode } = artifact('Token')
  let token, transfer, block

  before(async () => {
    const hash = await wallet.deployContract({ abi, bytecode, args: ['Schema', 'SCH', 10n ** 6n] })
    token = (await client.waitForTransactionReceipt({ hash })).contractAddress
    const args = [nobody, 5n]
    const sent = await wallet.writeContract({ address: token, abi, functionName: 'transfer', args })
    transfer = await client.waitForTransactionReceipt({ hash: sent })
    block = toHex(transfer.blockNumber)
  })

  test('blocks', async () => {
    for (const tag of ['latest', 'safe', 'finalized', 'earliest', 'pending', block, '0xffffffffff']) {
      for (const hydrated of [false, true]) await call('eth_getBlockByNumber', tag, hydrated)
      if (tag !== 'pending') await call('eth_getBlockReceipts', tag)
      await call('eth_getBlockTransactionCountByNumber', tag)
    }
    for (const hash of [transfer.blockHash, unknown]) {
      for (const hydrated of [false, true]) await call('eth_getBlockByHash', hash, hydrated)
      await call('eth_getBlockTransactionCountByHash', hash)
    }
    await call('eth_blockNumber')
  })

  test('transactions', async () => {
    for (const hash of [transfer.transactionHash, unknown]) {
      await call('eth_getTransactionByHash', hash)
      await call('eth_getTransactionReceipt', hash)
    }
    for (const index of ['0x0', '0x77']) {
      await call('eth_getTransactionByBlockNumberAndIndex', block, index)
      await call('eth_getTransactionByBlockHashAndIndex', transfer.blockHash, index)
    }
    const fees = { maxFeePerGas: toHex(10n ** 10n), maxPriorityFeePerGas: '0x1' }
    const base = { from: account(0).address, to: nobody, gas: '0x5208', value: '0x1' }
    for (const type of ['0x0', '0x1', '0x2']) {
      const price = type === '0x2' ? fees : { gasPrice: toHex(10n ** 10n) }
      const list = type === '0x1' ? { accessList: [{ address: nobody, storageKeys: [unknown] }], gas: '0xffff' } : {}
      const hash = await call('eth_sendTransaction', { ...base, type, ...price, ...list })
      await eventually('a receipt', () => call('eth_getTransactionReceipt', hash))
      await call('eth_getTransactionByHash', hash)
    }
    const unsigned = { type: 'eip1559', to: nobody, value: 1n, gas: 21_000n, maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n }
    const nonce = Number(await call('eth_getTransactionCount', account(0).address, 'pending'))
    const raw = await account(0).signTransaction({ ...unsigned, nonce, chainId: Number(await call('eth_chainId')) })
    await call('eth_sendRawTransaction', raw)
    await eventually('a receipt', () => call('eth_getTransactionReceipt', keccak256(raw)))
    await refused('eth_sendRawTransaction', raw)
    await refused('eth_sendRawTransaction', '0x02')
    // One that waits behind a gap.
    const later = await account(1).signTransaction({ ...unsigned, nonce: 99, chainId: Number(await call('eth_chainId')) })
    await call('eth_sendRawTransaction', later)
    await call('eth_getTransactionByHash', keccak256(later))
    for (const name of ['txpool_status', 'txpool_content']) if (methods.has(name)) await call(name)
    await call('txpool_contentFrom', account(1).address)
  })

  test('accounts', async () => {
    await call('eth_accounts')
    for (const address of [account(0).address, token, nobody]) {
      for (const tag of ['latest', 'earliest', 'pending', block]) {
        await call('eth_getBalance', address, tag)
        await call('eth_getTransactionCount', address, tag)
        await call('eth_getCode', address, tag)
        await call('eth_getStorageAt', address, '0x0', tag)
      }
      await call('eth_getProof', address, [`0x${'00'.repeat(32)}`, `0x${'00'.repeat(31)}02`], 'latest')
      await call('eth_getProof', address, [], 'latest')
    }
    await refused('eth_getBalance', nobody, '0xffffffffff')
    await call('eth_sign', account(0).address, '0x1234')
    const transaction = { from: account(0).address, to: nobody, gas: '0x5208', gasPrice: toHex(10n ** 10n), nonce: '0x0', value: '0x0' }
    await call('eth_signTransaction', transaction)
  })

  test('calls', async () => {
    const input = `0x70a08231${nobody.slice(2).padStart(64, '0')}`
    for (const tag of ['latest', 'pending', block]) {
      await call('eth_call', { to: token, input }, tag)
      await call('eth_estimateGas', { from: account(0).address, to: nobody, value: '0x1' }, tag)
      await call('eth_createAccessList', { from: account(0).address, to: token, input }, tag)
    }
    await refused('eth_call', { to: token, input: '0xffffffff' }, 'latest')
    await refused('eth_call', { to: token, input }, '0xffffffffff')
  })

  test('fees', async () => {
    for (const name of ['eth_gasPrice', 'eth_maxPriorityFeePerGas', 'eth_blobBaseFee']) await call(name)
    await call('eth_baseFee')
    await call('eth_feeHistory', '0x4', 'latest', [10, 50, 90])
    await call('eth_feeHistory', '0x1', block, [])
  })

  test('logs and filters', async () => {
    await call('eth_getLogs', { fromBlock: '0x0', toBlock: 'latest' })
    await call('eth_getLogs', { address: token, topics: [null, [unknown]], fromBlock: '0x0' })
    await call('eth_getLogs', { blockHash: transfer.blockHash })
    const filters = [await call('eth_newBlockFilter'), await call('eth_newPendingTransactionFilter')]
    const logs = await call('eth_newFilter', { address: token, fromBlock: '0x0', toBlock: 'latest' })
    const args = [nobody, 1n]
    const hash = await wallet.writeContract({ address: token, abi, functionName: 'transfer', args })
    await client.waitForTransactionReceipt({ hash })
    for (const filter of [...filters, logs]) await call('eth_getFilterChanges', filter)
    await call('eth_getFilterLogs', logs)
    for (const filter of [...filters, logs]) await call('eth_uninstallFilter', filter)
    await refused('eth_getFilterChanges', logs)
  })

  test('many at once, simulated and filled in', async () => {
    await call('eth_getStorageValues', { [token]: [`0x${'00'.repeat(32)}`, `0x${'00'.repeat(31)}02`] }, 'latest')
    const transaction = { from: account(0).address, to: nobody, value: '0x1' }
    await call('eth_fillTransaction', transaction)
    const input = `0xa9059cbb${nobody.slice(2).padStart(64, '0')}${'1'.padStart(64, '0')}`
    const blockStateCalls = [{ calls: [transaction, { from: account(0).address, to: token, input }] }, { calls: [] }]
    for (const validation of [false, true]) {
      const calls = validation ? [{ blockOverrides: { baseFeePerGas: '0x0' }, ...blockStateCalls[0] }] : blockStateCalls
      await call('eth_simulateV1', { blockStateCalls: calls, validation, traceTransfers: true, returnFullTransactions: true }, 'latest')
    }
    await refused('eth_simulateV1', { blockStateCalls: [] }, '0xffffffffff')
  })

  test('blocks as bytes and as traces', async () => {
    for (const name of ['debug_getRawHeader', 'debug_getRawBlock', 'debug_getRawReceipts']) {
      for (const tag of ['latest', 'earliest', block]) await call(name, tag)
      await refused(name, '0xffffffffff')
    }
    await call('debug_getRawTransaction', transfer.transactionHash)
    await call('debug_getBadBlocks')
    await call('debug_traceBlockByNumber', block)
    await call('debug_traceBlockByHash', transfer.blockHash)
    for (const config of [{}, { disableStack: true, disableStorage: true, enableMemory: true, enableReturnData: true }]) {
      await call('debug_traceTransaction', transfer.transactionHash, config)
    }
    await refused('debug_traceTransaction', unknown)
    await call('eth_getBlockAccessList', block)
    // Blocks have lists of their own form, which this one is not.
    await refused('debug_getRawBlockAccessList', block)
    seen.add('debug_getRawBlockAccessList')
  })

  test('the node', async () => {
    for (const name of ['eth_chainId', 'eth_syncing', 'eth_coinbase', 'net_version', 'eth_config', 'eth_capabilities']) {
      await call(name)
    }
    await refused('eth_noSuchMethod')
  })

  after(async () => {
    const served = []
    for (const name of methods.keys()) {
      if (seen.has(name) || name.startsWith('engine_') || name.startsWith('testing_')) continue
      const { error } = await post(request(name))
      if (error?.code !== -32601) served.push(name)
    }
    // A method that is served is one that this session asks for.
    assert.deepEqual(served, [])
  })
})
