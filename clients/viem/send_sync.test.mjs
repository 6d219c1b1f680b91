// eth_sendRawTransactionSync (EIP-7966): the answer is the receipt.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { account } from '../lib/accounts.mjs'
import { assertRejected, call, failure } from '../lib/rpc.mjs'
import { client, walletOf } from '../lib/viem.mjs'

const sender = account(6)
const wallet = walletOf(sender)
const signed = async (request) =>
  wallet.signTransaction(await wallet.prepareTransactionRequest({ to: account(5).address, value: 1n, ...request }))

test('the receipt comes back, and the state it leaves is readable at once', async () => {
  const nonce = await client.getTransactionCount({ address: sender.address })
  const serializedTransaction = await signed()
  const receipt = await client.sendRawTransactionSync({ serializedTransaction })
  assert.equal(receipt.status, 'success')
  assert.equal(await client.getTransactionCount({ address: sender.address }), nonce + 1)
  assert.deepEqual(await client.getTransactionReceipt({ hash: receipt.transactionHash }), receipt)
})

test('ten in a row are ten receipts', async () => {
  for (let i = 0; i < 10; i++) {
    const receipt = await call('eth_sendRawTransactionSync', await signed())
    assert.equal(receipt.status, '0x1')
  }
})

test('what the pool refuses is refused the same way', async () => {
  const raw = await signed({ nonce: 0 })
  assertRejected(await failure('eth_sendRawTransactionSync', raw), /nonce too low/i)
})
