// A state dumped by anvil is loaded by the node, and the other way round.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { toHex } from 'viem'
import { eventually } from '../lib/eventually.mjs'
import { call } from '../lib/rpc.mjs'

const binary = fileURLToPath(new URL('../node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil', import.meta.url))
// Several validators refuse to have their state set.
const alone = await call('evm_mine').then(() => true, () => false)
const skip = (!existsSync(binary) && 'no anvil') || (!alone && 'several validators')

const target = '0x00000000000000000000000000000000000d0d0d'
const word = (number) => toHex(number, { size: 32 })
let anvil, url

async function anvilCall(method, ...params) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
  const headers = { 'content-type': 'application/json' }
  const answer = await (await fetch(url, { method: 'POST', headers, body })).json()
  if (answer.error) throw new Error(`${method}: ${answer.error.message}`)
  return answer.result
}

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })

async function fill(ask, salt) {
  await ask('anvil_setBalance', target, toHex(salt))
  await ask('anvil_setNonce', target, toHex(salt + 1))
  await ask('anvil_setCode', target, `0x60${salt.toString(16).padStart(2, '0')}00`)
  await ask('anvil_setStorageAt', target, word(3), word(salt + 2))
}

const look = async (ask) => [
  await ask('eth_getBalance', target, 'latest'),
  await ask('eth_getTransactionCount', target, 'latest'),
  await ask('eth_getCode', target, 'latest'),
  await ask('eth_getStorageAt', target, word(3), 'latest'),
]

before(async () => {
  if (skip) return
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  anvil = spawn(binary, ['--port', String(port), '--silent'], { stdio: 'ignore' })
  await eventually('anvil', () => anvilCall('eth_chainId').catch(() => false))
})

after(() => anvil?.kill())

test('the node loads what anvil dumped', { skip }, async () => {
  await fill(anvilCall, 0x21)
  assert.equal(await call('anvil_loadState', await anvilCall('anvil_dumpState')), true)
  assert.deepEqual(await look(call), await look(anvilCall))
})

test('anvil loads what the node dumped', { skip }, async () => {
  await fill(call, 0x42)
  assert.equal(await anvilCall('anvil_loadState', await call('anvil_dumpState')), true)
  assert.deepEqual(await look(anvilCall), await look(call))
})
