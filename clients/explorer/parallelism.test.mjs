// A contract that everybody has to pass through one by one: its block's page says where and what to do.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { encodeFunctionData, parseEther, parseGwei } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { account } from '../lib/accounts.mjs'
import { artifact } from '../lib/artifacts.mjs'
import { close, launch, open, skip } from '../lib/browser.mjs'
import { eventually } from '../lib/eventually.mjs'
import { call, chainId } from '../lib/rpc.mjs'
import { deploy, succeeded, walletOf } from '../lib/viem.mjs'

const options = { skip }
const wallet = walletOf(account(4))
const visitors = Array.from({ length: 60 }, () => privateKeyToAccount(generatePrivateKey()))

before(() => skip || launch())
after(close)

/** Sends one call of every visitor in one batch, so that one block holds many of them. */
async function pass(turnstile, nonce) {
  const { abi } = artifact('Turnstile')
  const data = encodeFunctionData({ abi, functionName: 'pass', args: [300n] })
  const fees = { maxFeePerGas: parseGwei('50'), maxPriorityFeePerGas: parseGwei('1') }
  const sign = (visitor) => visitor.signTransaction({ chainId, type: 'eip1559', nonce, to: turnstile, data, gas: 400_000n, ...fees })
  const raw = await Promise.all(visitors.map(sign))
  await call('headway_sendRawTransactions', raw)
}

test('the page of a block names the storage slot that held it up', options, async () => {
  for (const [index, visitor] of visitors.entries()) {
    const hash = await wallet.sendTransaction({ to: visitor.address, value: parseEther('1') })
    if (index === visitors.length - 1) await succeeded(hash)
  }
  const turnstile = await deploy(wallet, artifact('Turnstile'))
  await pass(turnstile, 0)
  const height = await eventually('a block of many visitors', () => crowded(turnstile))
  const { page, check, close: done } = await open(`/block/${height}`)
  const text = await page.locator('#parallelism').innerText()
  assert.match(text, /wait for/)
  const row = page.locator('#parallelism .heat tbody tr').first()
  assert.match(await row.innerText(), /counter|variable/)
  assert.equal((await row.locator('a').getAttribute('href')).toLowerCase(), `/address/${turnstile}`)
  assert.match(await row.locator('td').nth(1).innerText(), /^[02]$/, 'the storage slot')
  assert.match(await page.locator('#parallelism .advice').innerText(), /Keep a counter per user/)
  check()
  await done()
})

/** The height of a block in which most visitors passed. */
async function crowded(turnstile) {
  const newest = Number(await call('eth_blockNumber'))
  for (let height = newest; height > newest - 40 && height > 0; height--) {
    const { transactions } = await call('eth_getBlockByNumber', `0x${height.toString(16)}`, true)
    if (transactions.filter(({ to }) => to?.toLowerCase() === turnstile.toLowerCase()).length > visitors.length / 2) return height
  }
  return undefined
}
