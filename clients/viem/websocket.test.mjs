// The WebSocket itself: batches, errors and several subscriptions, without a client library.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import WebSocket from 'ws'
import { eventually } from '../lib/eventually.mjs'
import { chainId, isAnvil, request, wsUrl } from '../lib/rpc.mjs'

let socket
const messages = []

before(async () => {
  socket = new WebSocket(wsUrl)
  socket.on('message', (bytes) => messages.push(JSON.parse(bytes)))
  await once(socket, 'open')
})

after(() => socket.terminate())

const send = (body) => socket.send(typeof body === 'string' ? body : JSON.stringify(body))
const answerTo = ({ id }) => eventually(`the answer to ${id}`, () => messages.find((m) => m.id === id))

test('a batch gets one message with all answers', async () => {
  const batch = [request('eth_chainId'), request('eth_blockNumber'), request('eth_nonsense')]
  send(batch)
  const answers = await eventually('the batch', () => messages.find(Array.isArray))
  const byId = new Map(answers.map((answer) => [answer.id, answer]))
  assert.equal(byId.size, 3)
  assert.equal(Number(byId.get(batch[0].id).result), chainId)
  assert.match(byId.get(batch[1].id).result, /^0x/)
  assert.equal(byId.get(batch[2].id).error.code, isAnvil ? -32602 : -32601)
})

test('malformed JSON is answered and the connection lives on', async () => {
  send('{"jsonrpc":')
  const answer = await eventually('the parse error', () => messages.find((m) => m.error && m.id === null))
  assert.equal(answer.error.code, isAnvil ? -32600 : -32700)
  const probe = request('eth_chainId')
  send(probe)
  assert.equal(Number((await answerTo(probe)).result), chainId)
})

test('each subscription has an id of its own', async () => {
  const subscribe = [request('eth_subscribe', ['newHeads']), request('eth_subscribe', ['newHeads'])]
  subscribe.forEach(send)
  const ids = await Promise.all(subscribe.map(async (one) => (await answerTo(one)).result))
  assert.notEqual(ids[0], ids[1])
  const heads = (id) => messages.filter((m) => m.method === 'eth_subscription' && m.params.subscription === id)
  // The heartbeat makes blocks without any transaction, until somebody asks for one: then all have to be asked for.
  send(request('evm_mine'))
  await eventually('a head on both', () => ids.every((id) => heads(id).length > 0))

  const unsubscribe = ids.map((id) => request('eth_unsubscribe', [id]))
  unsubscribe.forEach(send)
  for (const one of unsubscribe) assert.equal((await answerTo(one)).result, true)
  const again = request('eth_unsubscribe', [ids[0]])
  send(again)
  const answer = await answerTo(again)
  assert.notEqual(answer.result, true)
})
