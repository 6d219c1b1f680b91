// Why a call failed: reasons, custom errors and panics as geth reports them.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { encodeErrorResult, encodeFunctionData, parseEther } from 'viem'
import { account } from '../lib/accounts.mjs'
import { artifact } from '../lib/artifacts.mjs'
import { call, failure } from '../lib/rpc.mjs'
import { client, deploy, walletOf } from '../lib/viem.mjs'

const sender = account(3)
const { abi, bytecode } = artifact('Box')
let box

before(async () => {
  box = await deploy(walletOf(sender), { abi, bytecode })
})

const read = (functionName, args = []) => client.readContract({ address: box, abi, functionName, args })

test('a reason string', async () => {
  await assert.rejects(read('failWithReason'), /reverted with the following reason:\s+the box is shut/)
  const error = await failure('eth_call', { to: box, data: encodeFunctionData({ abi, functionName: 'failWithReason' }) }, 'latest')
  assert.equal(error.code, 3)
  assert.match(error.message, /execution reverted/)
  const expected = encodeErrorResult({
    abi: [{ type: 'error', name: 'Error', inputs: [{ type: 'string' }] }], errorName: 'Error', args: ['the box is shut'],
  })
  assert.equal(error.data, expected)
})

test('a custom error', async () => {
  const error = await read('failWithError', [13n]).then(assert.fail, (error) => error)
  const reverted = error.walk(({ name }) => name === 'ContractFunctionRevertedError')
  assert.equal(reverted.data.errorName, 'Unlucky')
  assert.deepEqual(reverted.data.args, [13n])
})

test('a panic', async () => {
  await assert.rejects(read('failWithPanic', [0n]), /division|modulo/i)
})

test('a function that does not exist', async () => {
  const error = await failure('eth_call', { to: box, data: '0xdeadbeef' }, 'latest')
  assert.match(error.message, /execution reverted/)
})

test('a call may come from anyone but not spend what they do not have', async () => {
  const stranger = `0x${'99'.repeat(20)}`
  assert.equal(await call('eth_call', { from: stranger, to: sender.address }, 'latest'), '0x')
  const value = `0x${parseEther('1').toString(16)}`
  const error = await failure('eth_call', { from: stranger, to: sender.address, value }, 'latest')
  assert.match(error.message, /insufficient funds/i)
})

test('a state override is for one call', async () => {
  const stateOverride = [{ address: box, stateDiff: [{ slot: `0x${'00'.repeat(32)}`, value: `0x${'00'.repeat(31)}2a` }] }]
  const overridden = await client.readContract({ address: box, abi, functionName: 'value', stateOverride })
  assert.equal(overridden, 42n)
  assert.equal(await read('value'), 0n)
})
