// Headway's own methods: how far a block has come, and what an account can commit to.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toHex } from 'viem'
import { account } from '../lib/accounts.mjs'
import { eventually } from '../lib/eventually.mjs'
import { call, isAnvil, post, request } from '../lib/rpc.mjs'
import { client, succeeded, walletOf } from '../lib/viem.mjs'

const options = { skip: isAnvil && 'headway only' }
const sender = account(7)
const wallet = walletOf(sender)
const transfer = async () => succeeded(await wallet.sendTransaction({ to: account(5).address, value: 1n }))
// A chain that another test sent to without a key, or asked for blocks, makes none by itself any more: a result is
// carried by a block that somebody asks for. One of several validators refuses that, and goes on by itself.
const mine = () => post(request('evm_mine'))

test('a block passes its stages in order', options, async () => {
  const { blockNumber } = await transfer()
  await mine()
  const stages = await eventually('verified', async () => {
    const now = await call('headway_getBlockStages', toHex(blockNumber))
    return now.verifiedMs !== null && now
  })
  const [proposed, finalized, executed, verified] = ['proposed', 'finalized', 'executed', 'verified'].map((stage) =>
    Number(stages[`${stage}Ms`]),
  )
  assert.ok(Math.abs(Date.now() - proposed) < 60_000, `proposed=${proposed} is not in milliseconds of now`)
  assert.ok(proposed <= finalized, 'an order is final after it was proposed')
  assert.ok(finalized <= executed, 'only a final order is executed')
  assert.ok(executed <= verified, 'a result is certified after this node has computed its own')
  if (stages.notarizedMs !== null && stages.notarizedMs !== undefined) {
    assert.ok(proposed <= Number(stages.notarizedMs))
    assert.ok(Number(stages.notarizedMs) <= finalized)
  }
})

test('finalized follows latest without any more transactions', options, async () => {
  const { blockNumber } = await transfer()
  await mine()
  await eventually('the finalized tag', async () => {
    const { number } = await client.getBlock({ blockTag: 'finalized' })
    return number >= blockNumber
  })
})

test('a block that is not there has no stages', options, async () => {
  assert.equal(await call('headway_getBlockStages', '0xffffffffff'), null)
})

test('the inclusion budget of an account is bounded by its balance', options, async () => {
  await transfer()
  const budget = await call('headway_getInclusionBudget', sender.address)
  assert.equal(typeof budget, 'object')
  const balance = await client.getBalance({ address: sender.address })
  assert.ok(BigInt(budget.available) > 0n)
  assert.ok(BigInt(budget.available) <= balance)
})

test('an empty account has no inclusion budget', options, async () => {
  const budget = await call('headway_getInclusionBudget', `0x${'3d'.repeat(20)}`)
  assert.equal(BigInt(budget.available), 0n)
})
