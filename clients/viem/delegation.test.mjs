// EIP-7702 (type 4): an ordinary account gets code, uses it and drops it again.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { concat, parseEventLogs, zeroAddress } from 'viem'
import { account } from '../lib/accounts.mjs'
import { artifact } from '../lib/artifacts.mjs'
import { client, deploy, succeeded, walletOf } from '../lib/viem.mjs'

// A funded development account: a node may hold back a reserve in delegated accounts,
// so one with a small balance could not spend.
const authority = account(6)
const sponsor = account(7)
const asAuthority = walletOf(authority)
const asSponsor = walletOf(sponsor)
const { abi, bytecode } = artifact('Batch')
const codeOf = (address) => client.getCode({ address })

let batch

before(async () => {
  batch = await deploy(asSponsor, { abi, bytecode })
})

async function clear() {
  const authorization = await asAuthority.signAuthorization({ contractAddress: zeroAddress })
  await succeeded(await asSponsor.sendTransaction({ to: authority.address, authorizationList: [authorization] }))
}

after(clear)

test('a sponsor sends the authorization and calls the account in one transaction', async () => {
  const nonce = await client.getTransactionCount({ address: authority.address })
  const receivers = [`0x${'71'.repeat(20)}`, `0x${'72'.repeat(20)}`]
  const was = await Promise.all(receivers.map((address) => client.getBalance({ address })))
  const authorization = await asAuthority.signAuthorization({ contractAddress: batch })
  const hash = await asSponsor.writeContract({
    address: authority.address,
    abi,
    functionName: 'execute',
    args: [receivers.map((to, i) => ({ to, value: BigInt(i + 1), data: '0x' }))],
    authorizationList: [authorization],
  })
  const receipt = await succeeded(hash)
  assert.equal(receipt.type, 'eip7702')
  const [event] = parseEventLogs({ abi, logs: receipt.logs })
  assert.deepEqual(event.args, { account: authority.address, sender: sponsor.address, calls: 2n })

  const now = await Promise.all(receivers.map((address) => client.getBalance({ address })))
  assert.deepEqual(now, [was[0] + 1n, was[1] + 2n])
  assert.equal((await codeOf(authority.address)).toLowerCase(), concat(['0xef0100', batch]).toLowerCase())
  assert.equal(await client.getTransactionCount({ address: authority.address }), nonce + 1)

  const transaction = await client.getTransaction({ hash })
  assert.equal(transaction.type, 'eip7702')
  const [listed] = transaction.authorizationList
  assert.equal(listed.address.toLowerCase(), batch)
  assert.equal(listed.nonce, authorization.nonce)
  assert.equal(BigInt(listed.r), BigInt(authorization.r))
})

test('a delegated account still sends ordinary transactions', async () => {
  await succeeded(await asAuthority.sendTransaction({ to: sponsor.address, value: 1n }))
})

test('the zero address takes the code away', async () => {
  await clear()
  assert.equal(await codeOf(authority.address), undefined)
})

test('an account can authorize itself: its own nonce counts first', async () => {
  const authorization = await asAuthority.signAuthorization({ contractAddress: batch, executor: 'self' })
  const nonce = await client.getTransactionCount({ address: authority.address })
  assert.equal(authorization.nonce, nonce + 1)
  await succeeded(await asAuthority.sendTransaction({ to: authority.address, authorizationList: [authorization] }))
  assert.equal(await client.getTransactionCount({ address: authority.address }), nonce + 2)
  assert.equal((await codeOf(authority.address)).toLowerCase(), concat(['0xef0100', batch]).toLowerCase())
})

test('an authorization with an old nonce is skipped, the transaction succeeds', async () => {
  await clear()
  const authorization = await asAuthority.signAuthorization({ contractAddress: batch, nonce: 0 })
  await succeeded(await asSponsor.sendTransaction({ to: sponsor.address, authorizationList: [authorization] }))
  assert.equal(await codeOf(authority.address), undefined)
})
