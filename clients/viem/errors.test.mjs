// What is refused, with geth's JSON-RPC codes: libraries decide by them what to do next.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { keccak256, parseEther, parseGwei } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { account } from '../lib/accounts.mjs'
import { call, chainId, failure, isAnvil, post, rejectedCode } from '../lib/rpc.mjs'
import { client, succeeded, walletOf } from '../lib/viem.mjs'

const sender = account(2)
const wallet = walletOf(sender)
const to = account(5).address
const fees = { gas: 21_000n, maxFeePerGas: parseGwei('50'), maxPriorityFeePerGas: 1n }
let nonce

before(async () => {
  await succeeded(await wallet.sendTransaction({ to, value: 1n }))
  nonce = await client.getTransactionCount({ address: sender.address })
})

const sign = (request, signer = sender) =>
  signer.signTransaction({ type: 'eip1559', chainId, nonce, to, value: 1n, ...fees, ...request })

/** Sends raw bytes that must be refused, and checks that no trace of them stays behind. */
async function refused(raw, code, pattern) {
  const error = await failure('eth_sendRawTransaction', raw)
  assert.equal(error.code, code, error.message)
  assert.match(error.message, pattern)
  assert.equal(await call('eth_getTransactionByHash', keccak256(raw)), null)
}

test('nonce too low', async () => {
  await refused(await sign({ nonce: nonce - 1 }), rejectedCode, /nonce too low/i)
})

test('insufficient funds', async () => {
  const poor = privateKeyToAccount(generatePrivateKey())
  await refused(await sign({ nonce: 0 }, poor), rejectedCode, /insufficient funds/i)
  await refused(await sign({ value: parseEther('99999999') }), rejectedCode, /insufficient funds/i)
})

test('another chain id', async () => {
  await refused(await sign({ chainId: chainId + 1 }), rejectedCode, /chain.?id/i)
})

test('not enough gas to begin with', async () => {
  await refused(await sign({ gas: 20_999n }), rejectedCode, /intrinsic gas/i)
})

test('more gas than a block has', async () => {
  await refused(await sign({ gas: 1n << 40n }), rejectedCode, /gas/i)
})

test('a tip above the fee cap', async () => {
  // viem refuses to build it, so its own check is passed by and the fields are patched.
  const request = { maxFeePerGas: 2n ** 32n, maxPriorityFeePerGas: 2n ** 32n + 1n }
  await refused(await signUnchecked(request), rejectedCode, /priority fee|tip/i)
})

test('the same transaction twice', async () => {
  const raw = await sign({ nonce: nonce + 1_000 }) // a gap keeps it waiting
  await call('eth_sendRawTransaction', raw)
  const error = await failure('eth_sendRawTransaction', raw)
  assert.equal(error.code, rejectedCode)
  assert.match(error.message, /already (known|imported)/i)
})

test('blob transactions (type 3) are not supported', async () => {
  const raw = await sign({
    type: 'eip4844',
    blobVersionedHashes: [`0x01${'ab'.repeat(31)}`],
    maxFeePerBlobGas: parseGwei('10'),
  })
  const error = await failure('eth_sendRawTransaction', raw)
  if (!isAnvil) {
    assert.equal(error.code, rejectedCode)
    assert.match(error.message, /type not supported|blob/i)
  }
  assert.equal(await call('eth_getTransactionByHash', keccak256(raw)), null)
})

test('bytes that are no transaction', async () => {
  for (const raw of ['0x', '0x02', '0x05c0', '0xdeadbeef']) {
    const { code } = await failure('eth_sendRawTransaction', raw)
    assert.ok([-32000, -32602].includes(code), `${raw}: ${code}`)
  }
})

test('an unknown method is -32601', async () => {
  assert.equal((await failure('eth_nonsense')).code, -32601)
  assert.equal((await failure('nonsense')).code, -32601)
})

test('wrong parameters are -32602', async () => {
  assert.equal((await failure('eth_getBalance')).code, -32602)
  assert.equal((await failure('eth_getBalance', '0x12', 'latest')).code, -32602)
  assert.equal((await failure('eth_getBlockByNumber', 'newest', false)).code, -32602)
  assert.equal((await failure('eth_sendRawTransaction', 'no hex')).code, -32602)
})

test('malformed JSON is -32700 with a null id', async () => {
  for (const body of ['{', '{"jsonrpc":"2.0",', 'hello', '']) {
    const { id, error } = await post(body)
    assert.equal(error.code, isAnvil ? -32600 : -32700, body)
    assert.equal(id, null)
  }
})

test('JSON that is no request is -32600', async () => {
  const { error } = await post('{"id":1}')
  assert.equal(error.code, -32600)
})
