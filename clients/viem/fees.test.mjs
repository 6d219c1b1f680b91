// Gas estimation and the fee methods that wallets ask.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { encodeDeployData, encodeFunctionData, parseEther, toHex } from 'viem'
import { account } from '../lib/accounts.mjs'
import { artifact } from '../lib/artifacts.mjs'
import { call } from '../lib/rpc.mjs'
import { client, deploy, succeeded, walletOf } from '../lib/viem.mjs'

const sender = account(9)
const wallet = walletOf(sender)
const { abi, bytecode } = artifact('Box')
let box

before(async () => {
  box = await deploy(wallet, { abi, bytecode })
})

test('a transfer is estimated at exactly 21000', async () => {
  const gas = await client.estimateGas({ account: sender.address, to: account(5).address, value: 1n })
  assert.equal(gas, 21_000n)
})

test('an estimate is enough and not much more than is used', async () => {
  for (const data of [
    encodeFunctionData({ abi, functionName: 'store', args: [123n] }),
    encodeFunctionData({ abi, functionName: 'store', args: [0n] }), // a refund: the limit is above what is used
  ]) {
    const gas = await client.estimateGas({ account: sender.address, to: box, data })
    const receipt = await succeeded(await wallet.sendTransaction({ to: box, data, gas }))
    assert.ok(gas >= receipt.gasUsed)
    assert.ok(gas <= receipt.gasUsed * 2n, `estimate=${gas} used=${receipt.gasUsed}`)
  }
  const data = encodeDeployData({ abi, bytecode })
  const gas = await client.estimateGas({ account: sender.address, data })
  await succeeded(await wallet.sendTransaction({ data, gas }))
})

test('an estimate of what reverts is an error with the reason', async () => {
  await assert.rejects(
    client.estimateContractGas({ address: box, abi, functionName: 'failWithReason', account: sender }),
    /the box is shut/,
  )
})

test('an estimate of what cannot be paid is an error', async () => {
  const poor = `0x${'77'.repeat(20)}`
  await assert.rejects(client.estimateGas({ account: poor, to: box, value: parseEther('1') }))
})

test('feeHistory matches the blocks it covers', async () => {
  await succeeded(await wallet.sendTransaction({ to: box, data: encodeFunctionData({ abi, functionName: 'value' }) }))
  const newest = await client.getBlockNumber()
  const percentiles = [10, 50, 90]
  const history = await call('eth_feeHistory', '0x3', toHex(newest), percentiles)
  const oldest = BigInt(history.oldestBlock)
  assert.equal(oldest, newest - 2n)
  assert.equal(history.baseFeePerGas.length, 4, 'one more than blocks: the next one is known')
  assert.equal(history.gasUsedRatio.length, 3)
  assert.equal(history.reward.length, 3)
  for (let i = 0; i < 3; i++) {
    const block = await client.getBlock({ blockNumber: oldest + BigInt(i) })
    assert.equal(BigInt(history.baseFeePerGas[i]), block.baseFeePerGas)
    assert.ok(Math.abs(history.gasUsedRatio[i] - Number(block.gasUsed) / Number(block.gasLimit)) < 1e-6)
    const rewards = history.reward[i].map(BigInt)
    assert.equal(rewards.length, percentiles.length)
    assert.deepEqual(rewards, rewards.toSorted((a, b) => Number(a - b)))
  }
})

test('the suggested fees get a transaction into a block', async () => {
  const { baseFeePerGas } = await client.getBlock()
  assert.ok((await client.getGasPrice()) >= baseFeePerGas)
  const { maxFeePerGas, maxPriorityFeePerGas } = await client.estimateFeesPerGas()
  assert.ok(maxFeePerGas >= baseFeePerGas + maxPriorityFeePerGas)
  assert.ok(BigInt(await call('eth_maxPriorityFeePerGas')) >= 0n)
  await succeeded(await wallet.sendTransaction({ to: box, data: '0x3fa4f245', maxFeePerGas, maxPriorityFeePerGas }))
})

test('createAccessList names the slot that a call reads', async () => {
  const data = encodeFunctionData({ abi, functionName: 'value' })
  const { accessList, gasUsed } = await client.createAccessList({ account: sender.address, to: box, data })
  assert.ok(gasUsed > 21_000n)
  const entry = accessList.find(({ address }) => address === box)
  assert.deepEqual(entry.storageKeys, [`0x${'00'.repeat(32)}`])
})
