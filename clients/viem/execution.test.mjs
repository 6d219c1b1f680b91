// What a block read and wrote, and how the node executed it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { numberToHex, pad, toHex } from 'viem'
import { account } from '../lib/accounts.mjs'
import { call, isAnvil } from '../lib/rpc.mjs'
import { client, succeeded, walletOf } from '../lib/viem.mjs'

const options = { skip: isAnvil && 'headway only' }
const sender = account(8)
const wallet = walletOf(sender)
const same = (left, right) => left.toLowerCase() === right.toLowerCase()
const accountIn = (list, address) => list.accounts.find((one) => same(one.address, address))

test('an access list has the value of a transfer', options, async () => {
  const to = `0x${'8e'.repeat(20)}`
  const before = await client.getBalance({ address: to })
  const receipt = await succeeded(await wallet.sendTransaction({ to, value: 5n }))
  const list = await call('headway_getBlockAccessList', toHex(receipt.blockNumber))
  const index = toHex(receipt.transactionIndex + 1)
  const received = accountIn(list, to)
  assert.deepEqual(received.balanceChanges, [{ index, value: toHex(before + 5n) }])
  assert.deepEqual(received.storageChanges, [])
  const nonce = await client.getTransactionCount({ address: sender.address })
  assert.deepEqual(accountIn(list, sender.address).nonceChanges, [{ index, value: toHex(nonce) }])
  assert.equal(BigInt(list.gasUsed[receipt.transactionIndex]), receipt.gasUsed)
  assert.deepEqual(await call('headway_getBlockAccessList', receipt.blockHash), list)
})

test('an access list has the code and the slots of a contract', options, async () => {
  // Stores 7 in slot 1 while it is created; its code is one STOP.
  const data = '0x600760015560016000f3'
  const receipt = await succeeded(await wallet.sendTransaction({ data }))
  const list = await call('headway_getBlockAccessList', receipt.blockHash)
  const index = toHex(receipt.transactionIndex + 1)
  const created = accountIn(list, receipt.contractAddress)
  assert.deepEqual(created.codeChanges, [{ index, code: '0x00' }])
  assert.deepEqual(created.nonceChanges, [{ index, value: '0x1' }])
  const [word, value] = [1, 7].map((number) => pad(numberToHex(number)))
  assert.deepEqual(created.storageChanges, [{ key: word, changes: [{ index, value }] }])
  assert.deepEqual(created.storageReads, [])
})

test('a recent block tells how it was executed', options, async () => {
  const receipt = await succeeded(await wallet.sendTransaction({ to: sender.address, value: 1n }))
  const execution = await call('headway_getBlockExecution', receipt.blockHash)
  assert.equal(BigInt(execution.height), receipt.blockNumber)
  assert.ok(['inOrder', 'first', 'listed'].includes(execution.way), execution.way)
  assert.ok(execution.workers >= 1)
  assert.ok(Array.isArray(execution.conflicts))
  assert.ok(execution.reexecutions >= execution.conflicts.length)
  for (const stage of ['executeUs', 'commitUs', 'rootsUs', 'accessListUs']) {
    assert.ok(Number.isSafeInteger(execution[stage]) && execution[stage] >= 0, stage)
  }
})

test('a block tells what kept its transactions from running at once', options, async () => {
  const receipt = await succeeded(await wallet.sendTransaction({ to: sender.address, value: 1n }))
  const profile = await call('headway_getBlockProfile', receipt.blockHash)
  assert.equal(BigInt(profile.height), receipt.blockNumber)
  assert.equal(profile.hash, receipt.blockHash)
  assert.ok(profile.transactionCount >= 1)
  assert.ok(profile.waitingCount < profile.transactionCount)
  assert.ok(profile.criticalPath.gas <= profile.gasUsed)
  assert.ok(profile.speedups.every(({ workers, boundPermille }) => boundPermille <= workers * 1000))
  assert.ok(profile.advice.length >= 1)
  assert.equal(profile.schedule, undefined)
  const scheduled = await call('headway_getBlockProfile', receipt.blockHash, 4)
  assert.equal(scheduled.schedule.workers, 4)
})

test('a block that is not there has none of them', options, async () => {
  for (const block of ['0xffffffffff', `0x${'ab'.repeat(32)}`, 'pending']) {
    assert.equal(await call('headway_getBlockAccessList', block), null)
    assert.equal(await call('headway_getBlockExecution', block), null)
    assert.equal(await call('headway_getBlockProfile', block), null)
  }
})
