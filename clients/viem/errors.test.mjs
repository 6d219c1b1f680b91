// What is refused, with geth's JSON-RPC codes: libraries decide by them what to do next.

import assert from 'node:assert/strict'
import { before, beforeEach, test } from 'node:test'
import { concat, keccak256, numberToHex, parseEther, parseGwei, parseSignature, toRlp, trim } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { account } from '../lib/accounts.mjs'
import { assertRejected, call, chainId, failure, isAnvil, post } from '../lib/rpc.mjs'
import { client, succeeded, walletOf } from '../lib/viem.mjs'

const sender = account(2)
const wallet = walletOf(sender)
const to = account(5).address
const fees = { gas: 21_000n, maxFeePerGas: parseGwei('50'), maxPriorityFeePerGas: 1n }
let nonce

before(async () => {
  await succeeded(await wallet.sendTransaction({ to, value: 1n }))
})

beforeEach(async () => {
  nonce = await client.getTransactionCount({ address: sender.address })
})

/** Signs the fields of a type 2 transaction as they are. */
async function signFields(fields) {
  const { r, s, yParity } = parseSignature(await sender.sign({ hash: keccak256(concat(['0x02', toRlp(fields)])) }))
  return concat(['0x02', toRlp([...fields, yParity ? '0x01' : '0x', trim(r), trim(s)])])
}

const sign = (request, signer = sender) =>
  signer.signTransaction({ type: 'eip1559', chainId, nonce, to, value: 1n, ...fees, ...request })

/** Sends raw bytes that must be refused, and checks that no trace of them stays behind. */
async function refused(raw, pattern) {
  assertRejected(await failure('eth_sendRawTransaction', raw), pattern)
  assert.equal(await call('eth_getTransactionByHash', keccak256(raw)), null)
}

test('nonce too low', async () => {
  await refused(await sign({ nonce: nonce - 1 }), /nonce too low/i)
})

test('insufficient funds', async () => {
  const poor = privateKeyToAccount(generatePrivateKey())
  await refused(await sign({ nonce: 0 }, poor), /insufficient funds/i)
  await refused(await sign({ value: parseEther('99999999') }), /insufficient funds/i)
})

test('another chain id', async () => {
  await refused(await sign({ chainId: chainId + 1 }), /chain.?id/i)
})

test('not enough gas to begin with', async () => {
  await refused(await sign({ gas: 20_999n }), /intrinsic gas/i)
})

test('more gas than a block has', async () => {
  await refused(await sign({ gas: 1n << 40n }), /gas/i)
})

test('a tip above the fee cap', async () => {
  // viem does not build such a transaction, so its bytes are made by hand.
  const fields = [chainId, nonce, 10n ** 10n, 10n ** 9n, 21_000n].map((n) => numberToHex(n))
  const unsigned = [...fields, to, '0x01', '0x', []]
  await refused(await signFields(unsigned), /priority fee|tip/i)
})

test('the same transaction twice', async () => {
  // An account of its own with a gap in its nonces, so that the transaction keeps waiting.
  const fresh = privateKeyToAccount(generatePrivateKey())
  await succeeded(await wallet.sendTransaction({ to: fresh.address, value: parseEther('1') }))
  const raw = await sign({ nonce: 3 }, fresh)
  await call('eth_sendRawTransaction', raw)
  assertRejected(await failure('eth_sendRawTransaction', raw), /already (known|imported)/i)
})

test('blob transactions (type 3) are not supported', async () => {
  const raw = await sign({
    type: 'eip4844',
    blobVersionedHashes: [`0x01${'ab'.repeat(31)}`],
    maxFeePerBlobGas: parseGwei('10'),
  })
  const error = await failure('eth_sendRawTransaction', raw)
  // Anvil knows blobs and only misses theirs.
  if (!isAnvil) assertRejected(error, /type not supported|blob/i)
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
  for (const body of ['{', '{"jsonrpc":"2.0",', 'hello']) {
    const { id, error } = await post(body)
    assert.equal(error.code, isAnvil ? -32600 : -32700, body)
    assert.equal(id, null)
  }
})

test('JSON that is no request is -32600', async () => {
  const { error } = await post('{"id":1}')
  assert.equal(error.code, -32600)
})
