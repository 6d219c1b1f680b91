// A shard as a chain of its own: contracts, tags, hashes that the relay chain names, logs, traces.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { concat, decodeEventLog, encodeFunctionData, keccak256, pad, parseEther, toHex } from 'viem'
import { headwayActions } from '../headway/index.mjs'
import { account } from '../lib/accounts.mjs'
import { artifact } from '../lib/artifacts.mjs'
import { eventually } from '../lib/eventually.mjs'
import { call, chainId, url as relayUrl } from '../lib/rpc.mjs'
import { segmentOf, shard } from '../lib/shards.mjs'
import { checkAccountProof, checkStorageProof } from '../lib/trie.mjs'

const [one, two] = [shard(1), shard(2)]
const sender = account(0)
const friend = account(1).address
const wallet = one.walletOf(sender)
const { abi, bytecode } = artifact('Token')

let firstNonce
let token
let deployed
let transferred

const transfer = async (value) =>
  one.succeeded(await wallet.writeContract({ address: token, abi, functionName: 'transfer', args: [friend, value] }))
const balanceOf = (holder, options = {}) =>
  one.client.readContract({ address: token, abi, functionName: 'balanceOf', args: [holder], ...options })

before(async () => {
  firstNonce = await one.client.getTransactionCount({ address: sender.address })
  deployed = await one.succeeded(await wallet.deployContract({ abi, bytecode, args: ['Sharded', 'SHD', parseEther('1000')] }))
  token = deployed.contractAddress
  transferred = await transfer(parseEther('12'))
})

test('every shard has a chain id of its own, and the relay chain lists it', async () => {
  for (const { id, client, chainId: expected } of [one, two]) {
    assert.equal(expected, chainId + id)
    assert.equal(await client.getChainId(), expected)
    assert.equal(await client.request({ method: 'net_version' }), String(expected))
    const segment = await segmentOf(id)
    assert.equal(segment.status, 'active')
    assert.ok(segment.collators.length >= 1)
  }
  const { shards, cores, quorum, offences } = await call('headway_getShards')
  assert.deepEqual(shards.map(({ id }) => id), [1, 2])
  assert.ok(cores.includes(1) && cores.includes(2), `cores: ${cores}`)
  assert.ok(quorum >= 3)
  assert.deepEqual(offences, [])
  assert.equal(await one.client.request({ method: 'headway_getShards' }), null, 'a shard has no shards')
})

test('the accounts have the same balances on both', async () => {
  const untouched = { address: account(9).address }
  assert.equal(await one.client.getBalance(untouched), await two.client.getBalance(untouched))
  assert.ok((await one.client.getBalance(untouched)) > 0n)
})

test('a contract is deployed, called and read on one shard', async () => {
  assert.equal(await one.client.readContract({ address: token, abi, functionName: 'symbol' }), 'SHD')
  assert.equal(await balanceOf(friend), parseEther('12'))
  assert.equal(await balanceOf(sender.address), parseEther('988'))
  const { data } = await one.client.call({
    to: token, data: encodeFunctionData({ abi, functionName: 'totalSupply' }),
  })
  assert.equal(BigInt(data), parseEther('1000'))
})

test('nothing of it is on the other shard, or on the relay chain', async () => {
  assert.equal(await two.client.getTransactionCount({ address: sender.address }), 0)
  assert.equal(await two.client.getCode({ address: token }), undefined)
  assert.equal(await call('eth_getCode', token, 'latest'), '0x')
  const receipt = ['eth_getTransactionReceipt', transferred.transactionHash]
  assert.equal(await two.client.request({ method: receipt[0], params: [receipt[1]] }), null)
  assert.equal(await call(...receipt), null)
  assert.equal(await one.client.getTransactionCount({ address: sender.address }), firstNonce + 2)
})

test('a block is latest, then safe, then finalized', async () => {
  const { blockNumber } = await transfer(1n)
  const seen = []
  await eventually('the block is final', async () => {
    const heads = await one.heads()
    assert.ok(heads.finalized <= heads.safe && heads.safe <= heads.latest, JSON.stringify(heads, (_, n) => String(n)))
    for (const tag of ['latest', 'safe', 'finalized']) {
      if (heads[tag] >= blockNumber && !seen.includes(tag)) seen.push(tag)
    }
    return heads.finalized >= blockNumber
  }, 40_000)
  assert.deepEqual(seen, ['latest', 'safe', 'finalized'])
  assert.ok((await balanceOf(friend, { blockTag: 'finalized' })) > parseEther('12'))
})

test('a block says when it was collated, backed, included and final, and in which relay blocks', async () => {
  const { blockNumber } = await transfer(1n)
  await one.reached('finalized', blockNumber)
  const stages = await one.client.request({ method: 'headway_getBlockStages', params: [toHex(blockNumber)] })
  const { collatedMs, executedMs, backedMs, includedMs, finalizedMs } = stages
  assert.ok(collatedMs <= executedMs && collatedMs <= backedMs, JSON.stringify(stages))
  assert.ok(backedMs <= includedMs && includedMs <= finalizedMs, JSON.stringify(stages))
  const heights = ['anchorHeight', 'backedHeight', 'includedHeight', 'finalizedHeight'].map((name) => Number(stages[name]))
  assert.ok(heights[0] < heights[1] && heights[1] < heights[2] && heights[2] <= heights[3], `${heights}`)
  assert.ok(heights[3] <= Number(await call('eth_blockNumber')) + 8, 'heights of the relay chain')
  assert.equal(stages.notarizedMs, undefined, 'no stage that a shard does not have')
  const actions = headwayActions()(one.client)
  const read = await actions.getBlockStages({ block: blockNumber })
  assert.deepEqual([read.height, read.backed, read.finalized], [blockNumber, backedMs, finalizedMs])
})

test('a node that has what is final is in step, and says how its shards are', async () => {
  assert.equal(await one.client.request({ method: 'eth_syncing' }), false)
  const health = await eventually('no shard is behind or stalled', async () => {
    const response = await fetch(`${relayUrl}/health`)
    const body = await response.json()
    return response.status === 200 && body.status === 'ok' && body
  })
  assert.deepEqual(health.shards.map(({ id }) => id), [1, 2])
  const [first] = health.shards
  assert.ok(Number(first.latest) >= Number(first.safe) && Number(first.safe) >= Number(first.finalized))
  assert.deepEqual([first.behind, first.stalled], [false, false])
  const own = await fetch(`${one.url}/health`)
  assert.equal(own.status, 200)
  assert.equal((await own.json()).shard.id, 1)
  assert.equal((await fetch(`${relayUrl}/shard/9/health`)).status, 404)
  const metrics = await fetch(`${relayUrl}/metrics`).then((response) => response.text())
  for (const id of [1, 2]) assert.match(metrics, new RegExp(`headway_shard_relay_blocks_total\\{shard="${id}",chance="taken"\\} [1-9]`))
})

test('the relay chain names the block of a receipt, by hashes that anybody can compute', async () => {
  const { block } = await one.certain(transferred.blockNumber)
  assert.equal(block.hash, transferred.blockHash)
  assert.ok(block.transactions.includes(transferred.transactionHash))
})

test('a storage proof leads to what the relay chain names as final', async () => {
  const { head } = await one.certain(transferred.blockNumber)
  const blockNumber = BigInt(head.number)
  const slotOf = (holder) => keccak256(concat([pad(holder), pad('0x', { size: 32 })]))
  const nobody = `0x${'5a'.repeat(20)}`
  const holders = [sender.address, friend, nobody]
  const proof = await one.client.getProof({ address: token, storageKeys: holders.map(slotOf), blockNumber })
  assert.equal(checkAccountProof(head.stateRoot, proof), true)
  for (const [i, holder] of holders.entries()) {
    assert.equal(checkStorageProof(proof.storageHash, proof.storageProof[i]), holder !== nobody)
    assert.equal(proof.storageProof[i].value, await balanceOf(holder, { blockNumber }))
  }
  assert.ok(proof.storageProof[1].value >= parseEther('12'))
  const account = await one.client.getProof({ address: sender.address, storageKeys: [], blockNumber })
  assert.equal(checkAccountProof(head.stateRoot, account), true)
  const { stateRoot } = await one.block('earliest')
  assert.throws(() => checkAccountProof(stateRoot, proof), 'a proof is good for one root only')
})

test('logs are found by filter and by range, with the right block', async () => {
  const event = abi.find(({ type, name }) => type === 'event' && name === 'Transfer')
  const filter = await one.client.createEventFilter({ address: token, event, fromBlock: deployed.blockNumber })
  const logs = await one.client.getLogs({ address: token, event, fromBlock: deployed.blockNumber, toBlock: 'latest' })
  const own = logs.find(({ transactionHash }) => transactionHash === transferred.transactionHash)
  assert.equal(own.blockHash, transferred.blockHash)
  assert.deepEqual([own.args.from, own.args.to, own.args.value], [sender.address, friend, parseEther('12')])
  const later = await transfer(2n)
  const polled = []
  await eventually('the filter has the new log', async () => {
    polled.push(...(await one.client.getFilterChanges({ filter })))
    return polled.some(({ transactionHash }) => transactionHash === later.transactionHash)
  })
  const elsewhere = await two.client.getLogs({ fromBlock: 0n, toBlock: 'latest' })
  assert.ok(elsewhere.every(({ address }) => address !== token))
})

test('a receipt carries the log, and a block of the shard its receipts', async () => {
  const [log] = transferred.logs
  assert.equal(decodeEventLog({ abi, ...log }).eventName, 'Transfer')
  const receipts = await one.client.request({
    method: 'eth_getBlockReceipts', params: [toHex(transferred.blockNumber)],
  })
  assert.ok(receipts.some(({ transactionHash }) => transactionHash === transferred.transactionHash))
})

test('a transaction is traced', async () => {
  const trace = (options) =>
    one.client.request({ method: 'debug_traceTransaction', params: [transferred.transactionHash, options] })
  const calls = await trace({ tracer: 'callTracer', tracerConfig: { withLog: true } })
  assert.equal(calls.to, token)
  assert.equal(BigInt(calls.gasUsed), transferred.gasUsed)
  assert.equal(calls.logs.length, 1)
  const steps = await trace({})
  assert.equal(steps.failed, false)
  assert.ok(steps.structLogs.some(({ op }) => op === 'SSTORE'))
})

test('a call that reverts says why', async () => {
  const tooMuch = { address: token, abi, functionName: 'transfer', args: [friend, parseEther('5000')], account: sender }
  await assert.rejects(one.client.simulateContract(tooMuch), /ERC20InsufficientBalance/)
})
