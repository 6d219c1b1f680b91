// An ERC-20 from deployment to logs, the first thing anyone does with a chain.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { getContractAddress, getContract, parseEther, parseEventLogs, zeroAddress } from 'viem'
import { account } from '../lib/accounts.mjs'
import { artifact } from '../lib/artifacts.mjs'
import { client, succeeded, walletOf } from '../lib/viem.mjs'

const alice = account(0)
const bob = account(1)
const wallet = walletOf(alice)
const { abi, bytecode } = artifact('Token')
const supply = parseEther('1000')

let token
let deployment

before(async () => {
  const nonce = await client.getTransactionCount({ address: alice.address })
  const hash = await wallet.deployContract({ abi, bytecode, args: ['Token', 'TKN', supply] })
  deployment = await succeeded(hash)
  assert.equal(
    deployment.contractAddress,
    getContractAddress({ from: alice.address, nonce: BigInt(nonce) }).toLowerCase(),
  )
  token = getContract({ address: deployment.contractAddress, abi, client: { public: client, wallet } })
})

test('the deployed token has code, a name and its supply', async () => {
  assert.equal(await token.read.name(), 'Token')
  assert.equal(await token.read.symbol(), 'TKN')
  assert.equal(await token.read.decimals(), 18)
  assert.equal(await token.read.totalSupply(), supply)
  assert.equal(await token.read.balanceOf([alice.address]), supply)
  assert.ok((await client.getCode({ address: token.address })).length > 1000)
  assert.equal(await client.getCode({ address: bob.address }), undefined)
})

test('a transfer moves the balance and leaves a receipt and a log', async () => {
  const amount = parseEther('12')
  const sent = await token.read.balanceOf([bob.address])
  const { request, result } = await client.simulateContract({
    account: alice, address: token.address, abi, functionName: 'transfer', args: [bob.address, amount],
  })
  assert.equal(result, true)

  const hash = await wallet.writeContract(request)
  const receipt = await succeeded(hash)
  assert.equal(receipt.from, alice.address.toLowerCase())
  assert.equal(receipt.to, token.address)
  assert.equal(receipt.contractAddress, null)
  assert.equal(receipt.type, 'eip1559')
  assert.ok(receipt.gasUsed > 21_000n && receipt.gasUsed <= receipt.cumulativeGasUsed)
  assert.equal(await token.read.balanceOf([bob.address]), sent + amount)

  const [log] = parseEventLogs({ abi, eventName: 'Transfer', logs: receipt.logs })
  assert.deepEqual(log.args, { from: alice.address, to: bob.address, value: amount })
  assert.equal(log.address, token.address)
  assert.equal(log.transactionHash, hash)
  assert.equal(log.blockHash, receipt.blockHash)
  assert.equal(log.removed, false)
})

test('the transaction and its block point at each other', async () => {
  const hash = await token.write.transfer([bob.address, 1n])
  const receipt = await succeeded(hash)
  const transaction = await client.getTransaction({ hash })
  assert.equal(transaction.blockHash, receipt.blockHash)
  assert.equal(transaction.blockNumber, receipt.blockNumber)
  assert.equal(transaction.transactionIndex, receipt.transactionIndex)
  const block = await client.getBlock({ blockHash: receipt.blockHash, includeTransactions: true })
  assert.equal(block.number, receipt.blockNumber)
  assert.deepEqual(block.transactions[receipt.transactionIndex], transaction)
})

test('getLogs finds the transfers by address, topic and range', async () => {
  const range = { address: token.address, fromBlock: deployment.blockNumber, toBlock: 'latest' }
  const event = abi.find((item) => item.type === 'event' && item.name === 'Transfer')
  const minted = await client.getLogs({ ...range, event, args: { from: zeroAddress } })
  assert.equal(minted.length, 1)
  assert.equal(minted[0].transactionHash, deployment.transactionHash)
  const toBob = await client.getLogs({ ...range, event, args: { to: bob.address } })
  const total = toBob.reduce((sum, { args }) => sum + args.value, 0n)
  assert.equal(total, await token.read.balanceOf([bob.address]))
  const byHash = await client.getLogs({ address: token.address, blockHash: deployment.blockHash })
  assert.equal(byHash.length, 1)
  const elsewhere = await client.getLogs({ ...range, address: bob.address })
  assert.deepEqual(elsewhere, [])
})

test('state is readable at the block before a change', async () => {
  const was = await token.read.balanceOf([bob.address])
  const { blockNumber } = await succeeded(await token.write.transfer([bob.address, 5n]))
  assert.equal(await token.read.balanceOf([bob.address], { blockNumber }), was + 5n)
  assert.equal(await token.read.balanceOf([bob.address], { blockNumber: blockNumber - 1n }), was)
})

test('approve and transferFrom by another account', async () => {
  await succeeded(await token.write.approve([bob.address, 7n]))
  const asBob = walletOf(bob)
  const spend = { address: token.address, abi, functionName: 'transferFrom', args: [alice.address, bob.address, 7n] }
  const was = await token.read.balanceOf([bob.address])
  await succeeded(await asBob.writeContract(spend))
  assert.equal(await token.read.balanceOf([bob.address]), was + 7n)
  await assert.rejects(client.simulateContract({ ...spend, account: bob }), /ERC20InsufficientAllowance/)
})
