// The page `/shards` while both shards work: blocks on their way, heads that rise, and room on a phone; and the pages of
// a shard's own chain.

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
  page.locator('[id^=head-] b.n').allInnerTexts().then((texts) => texts.map((text) => Number(text.replaceAll(/\D/g, ''))))

/** Counts the redrawn parts of a page by their names. */
const countUpdates = (page) => page.evaluate(() => {
  window.updates = {}
  document.addEventListener('htmx:sseMessage', ({ target }) => { window.updates[target.id] = (window.updates[target.id] ?? 0) + 1 })
})

test('it lists the shards, what is on its way, and their final heads rise', options, async () => {
  const { page, response, weight, check, close: done } = await open('/shards')
  assert.equal(response.status(), 200)
  assert.equal(await page.locator('h1').count(), 1)
  assert.equal(await page.locator('a[href="/shards"][aria-current=page]').count(), 1)
  const names = await page.locator('section h2').allInnerTexts()
  for (const id of [1, 2]) assert.ok(names.some((name) => name.includes(`Shard ${id}`)), `${names}`)
  const first = await finalShown(page)
  assert.equal(first.length, 2)
  // Listed every second; each look may find a candidate on its way, or none. On a quiet machine votes on chunks and on
  // validity come in one relay block, so that what is included is final at once.
  const seen = new Set()
  const rose = () => finalShown(page).then((now) => now.every((number, i) => number > first[i] + 2))
  const deadline = Date.now() + 60_000
  while (Date.now() < deadline && !(seen.size > 0 && (await rose()))) {
    for (const stage of await page.locator('tr.backed .pill, tr.included .pill').allInnerTexts()) seen.add(stage.trim())
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

test('each shard is drawn live, with its relay blocks, and in words and milliseconds', options, async () => {
  const { page, check, close: done } = await open('/shards')
  await countUpdates(page)
  const first = await finalShown(page)
  await page.waitForFunction(() => (window.updates['lane-1'] ?? 0) >= 5 && (window.updates['rows-2'] ?? 0) >= 3, null, { timeout: 60_000 })
  await page.waitForFunction((least) => Number(document.querySelector('#head-1 b.n').textContent) > least + 2, first[0], { timeout: 60_000 })
  const { updates, ms } = await page.evaluate(() => ({ updates: window.updates, ms: performance.now() }))
  assert.ok(updates['lane-1'] <= Math.ceil(ms / 200) + 2, `${updates['lane-1']} drawings in ${ms} ms`)
  const pathOf = (name) => page.locator(`#lane-1 .strands ${name}`).first().getAttribute('d')
  assert.ok((await pathOf('.settled')).length > 20, 'strands')
  assert.ok((await pathOf('.chance.taken')).length > 20, 'relay blocks')
  const names = await page.locator('#lane-1 .lane .name').allInnerTexts()
  assert.deepEqual(names.map((name) => name.trim()), ['collated', 'backed', 'included', 'final', 'relay'])
  // What the drawing shows, for those who do not see it.
  const label = await page.locator('#lane-1 .strands').getAttribute('aria-label')
  assert.match(label, /^Newest blocks of shard 1: collated \d+, backed \d+, included \d+, final \d+; \d+ in flight; \d+ relay blocks missed$/)
  // The same block in the table: milliseconds that rise, relay heights that do not fall.
  const row = await page.locator('#rows-1 tr.final').first().locator('td').allInnerTexts()
  const steps = row.slice(2, 5).map((cell) => cell.match(/^\+([\d.,]+) (ms|s)\s+(\d+)$/))
  assert.ok(steps.every(Boolean), `${row}`)
  const after = steps.map(([, time, unit]) => Number(time.replace(',', '')) * (unit === 's' ? 1000 : 1))
  assert.ok(after[0] <= after[1] && after[1] <= after[2], `${after}`)
  const heights = steps.map((step) => Number(step[3]))
  assert.ok(heights[0] < heights[1] && heights[1] <= heights[2], `${heights}`)
  check()
  await done()
})

test('a number leads to the pages of the shard itself', options, async () => {
  const { page, check, close: done } = await open('/shards')
  await page.getByRole('link', { name: 'its blocks' }).nth(1).click()
  assert.equal(new URL(page.url()).pathname, '/shard/2/')
  await countUpdates(page)
  await page.waitForFunction(() => (window.updates.pipeline ?? 0) >= 2 && window.updates.newest, null, { timeout: 30_000 })
  const names = await page.locator('.lane .name').allInnerTexts()
  assert.deepEqual(names.map((name) => name.trim()), ['collated', 'executed', 'backed', 'included', 'final'])
  const hash = (await segmentOf(2)).finalized.hash
  await page.locator('#q').fill(hash)
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')])
  assert.equal(new URL(page.url()).pathname, `/shard/2/block/${hash}`)
  const text = await page.locator('main').innerText()
  assert.match(text, /Collator/)
  await page.locator('table a[href^="/shard/2/tx/"]').first().click()
  assert.match(await page.locator('main').innerText(), /succeeded/)
  await page.locator('a[href="/shards"]').click()
  assert.equal(new URL(page.url()).pathname, '/shards')
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
    await countUpdates(page)
    // The parts of the other shard: this one's may be held.
    await page.waitForFunction(() => (window.updates['rows-1'] ?? 0) >= 3)
  }
  const region = page.getByRole('region', { name: 'Blocks of shard 2' })
  await region.evaluate((element) => { element.scrollLeft = 60; element.focus({ preventScroll: true }) })
  await redrawn()
  assert.equal(await region.evaluate((element) => document.activeElement === element), true, 'focus')
  assert.ok((await region.evaluate((element) => element.scrollLeft)) > 0, 'scroll')
  const select = () => {
    getSelection().selectAllChildren(document.querySelector('#head-2 .x'))
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
  assert.ok((await page.locator('tr.final').count()) >= 2)
  assert.equal(await page.locator('.strands').count(), 2)
  await done()
})
