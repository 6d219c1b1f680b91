// HTTP around JSON-RPC, as far as a page in a browser depends on it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { request, url } from '../lib/rpc.mjs'

const origin = 'https://dapp.example'

test('a page of another origin may call the node', async () => {
  const preflight = await fetch(url, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' },
  })
  assert.ok(preflight.ok, `status=${preflight.status}`)
  assert.ok(['*', origin].includes(preflight.headers.get('access-control-allow-origin')))
  assert.match(preflight.headers.get('access-control-allow-headers'), /\*|content-type/i)

  const answer = await fetch(url, {
    method: 'POST',
    headers: { origin, 'content-type': 'application/json' },
    body: JSON.stringify(request('eth_chainId')),
  })
  assert.ok(['*', origin].includes(answer.headers.get('access-control-allow-origin')))
  assert.match(answer.headers.get('content-type'), /^application\/json/)
})
