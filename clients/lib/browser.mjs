// A headless Chromium for the tests of pages; they are skipped, loudly, where there is none.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { url } from './rpc.mjs'

const candidates = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
export const executablePath = candidates.find((path) => existsSync(path))
export const skip = executablePath === undefined && 'there is no Chromium here: apt-get install chromium'
if (skip) console.error(`SKIPPED: ${skip}`)

let browser

export async function launch() {
  const { chromium } = await import('playwright-core')
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-quic'] })
}

export const close = () => browser?.close()

/**
 * A page that notes what no page of the explorer may do: write an error to the console, or ask another origin.
 * `check` asserts that it did not.
 */
export async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  const page = await context.newPage()
  const errors = []
  const foreign = []
  const weights = []
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) foreign.push(request.url())
  })
  page.on('requestfinished', async (request) => {
    const sizes = await request.sizes().catch(() => null)
    if (sizes) weights.push(sizes.responseBodySize + sizes.responseHeadersSize)
  })
  const response = await page.goto(url + path, { waitUntil: 'load' })
  return {
    page,
    response,
    weight: () => weights.reduce((sum, bytes) => sum + bytes, 0),
    check({ errorsExpected = 0 } = {}) {
      assert.equal(errors.length, errorsExpected, errors.join('\n'))
      assert.deepEqual(foreign, [])
    },
    close: () => context.close(),
  }
}
