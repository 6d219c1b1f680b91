// Every transaction type a user can send, and what the node says about it afterwards.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseGwei } from 'viem'
import { account } from '../lib/accounts.mjs'
import { artifact } from '../lib/artifacts.mjs'
import { call } from '../lib/rpc.mjs'
import { client, deploy, succeeded, walletOf } from '../lib/viem.mjs'

const sender = account(4)
const wallet = walletOf(sender)
const to = account(5).address

/** Sends, and checks that exactly the value arrived and exactly value plus fee was paid. */
async function sendAndCheck(request, type) {
  const value = 1234n
  const hash = await wallet.sendTransaction({ to, value, ...request })
  const receipt = await succeeded(hash)
  const blockNumber = receipt.blockNumber
  const change = async (address) =>
    (await client.getBalance({ address, blockNumber })) -
    (await client.getBalance({ address, blockNumber: blockNumber - 1n }))
  assert.equal(receipt.type, type)
  assert.equal(await change(to), value)
  assert.equal(await change(sender.address), -(value + receipt.gasUsed * receipt.effectiveGasPrice))
  return { receipt, transaction: await client.getTransaction({ hash }) }
}

test('type 0, legacy', async () => {
  const gasPrice = await client.getGasPrice()
  const { receipt, transaction } = await sendAndCheck({ type: 'legacy', gasPrice }, 'legacy')
  assert.equal(receipt.gasUsed, 21_000n)
  assert.equal(receipt.effectiveGasPrice, gasPrice)
  assert.equal(transaction.type, 'legacy')
  assert.equal(transaction.chainId, await client.getChainId(), 'EIP-155 binds it to the chain')
})

test('type 1, with an access list', async () => {
  const accessList = [{ address: to.toLowerCase(), storageKeys: [`0x${'00'.repeat(32)}`] }]
  const gasPrice = await client.getGasPrice()
  const { receipt, transaction } = await sendAndCheck({ type: 'eip2930', accessList, gasPrice }, 'eip2930')
  assert.equal(receipt.gasUsed, 21_000n + 2_400n + 1_900n)
  assert.deepEqual(transaction.accessList, accessList)
})

test('type 2, with a tip', async () => {
  const maxPriorityFeePerGas = parseGwei('1')
  const maxFeePerGas = parseGwei('50')
  const { receipt, transaction } = await sendAndCheck({ maxFeePerGas, maxPriorityFeePerGas }, 'eip1559')
  const { baseFeePerGas } = await client.getBlock({ blockHash: receipt.blockHash })
  assert.equal(receipt.effectiveGasPrice, baseFeePerGas + maxPriorityFeePerGas)
  assert.equal(transaction.maxFeePerGas, maxFeePerGas)
  assert.equal(transaction.maxPriorityFeePerGas, maxPriorityFeePerGas)
})

test('a failing transaction is in the block with status 0 and costs gas', async () => {
  const { abi, bytecode } = artifact('Box')
  const box = await deploy(wallet, { abi, bytecode })
  const hash = await wallet.writeContract({ address: box, abi, functionName: 'failAfterWrite', gas: 100_000n })
  const receipt = await client.waitForTransactionReceipt({ hash })
  assert.equal(receipt.status, 'reverted')
  assert.ok(receipt.gasUsed > 21_000n)
  assert.deepEqual(receipt.logs, [])
  assert.equal(await client.readContract({ address: box, abi, functionName: 'value' }), 0n)
})

test('transactions sent at once run in the order of their nonces', async () => {
  const first = await client.getTransactionCount({ address: sender.address, blockTag: 'pending' })
  const gas = 21_000n
  const fees = { maxFeePerGas: parseGwei('50'), maxPriorityFeePerGas: 1n }
  const nonces = Array.from({ length: 20 }, (_, i) => first + i)
  // The last nonce goes first: until the gap closes it has to wait.
  const hashes = await Promise.all(
    nonces.toReversed().map((nonce) => wallet.sendTransaction({ to, value: 1n, gas, nonce, ...fees })),
  )
  const receipts = await Promise.all(hashes.toReversed().map(succeeded))
  for (let i = 1; i < receipts.length; i++) {
    const place = ({ blockNumber, transactionIndex }) => Number(blockNumber) * 1e6 + transactionIndex
    assert.ok(place(receipts[i - 1]) < place(receipts[i]))
  }
  assert.equal(await client.getTransactionCount({ address: sender.address }), first + 20)
})

test('the signed bytes come back unchanged', async () => {
  const request = await wallet.prepareTransactionRequest({ to, value: 5n })
  const raw = await wallet.signTransaction(request)
  const hash = await client.sendRawTransaction({ serializedTransaction: raw })
  await succeeded(hash)
  assert.equal(await call('eth_getRawTransactionByHash', hash), raw)
})
