// JSON-RPC without a client in between: what the tests of codes and shapes need.

import assert from 'node:assert/strict'

export const url = process.env.RPC_URL ?? 'http://127.0.0.1:8545'
export const wsUrl = url.replace(/^http/, 'ws')

/** Posts `body` as it is and returns the parsed answer, whatever its HTTP status. */
export async function post(body) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal: AbortSignal.timeout(20_000),
  })
  const text = await response.text()
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`the answer is not JSON: status=${response.status} body=${text.slice(0, 200)}`)
  }
}

let nextId = 1
export const request = (method, params = []) => ({ jsonrpc: '2.0', id: nextId++, method, params })

/** The result of a call; throws if the node answers with an error. */
export async function call(method, ...params) {
  const answer = await post(request(method, params))
  if (answer.error) throw Object.assign(new Error(`${method}: ${answer.error.message}`), answer.error)
  return answer.result
}

/** The error of a call that must fail: { code, message, data }. */
export async function failure(method, ...params) {
  const answer = await post(request(method, params))
  assert.ok(answer.error, `${method} must fail, got ${JSON.stringify(answer.result)}`)
  return answer.error
}

// Anvil stands in for the node while the tests themselves are developed.
export const isAnvil = /anvil/i.test(await call('web3_clientVersion'))

/** Asserts geth's code for a transaction that the pool refuses; anvil mixes in one of its own. */
export function assertRejected({ code, message }, pattern) {
  assert.ok(code === -32000 || (isAnvil && code === -32003), `code=${code} message=${message}`)
  assert.match(message, pattern)
}

export const chainId = Number(await call('eth_chainId'))
