// Blocks and their tags; a block's hash and roots are computed again from what the node says.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { toHex } from 'viem'
import { account } from '../lib/accounts.mjs'
import { artifact } from '../lib/artifacts.mjs'
import { headerHash } from '../lib/header.mjs'
import { orderedRoot, receiptsRoot } from '../lib/ordered_trie.mjs'
import { call, chainId } from '../lib/rpc.mjs'
import { client, deploy, succeeded, walletOf } from '../lib/viem.mjs'

const sender = account(2)
const wallet = walletOf(sender)
let receipt

before(async () => {
  const { abi, bytecode } = artifact('Box')
  const address = await deploy(wallet, { abi, bytecode })
  receipt = await succeeded(await wallet.writeContract({ address, abi, functionName: 'store', args: [1n] }))
})

test('the node names itself and its chain', async () => {
  assert.equal(Number(await call('net_version')), chainId)
  assert.match(await call('web3_clientVersion'), /^\w+\/v?\d/)
  assert.equal(await call('eth_syncing'), false)
  // Keccak, not SHA3: the hash of no bytes tells them apart.
  assert.equal(
    await call('web3_sha3', '0x'),
    '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470',
  )
})

test('the header hashes to the block hash and links to its parent', async () => {
  const block = await call('eth_getBlockByHash', receipt.blockHash, false)
  assert.equal(headerHash(block), block.hash)
  const parent = await call('eth_getBlockByNumber', toHex(BigInt(block.number) - 1n), false)
  assert.equal(parent.hash, block.parentHash)
  assert.equal(headerHash(parent), parent.hash)
  assert.ok(BigInt(parent.timestamp) <= BigInt(block.timestamp))
})

test('the receipts hash to the receipts root', async () => {
  const block = await call('eth_getBlockByHash', receipt.blockHash, false)
  const receipts = await call('eth_getBlockReceipts', block.number)
  assert.equal(receipts.length, block.transactions.length)
  assert.equal(receiptsRoot(receipts), block.receiptsRoot)
  assert.equal(receipts.at(-1).cumulativeGasUsed, block.gasUsed)
})

test('the raw transactions hash to the transactions root', async () => {
  const block = await call('eth_getBlockByHash', receipt.blockHash, false)
  const raws = await Promise.all(block.transactions.map((hash) => call('eth_getRawTransactionByHash', hash)))
  assert.equal(orderedRoot(raws), block.transactionsRoot)
})

test('a block has the same content by number and by hash', async () => {
  const byHash = await call('eth_getBlockByHash', receipt.blockHash, true)
  const byNumber = await call('eth_getBlockByNumber', toHex(receipt.blockNumber), true)
  assert.deepEqual(byHash, byNumber)
  const count = toHex(byHash.transactions.length)
  assert.equal(await call('eth_getBlockTransactionCountByHash', receipt.blockHash), count)
  assert.equal(await call('eth_getBlockTransactionCountByNumber', toHex(receipt.blockNumber)), count)
  const index = toHex(receipt.transactionIndex)
  const transaction = await call('eth_getTransactionByBlockHashAndIndex', receipt.blockHash, index)
  assert.equal(transaction.hash, receipt.transactionHash)
})

test('tags are in the order earliest, finalized, safe, latest, pending', async () => {
  const tags = ['earliest', 'finalized', 'safe', 'latest', 'pending']
  const numbers = []
  for (const blockTag of tags) numbers.push((await client.getBlock({ blockTag })).number)
  assert.equal(numbers[0], 0n)
  for (let i = 1; i < numbers.length; i++) {
    assert.ok(numbers[i - 1] <= numbers[i], `${tags[i - 1]}=${numbers[i - 1]} ${tags[i]}=${numbers[i]}`)
  }
})

test('what does not exist is null, not an error', async () => {
  const nowhere = `0x${'ab'.repeat(32)}`
  assert.equal(await call('eth_getBlockByHash', nowhere, false), null)
  assert.equal(await call('eth_getBlockByNumber', '0xffffffffff', false), null)
  assert.equal(await call('eth_getTransactionByHash', nowhere), null)
  assert.equal(await call('eth_getTransactionReceipt', nowhere), null)
})
