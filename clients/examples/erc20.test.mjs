// The example of the README does what it says.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { url } from '../lib/rpc.mjs'

test('deploys, transfers and prints the balances', async () => {
  const script = fileURLToPath(new URL('erc20.mjs', import.meta.url))
  const env = { ...process.env, RPC_URL: url }
  const { stdout } = await promisify(execFile)(process.execPath, [script], { env, timeout: 30_000 })
  assert.match(stdout, /^token 0x[0-9a-f]{40}$/m)
  assert.match(stdout, /^transfer success in block \d+/m)
  assert.match(stdout, /^alice 975 EXA$/m)
  assert.match(stdout, /^bob 25 EXA$/m)
})
