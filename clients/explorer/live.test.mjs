// The overview while the chain works: it moves by itself, at most five times a second.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { account } from '../lib/accounts.mjs'
import { close, launch, open, skip } from '../lib/browser.mjs'
import { succeeded, walletOf } from '../lib/viem.mjs'

const options = { skip }
const wallet = walletOf(account(3))

before(() => skip || launch())
after(close)

test('the pipeline moves under load', options, async () => {
  const { page, check, close: done } = await open('/')
  await page.evaluate(() => {
    window.updates = []
    document.addEventListener('htmx:sseMessage', (event) => window.updates.push([event.target.id, performance.now()]))
  })
  // Nothing may be verified yet.
  const verified = () => page.locator('.lane.s4 .at').innerText().then((text) => Number(text) || 0)
  const first = await verified()
  const started = Date.now()
  const hashes = []
  // A busy machine draws rarely; so it goes on until enough was drawn, and how often is judged below.
  const drawnSoFar = () => page.evaluate(() => window.updates.filter(([part]) => part === 'pipeline').length)
  const enough = async () => Date.now() - started > 3_000 && (await drawnSoFar()) >= 4
  while (Date.now() - started < 30_000 && !(await enough())) {
    hashes.push(await wallet.sendTransaction({ to: account(5).address, value: 1n }))
  }
  await succeeded(hashes.at(-1))
  await page.waitForFunction((least) => Number(document.querySelector('.lane.s4 .at').innerText) > least, first)
  const { updates, ms } = await page.evaluate(() => ({ updates: window.updates, ms: performance.now() }))
  const drawn = updates.filter(([part]) => part === 'pipeline').length
  assert.ok(drawn >= 4, `${drawn} updates`)
  assert.ok(drawn <= Math.ceil(ms / 200) + 2, `${drawn} updates in ${ms} ms`)
  // Tables are drawn less often than the pipeline.
  await page.waitForFunction(() => /transfer/.test(document.querySelector('#newest').innerText))
  assert.ok(Number(await page.locator('.strands .settled').getAttribute('d').then((path) => path.length)) > 10)
  check()
  await done()
})

test('a hidden page rests and a seen one follows again', options, async () => {
  const { page, check, close: done } = await open('/')
  const hide = (hidden) => page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { value, configurable: true })
    document.dispatchEvent(new Event('visibilitychange'))
  }, hidden)
  await page.waitForTimeout(500)
  await hide(true)
  await page.evaluate(() => { document.getElementById('pipeline').dataset.old = 'yes' })
  const before = await page.locator('.lane.s0 .at').innerText()
  await succeeded(await wallet.sendTransaction({ to: account(5).address, value: 1n }))
  await page.waitForTimeout(600)
  assert.equal(await page.locator('.lane.s0 .at').innerText(), before)
  await hide(false)
  await page.waitForFunction((old) => Number(document.querySelector('.lane.s0 .at').innerText) > Number(old), before)
  check()
  await done()
})
