// The node's own accounts: a development chain signs and sends for them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createWalletClient, http, parseSignature, recoverMessageAddress, recoverTypedDataAddress,
} from 'viem'
import { account } from '../lib/accounts.mjs'
import { artifact } from '../lib/artifacts.mjs'
import { call, chainId, failure, url } from '../lib/rpc.mjs'
import { chain, client, deploy, succeeded, walletOf } from '../lib/viem.mjs'

const owner = account(4)
const spender = account(5)
// An address instead of a private key: the node has to sign.
const remote = createWalletClient({ account: owner.address, chain, transport: http(url, { retryCount: 0 }) })

test('the node lists the ten accounts of the mnemonic', async () => {
  const listed = await call('eth_accounts')
  const expected = Array.from({ length: 10 }, (_, i) => account(i).address.toLowerCase())
  assert.deepEqual(listed.map((address) => address.toLowerCase()), expected)
})

test('eth_signTypedData_v4 makes a permit that the token accepts', async () => {
  const { abi, bytecode } = artifact('Token')
  const token = await deploy(walletOf(owner), { abi, bytecode }, ['Token', 'TKN', 1_000n])
  const typedData = {
    domain: { name: 'Token', version: '1', chainId, verifyingContract: token },
    types: {
      Permit: [
        { name: 'owner', type: 'address' },
        { name: 'spender', type: 'address' },
        { name: 'value', type: 'uint256' },
        { name: 'nonce', type: 'uint256' },
        { name: 'deadline', type: 'uint256' },
      ],
    },
    primaryType: 'Permit',
    message: { owner: owner.address, spender: spender.address, value: 99n, nonce: 0n, deadline: 2n ** 40n },
  }
  const signature = await remote.signTypedData(typedData)
  assert.equal(signature, await owner.signTypedData(typedData), 'RFC 6979: the same key signs the same')
  assert.equal(await recoverTypedDataAddress({ ...typedData, signature }), owner.address)

  const { v, r, s } = parseSignature(signature)
  const args = [owner.address, spender.address, 99n, 2n ** 40n, Number(v), r, s]
  await succeeded(await walletOf(spender).writeContract({ address: token, abi, functionName: 'permit', args }))
  const allowance = await client.readContract({
    address: token, abi, functionName: 'allowance', args: [owner.address, spender.address],
  })
  assert.equal(allowance, 99n)
})

test('personal_sign signs a message', async () => {
  const message = 'headway'
  const signature = await remote.signMessage({ message })
  assert.equal(await recoverMessageAddress({ message, signature }), owner.address)
})

test('eth_sendTransaction signs and sends', async () => {
  const receiver = `0x${'4e'.repeat(20)}`
  const was = await client.getBalance({ address: receiver })
  const hash = await remote.sendTransaction({ to: receiver, value: 3n })
  const receipt = await succeeded(hash)
  assert.equal(receipt.from, owner.address.toLowerCase())
  assert.equal(await client.getBalance({ address: receiver }), was + 3n)
})

test('the node signs for no one else', async () => {
  const stranger = `0x${'99'.repeat(20)}`
  await failure('eth_sign', stranger, '0x1234')
  await failure('eth_sendTransaction', { from: stranger, to: owner.address, value: '0x0' })
})
