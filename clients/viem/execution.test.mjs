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

test('a block that is not there has neither', options, async () => {
  for (const block of ['0xffffffffff', `0x${'ab'.repeat(32)}`, 'pending']) {
    assert.equal(await call('headway_getBlockAccessList', block), null)
    assert.equal(await call('headway_getBlockExecution', block), null)
  }
})
