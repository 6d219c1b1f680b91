// What a wallet does all day: fees, nonces, waiting, typed errors.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Wallet, isError, parseEther } from 'ethers'
import { artifact } from '../lib/artifacts.mjs'
import { httpProvider, walletOf } from '../lib/ethers.mjs'
import { chainId } from '../lib/rpc.mjs'
import { deploy } from '../lib/uniswap.mjs'

const provider = httpProvider()
const wallet = walletOf(4, provider)

after(() => provider.destroy())

test('a transfer between accounts, to the last wei', async () => {
  const receiver = Wallet.createRandom(provider)
  const sent = await wallet.sendTransaction({ to: receiver.address, value: parseEther('1') })
  assert.equal(sent.type, 2)
  assert.equal(sent.chainId, BigInt(chainId))
  const receipt = await sent.wait()
  assert.equal(await provider.getBalance(receiver.address), parseEther('1'))

  // The receiver sends everything back, less the fee.
  const { maxFeePerGas } = await provider.getFeeData()
  const fee = 21_000n * maxFeePerGas
  const back = await receiver.sendTransaction({
    to: wallet.address, value: parseEther('1') - fee, gasLimit: 21_000, gasPrice: maxFeePerGas, type: 0,
  })
  await back.wait()
  assert.equal(await provider.getBalance(receiver.address), 0n)
  assert.equal(await provider.getTransactionCount(receiver.address), 1)
  assert.ok(receipt.blockNumber <= (await provider.getBlockNumber()))
})

test('wait for a confirmation on top', async () => {
  const sent = await wallet.sendTransaction({ to: wallet.address, value: 0 })
  // A chain that another test asked for blocks makes none by itself any more; one of several validators does.
  const mined = sent.wait().then(() => provider.send('evm_mine', []).catch(() => {}))
  const receipt = await sent.wait(2, 15_000)
  await mined
  assert.ok((await receipt.confirmations()) >= 2)
})

test('the provider knows the pending nonce', async () => {
  const nonce = await wallet.getNonce('pending')
  const [first, second] = [
    await wallet.sendTransaction({ to: wallet.address, value: 0 }),
    await wallet.sendTransaction({ to: wallet.address, value: 0 }),
  ]
  assert.deepEqual([first.nonce, second.nonce], [nonce, nonce + 1])
  await second.wait()
})

test('errors have the codes that applications check', async () => {
  const poor = Wallet.createRandom(provider)
  const fees = { gasLimit: 21_000, maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n }
  const rejection = (promise) => promise.then(() => assert.fail('must be refused'), (error) => error)
  const unpaid = await rejection(poor.sendTransaction({ to: wallet.address, value: 1, ...fees }))
  assert.ok(isError(unpaid, 'INSUFFICIENT_FUNDS'), unpaid.code)
  const used = await rejection(wallet.sendTransaction({ to: wallet.address, nonce: 0, ...fees }))
  assert.ok(isError(used, 'NONCE_EXPIRED'), used.code)
  const box = await deploy(artifact('Box'), wallet)
  const reverted = await rejection(box.failWithError(7))
  assert.ok(isError(reverted, 'CALL_EXCEPTION'), reverted.code)
  assert.equal(reverted.revert.name, 'Unlucky')
})
