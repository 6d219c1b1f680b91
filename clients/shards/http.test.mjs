// What stands before a shard's JSON-RPC: its path, who may call, subscriptions, and transactions of another chain.

import assert from 'node:assert/strict'
import http from 'node:http'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { account } from '../lib/accounts.mjs'
import { eventually } from '../lib/eventually.mjs'
import { request, url as relayUrl } from '../lib/rpc.mjs'
import { shard } from '../lib/shards.mjs'

const { WebSocket } = createRequire(import.meta.url)('ws')
const [one, two] = [shard(1), shard(2)]
const origin = 'https://dapp.example'
const to = account(3).address

const post = (path, headers = {}) =>
  fetch(relayUrl + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(request('eth_chainId')),
  })

/** The status of a request with this Host, which `fetch` does not let a caller choose. */
const statusFor = (host, headers = {}) => new Promise((resolve, reject) => {
  const { hostname, port } = new URL(relayUrl)
  const sent = http.request({
    hostname, port, path: '/shard/1', method: headers.upgrade ? 'GET' : 'POST',
    headers: { host, 'content-type': 'application/json', ...headers },
  })
  sent.on('response', (response) => { response.resume(); resolve(response.statusCode) })
  sent.on('upgrade', (response, socket) => { socket.destroy(); resolve(response.statusCode) })
  sent.on('error', reject)
  sent.end(headers.upgrade ? undefined : JSON.stringify(request('eth_chainId')))
})

test('a number without a shard is not found', async () => {
  for (const path of ['/shard/3', '/shard/0', '/shard/-1', '/shard/x', '/shard/', '/shard/4294967296', '/shard/1/eth', '/shard/1/2']) {
    const response = await post(path)
    assert.equal(response.status, 404, path)
    assert.match(await response.text(), /no such shard/, path)
  }
  const { result } = await post('/shard/1/').then((response) => response.json())
  assert.equal(Number(result), one.chainId, 'a slash at the end is nothing')
})

test('a page of another origin may call a shard', async () => {
  const preflight = await fetch(one.url, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' },
  })
  assert.ok(preflight.ok, `status=${preflight.status}`)
  assert.ok(['*', origin].includes(preflight.headers.get('access-control-allow-origin')))
  const answer = await post('/shard/1', { origin })
  assert.ok(['*', origin].includes(answer.headers.get('access-control-allow-origin')))
  assert.equal(Number((await answer.json()).result), one.chainId)
})

test('another name for this machine is refused, on a shard as elsewhere', async () => {
  const upgrade = {
    connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  }
  assert.equal(await statusFor('rebound.example'), 403)
  assert.equal(await statusFor('rebound.example', upgrade), 403)
  assert.equal(await statusFor('localhost'), 200)
  assert.equal(await statusFor('localhost', upgrade), 101)
})

test('a transaction for one shard is refused by the other and by the relay chain', async () => {
  const sender = account(2)
  const nonce = await two.client.getTransactionCount({ address: sender.address })
  const prepared = await two.client.prepareTransactionRequest({ account: sender, to, value: 1n, nonce })
  const raw = await sender.signTransaction({ ...prepared, chainId: two.chainId })
  const before = await one.client.getTransactionCount({ address: sender.address })
  await assert.rejects(one.client.sendRawTransaction({ serializedTransaction: raw }), /chain/i)
  const relay = await fetch(relayUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request('eth_sendRawTransaction', [raw])),
  }).then((response) => response.json())
  assert.match(relay.error.message, /chain/i)
  await two.succeeded(await two.client.sendRawTransaction({ serializedTransaction: raw }))
  assert.equal(await one.client.getTransactionCount({ address: sender.address }), before)
})

test('a batch is answered as on any chain', async () => {
  const batch = [request('eth_chainId'), request('eth_blockNumber'), request('no_such')]
  const answers = await fetch(one.url, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(batch),
  }).then((response) => response.json())
  const of = (id) => answers.find((answer) => answer.id === id)
  assert.equal(Number(of(batch[0].id).result), one.chainId)
  assert.ok(Number(of(batch[1].id).result) >= 0)
  assert.equal(of(batch[2].id).error.code, -32601)
})

test('new heads of a shard come over its WebSocket, each the child of the one before', async () => {
  const { wsClient, close } = one.webSocketClient()
  assert.equal(await wsClient.getChainId(), one.chainId)
  const heads = []
  const { unsubscribe } = await wsClient.transport.subscribe({
    params: ['newHeads'],
    onData: ({ result }) => heads.push(result),
    onError: (error) => { throw error },
  })
  const sent = await one.succeeded(await one.walletOf(account(4)).sendTransaction({ to, value: 1n }))
  await eventually('the block and two more', () => Number(heads.at(-1)?.number ?? 0) >= Number(sent.blockNumber) + 2)
  for (let i = 1; i < heads.length; i++) assert.equal(heads[i].parentHash, heads[i - 1].hash)
  assert.ok(heads.some(({ hash }) => hash === sent.blockHash))
  const { hash } = await one.client.getBlock({ blockNumber: BigInt(heads[0].number) })
  assert.equal(hash, heads[0].hash, 'a head of this shard, not of another chain')
  await unsubscribe()
  await close()
})

test('the WebSocket of a shard that is not here is not opened', async () => {
  const socket = new WebSocket(`${relayUrl.replace(/^http/, 'ws')}/shard/9`)
  const status = await new Promise((resolve, reject) => {
    socket.on('unexpected-response', (_, response) => resolve(response.statusCode))
    socket.on('open', () => reject(new Error('it was opened')))
    socket.on('error', reject)
  })
  assert.equal(status, 404)
  socket.terminate()
})
