// JSON-RPC batches over HTTP.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPublicClient, http } from 'viem'
import { account } from '../lib/accounts.mjs'
import { chainId, isAnvil, post, request, url } from '../lib/rpc.mjs'
import { chain } from '../lib/viem.mjs'

test('a batch is answered in its order, errors in their places', async () => {
  const batch = [
    request('eth_chainId'),
    request('eth_nonsense'),
    request('eth_getBalance', ['not an address', 'latest']),
    request('eth_blockNumber'),
  ]
  const answers = await post(batch)
  assert.deepEqual(answers.map(({ id }) => id), batch.map(({ id }) => id))
  assert.equal(Number(answers[0].result), chainId)
  assert.equal(answers[1].error.code, -32601)
  assert.equal(answers[2].error.code, -32602)
  assert.match(answers[3].result, /^0x/)
})

test('ids come back as they were: numbers and strings', async () => {
  const ids = [7, 'seven', '7', 0]
  const answers = await post(ids.map((id) => ({ ...request('eth_chainId'), id })))
  assert.deepEqual(answers.map(({ id }) => id), ids)
})

test('viem gathers concurrent calls into one batch', async () => {
  let posts = 0
  const counting = createPublicClient({
    chain,
    transport: http(url, { batch: true, retryCount: 0, onFetchRequest: () => void posts++ }),
  })
  const balances = await Promise.all(
    Array.from({ length: 10 }, (_, i) => counting.getBalance({ address: account(i).address })),
  )
  assert.equal(posts, 1)
  assert.ok(balances.every((balance) => balance > 0n))
})

test('a hundred calls in a batch are no problem', async () => {
  const batch = Array.from({ length: 100 }, () => request('eth_blockNumber'))
  const answers = await post(batch)
  assert.equal(answers.length, 100)
  assert.ok(answers.every(({ result }) => /^0x/.test(result)))
})

test('an empty batch is an invalid request', async () => {
  const answer = await post('[]')
  assert.equal(answer.error.code, -32600)
})

test('an oversize batch is refused', { skip: isAnvil && 'anvil has no limit' }, async () => {
  const answer = await post(Array.from({ length: 5_000 }, () => request('eth_chainId')))
  // Geth answers with an array that holds one error, others with the error alone.
  const { error } = [answer].flat()[0]
  assert.equal(error.code, -32600)
  assert.equal([answer].flat().length, 1)
})
