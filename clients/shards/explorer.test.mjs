// The page `/shards` while both shards work: candidates on their way, heads that rise, and room on a phone.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { account } from '../lib/accounts.mjs'
import { close, launch, open, skip } from '../lib/browser.mjs'
import { segmentOf, shard } from '../lib/shards.mjs'

const options = { skip }
const to = account(1).address
const phone = { viewport: { width: 360, height: 740 } }
const weightMax = 200_000

let working = true
let load

/** Transfers on every shard until it is told to stop, one after the other, so that each block has one. */
async function work(chain) {
  const wallet = chain.walletOf(account(9))
  while (working) await chain.succeeded(await wallet.sendTransaction({ to, value: 1n }))
}

before(async () => {
  if (skip) return
  load = Promise.all([1, 2].map((id) => work(shard(id))))
  load.catch(() => {})
  await launch()
})

after(async () => {
  working = false
  await load
  await close()
})

const finalShown = (page) =>
  page.locator('tr.final td:first-of-type').allInnerTexts().then((texts) => texts.map((text) => Number(text.replaceAll(/\D/g, ''))))

test('it lists the shards, what is on its way, and their final heads rise', options, async () => {
  const { page, response, weight, check, close: done } = await open('/shards')
  assert.equal(response.status(), 200)
  assert.equal(await page.locator('h1').count(), 1)
  assert.equal(await page.locator('a[href="/shards"][aria-current=page]').count(), 1)
  const names = await page.locator('section h2').allInnerTexts()
  for (const id of [1, 2]) assert.ok(names.some((name) => name.includes(`Shard ${id}`)), `${names}`)
  const first = await finalShown(page)
  assert.equal(first.length, 2)
  // Drawn every second; each look may find a candidate on its way, or none. On a quiet machine votes on chunks and on
  // validity come in one relay block, so that what is included is final at once.
  const seen = new Set()
  const rose = () => finalShown(page).then((now) => now.every((number, i) => number > first[i] + 2))
  const deadline = Date.now() + 60_000
  while (Date.now() < deadline && !(seen.size > 0 && (await rose()))) {
    for (const stage of await page.locator('tr.backed th, tr.included th').allInnerTexts()) seen.add(stage.trim())
    await page.waitForTimeout(100)
  }
  assert.ok(seen.has('backed') || seen.has('included'), `seen: ${[...seen]}`)
  assert.ok(await rose(), `${first} rose to ${await finalShown(page)}`)
  for (const [i, id] of [1, 2].entries()) {
    assert.ok((await finalShown(page))[i] <= Number((await segmentOf(id)).finalized.number), 'no more than is final')
  }
  assert.ok(weight() < weightMax, `${weight()} bytes`)
  check()
  await done()
})

test('on a phone only the tables scroll', options, async () => {
  for (const colorScheme of ['light', 'dark']) {
    const { page, check, close: done } = await open('/shards', { ...phone, colorScheme })
    await page.waitForTimeout(1_500)
    const width = await page.evaluate(() => document.documentElement.scrollWidth)
    assert.ok(width <= 360, `${width} px wide`)
    check()
    await done()
  }
})

test('a redraw keeps where the reader is, and what is selected', options, async () => {
  const { page, check, close: done } = await open('/shards', phone)
  const redrawn = async () => {
    await page.evaluate(() => {
      window.redraws = 0
      document.addEventListener('htmx:afterRequest', () => { window.redraws += 1 })
    })
    await page.waitForFunction(() => window.redraws >= 3)
  }
  const region = page.getByRole('region', { name: 'Candidates of shard 2' })
  await region.evaluate((element) => { element.scrollLeft = 60; element.focus({ preventScroll: true }) })
  await redrawn()
  assert.equal(await region.evaluate((element) => document.activeElement === element), true, 'focus')
  assert.ok((await region.evaluate((element) => element.scrollLeft)) > 0, 'scroll')
  const select = () => {
    getSelection().selectAllChildren(document.querySelector('tr.final .x'))
    return String(getSelection())
  }
  const selected = await page.evaluate(select)
  await redrawn()
  assert.equal(await page.evaluate(() => String(getSelection())), selected, 'a hash can be copied')
  check()
  await done()
})

test('without scripts it is there as well', options, async () => {
  const { page, close: done } = await open('/shards', { javaScriptEnabled: false })
  assert.equal(await page.locator('tr.final').count(), 2)
  await done()
})
