// Two hundred transfers on each shard at once: all are final, in the order of their nonces, and no coin is lost.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generatePrivateKey, privateKeyToAddress } from 'viem/accounts'
import { account } from '../lib/accounts.mjs'
import { call, request } from '../lib/rpc.mjs'
import { shard } from '../lib/shards.mjs'

const shards = [shard(1), shard(2)]
const senders = [5, 6, 7, 8].map(account)
const transfersEach = 50

/** Signed transfers of `sender`, their values 1, 2, 3, …, for the nonces that come next. */
async function transfers({ client, chainId }, sender, to) {
  const first = await client.getTransactionCount({ address: sender.address, blockTag: 'pending' })
  const fields = { to, gas: 21_000n, chainId, maxFeePerGas: 20_000_000_000n, maxPriorityFeePerGas: 1_000_000_000n }
  const sign = (_, i) => sender.signTransaction({ ...fields, type: 'eip1559', nonce: first + i, value: BigInt(i + 1) })
  return Promise.all(Array.from({ length: transfersEach }, sign))
}

/** Sends one batch, as a client with many does; the hashes. */
async function submit({ url }, raw) {
  const batch = raw.map((transaction) => request('eth_sendRawTransaction', [transaction]))
  const answers = await fetch(url, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(batch),
  }).then((response) => response.json())
  const byId = new Map(answers.map((answer) => [answer.id, answer]))
  return batch.map(({ id }) => {
    const { result, error } = byId.get(id)
    assert.ok(result, JSON.stringify(error))
    return result
  })
}

async function loaded(chain) {
  const { client } = chain
  const to = privateKeyToAddress(generatePrivateKey())
  const before = await Promise.all(senders.map(({ address }) => client.getBalance({ address })))
  const raw = await Promise.all(senders.map((sender) => transfers(chain, sender, to)))
  const hashes = []
  // In pieces of ten, alternating between the senders, so that they fill several blocks.
  for (let i = 0; i < transfersEach; i += 10) {
    const pieces = await Promise.all(raw.map((own) => submit(chain, own.slice(i, i + 10))))
    for (const [sender, piece] of pieces.entries()) hashes.push(...piece.map((hash) => ({ sender, hash })))
  }
  const receipts = []
  for (const { sender, hash } of hashes) receipts.push({ sender, ...(await chain.succeeded(hash)) })
  return { chain, to, before, receipts }
}

/** Of every sender: receipts in the order of blocks are those in the order of nonces; its balance is what it had less that. */
async function check({ chain, to, before, receipts }) {
  const { client } = chain
  const last = receipts.map(({ blockNumber }) => blockNumber).reduce((a, b) => (a > b ? a : b))
  const { block, head } = await chain.certain(last)
  assert.equal(block.hash, receipts.find(({ blockNumber }) => blockNumber === last).blockHash)
  const blockNumber = BigInt(head.number)
  assert.equal(receipts.length, senders.length * transfersEach)
  const sum = BigInt((transfersEach * (transfersEach + 1)) / 2)
  for (const [index, sender] of senders.entries()) {
    const own = receipts.filter((receipt) => receipt.sender === index)
    const place = ({ blockNumber, transactionIndex }) => Number(blockNumber) * 1e6 + transactionIndex
    for (let i = 1; i < own.length; i++) assert.ok(place(own[i]) > place(own[i - 1]), `nonces in order, sender ${index}`)
    const fees = own.reduce((paid, { gasUsed, effectiveGasPrice }) => paid + gasUsed * effectiveGasPrice, 0n)
    const balance = await client.getBalance({ address: sender.address, blockNumber })
    assert.equal(balance, before[index] - sum - fees, `sender ${index} of shard ${chain.id}`)
  }
  assert.equal(await client.getBalance({ address: to, blockNumber }), sum * BigInt(senders.length))
  for (const { blockNumber, blockHash } of receipts) {
    const { hash } = await client.getBlock({ blockNumber })
    assert.equal(hash, blockHash, 'the block of a receipt stays')
  }
}

test('two hundred transfers on each shard are final and right', async () => {
  for (const each of await Promise.all(shards.map(loaded))) await check(each)
  const { offences } = await call('headway_getShards')
  assert.deepEqual(offences, [])
})
