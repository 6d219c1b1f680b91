// The explorer's pages in a browser: what they say, what they weigh, and that they work by keyboard.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { parseEther } from 'viem'
import { account } from '../lib/accounts.mjs'
import { artifact } from '../lib/artifacts.mjs'
import { close, launch, open, skip } from '../lib/browser.mjs'
import { client, deploy, succeeded, walletOf } from '../lib/viem.mjs'

const options = { skip }
const sender = account(2)
const wallet = walletOf(sender)
const weightMax = 200_000
let token
let receipt

before(async () => {
  if (skip) return
  await launch()
  token = await deploy(wallet, artifact('Token'), ['<b>Bold</b>', 'B&<i>', parseEther('1000')])
  const { abi } = artifact('Token')
  const transfer = { address: token, abi, functionName: 'transfer', args: [account(5).address, parseEther('12.5')] }
  receipt = await succeeded(await wallet.writeContract(transfer))
})

after(close)

test('every page loads clean and light', options, async () => {
  const paths = [
    '/', '/blocks', '/txs', `/block/${receipt.blockNumber}`, `/tx/${receipt.transactionHash}`,
    `/address/${sender.address}`, `/address/${token}`, `/token/${token}`, '/pool', '/validators',
  ]
  for (const path of paths) {
    const { page, response, weight, check, close: done } = await open(path)
    assert.equal(response.status(), 200, path)
    assert.equal(await page.locator('h1').count(), 1, path)
    await page.waitForTimeout(150)
    check()
    assert.ok(weight() < weightMax, `${path} weighs ${weight()} bytes`)
    await done()
  }
})

test('nothing is wider than a phone', options, async () => {
  for (const path of ['/', `/block/${receipt.blockNumber}`, `/tx/${receipt.transactionHash}`, `/address/${token}`, `/token/${token}`]) {
    const { page, close: done } = await open(path, { viewport: { width: 360, height: 740 } })
    const width = await page.evaluate(() => document.documentElement.scrollWidth)
    assert.ok(width <= 360, `${path} is ${width} px wide`)
    await done()
  }
})

test('a transfer of a token in words', options, async () => {
  const { page, check, close: done } = await open(`/tx/${receipt.transactionHash}`)
  const text = await page.locator('main').innerText()
  assert.match(text, /succeeded/)
  assert.match(text, /transfer\(address,uint256\)/)
  assert.match(text, /12\.5/)
  assert.match(text, /B&<i>/)
  assert.match(text, /State changes/)
  assert.equal(await page.locator('main i i, main b b').count(), 0, 'a symbol is no markup')
  check()
  await done()
})

test('a token, its holders and its transfers', options, async () => {
  const { page, check, close: done } = await open(`/token/${token}`)
  const text = await page.locator('main').innerText()
  assert.match(text, /<b>Bold<\/b>/)
  assert.match(text, /987\.5/)
  assert.match(text, /1\.2 %/)
  check()
  await done()
})

test('an ABI makes a contract readable', options, async () => {
  const { page, check, close: done } = await open(`/address/${token}`)
  await page.locator('textarea[name=abi]').fill(JSON.stringify(artifact('Token')))
  await page.locator('form.abi button').click()
  await page.waitForURL(/#contract$/)
  const form = page.locator('form.call', { hasText: 'balanceOf' })
  await form.locator('input[name=arg0]').fill(account(5).address)
  await form.locator('button').click()
  await form.locator('.answer', { hasText: '12500000000000000000' }).waitFor()
  await form.locator('input[name=arg0]').fill('nobody')
  await form.locator('button').click()
  await form.locator('.answer', { hasText: 'is no address' }).waitFor()
  check()
  await done()
})

test('the search field finds, and says when it does not', options, async () => {
  const search = async (text) => {
    const opened = await open('/')
    await opened.page.locator('#q').fill(text)
    await Promise.all([opened.page.waitForNavigation(), opened.page.keyboard.press('Enter')])
    return opened
  }
  for (const [text, path] of [
    [String(receipt.blockNumber), `/block/${receipt.blockNumber}`],
    [receipt.transactionHash, `/tx/${receipt.transactionHash}`],
    [receipt.blockHash, `/block/${receipt.blockHash}`],
    [sender.address, `/address/${sender.address}`],
  ]) {
    const { page, check, close: done } = await search(text)
    assert.equal(new URL(page.url()).pathname, path)
    check()
    await done()
  }
  const { page, check, close: done } = await search('<script>alert(1)</script>')
  assert.match(await page.locator('h1').innerText(), /No such/)
  assert.match(await page.locator('main').innerText(), /<script>alert/)
  // The browser notes the status itself.
  check({ errorsExpected: 1 })
  await done()
})

test('the keyboard reaches everything', options, async () => {
  const { page, check, close: done } = await open('/')
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip')
  const reached = []
  for (let step = 0; step < 9; step++) {
    await page.keyboard.press('Tab')
    reached.push(await page.evaluate(() => {
      const { outlineStyle } = getComputedStyle(document.activeElement)
      return [document.activeElement.textContent.trim() || document.activeElement.id, outlineStyle]
    }))
  }
  const names = reached.map(([name]) => name)
  for (const name of ['Overview', 'Blocks', 'Pool', 'Validators', 'q', 'Search']) assert.ok(names.includes(name), `${name}: ${names}`)
  assert.ok(reached.every(([, outline]) => outline !== 'none'), 'what has the focus is seen to have it')
  check()
  await done()
})

test('a short hash is copied whole', options, async () => {
  const { page, close: done } = await open(`/block/${receipt.blockNumber}`)
  const copied = await page.evaluate((hash) => {
    const link = document.querySelector(`a[href="/tx/${hash}"]`)
    getSelection().selectAllChildren(link)
    return [String(getSelection()).replaceAll(/\s/g, ''), link.getBoundingClientRect().width]
  }, receipt.transactionHash)
  assert.equal(copied[0], receipt.transactionHash)
  assert.ok(copied[1] < 200, 'and it is shown short')
  await done()
})

test('without scripts it works as well', options, async () => {
  const { page, close: done } = await open('/', { javaScriptEnabled: false })
  await client.getBlockNumber()
  assert.ok((await page.locator('#newest tbody tr').count()) > 1)
  await page.locator('#q').fill('1')
  await page.locator('.search button').click()
  assert.equal(new URL(page.url()).pathname, '/block/1')
  await done()
})
