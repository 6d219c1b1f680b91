// Events in both ways ethers gets them: pushed over WebSocket, polled over HTTP.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { artifact } from '../lib/artifacts.mjs'
import { close, httpProvider, walletOf, webSocketProvider } from '../lib/ethers.mjs'
import { eventually } from '../lib/eventually.mjs'
import { deploy } from '../lib/uniswap.mjs'

const kinds = [
  ['WebSocket', webSocketProvider, 2],
  ['polled HTTP', httpProvider, 3],
]

for (const [kind, connect, index] of kinds) {
  test(`${kind}: contract.on gets each event once, in order`, async () => {
    const provider = connect()
    try {
      const wallet = walletOf(index, provider)
      const box = await deploy(artifact('Box'), wallet)
      const seen = []
      await box.on('Stored', (from, value, event) => seen.push({ from, value, hash: event.log.transactionHash }))
      const sent = []
      for (const value of [1n, 2n, 3n]) {
        const transaction = await box.store(value)
        await transaction.wait()
        sent.push({ from: wallet.address, value, hash: transaction.hash })
      }
      await eventually('three events', () => seen.length >= sent.length)
      assert.deepEqual(seen, sent)
    } finally {
      await close(provider)
    }
  })

  test(`${kind}: the provider's block event counts upwards`, async () => {
    const provider = connect()
    try {
      const numbers = []
      await provider.on('block', (number) => numbers.push(number))
      // The heartbeat makes the blocks.
      await eventually('three blocks', () => numbers.length >= 3)
      for (let i = 1; i < numbers.length; i++) assert.equal(numbers[i], numbers[i - 1] + 1)
      assert.ok((await provider.getBlockNumber()) >= numbers.at(-1))
    } finally {
      await close(provider)
    }
  })
}
