// A viem chain and actions for the methods of the `headway` namespace; index.d.ts says what they give.

import { defineChain, hexToBigInt, hexToNumber, isHash, toHex } from 'viem'

const nativeCurrency = { name: 'Ether', symbol: 'ETH', decimals: 18 }

/** The chain of `headway dev` as it starts without options. */
export const headwayDev = headwayChain({ id: 31_337, name: 'Headway dev' })

/** A chain at an URL. */
export function headwayChain({ id, name = 'Headway', url = 'http://127.0.0.1:8545' }) {
  const webSocket = url.replace(/^http/, 'ws')
  return defineChain({ id, name, nativeCurrency, rpcUrls: { default: { http: [url], webSocket: [webSocket] } } })
}

const STAGES = ['proposed', 'notarized', 'finalized', 'executed', 'verified', 'durable']
// Of a shard's block.
const SHARD_STAGES = ['collated', 'executed', 'backed', 'included', 'finalized', 'durable']

// A tag or a hash as it is, a number as a quantity.
const blockOf = (block) => (typeof block === 'bigint' || typeof block === 'number' ? toHex(block) : block)

const stagesOf = ({ height, ...times }) => ({
  height: hexToBigInt(height),
  ...Object.fromEntries(('collatedMs' in times ? SHARD_STAGES : STAGES).map((stage) => [stage, times[`${stage}Ms`] ?? null])),
})

/** For `client.extend(headwayActions())`. */
export const headwayActions = () => (client) => ({
  async getHeads() {
    const heads = await client.request({ method: 'headway_getHeads', params: [] })
    return Object.fromEntries(Object.entries(heads).map(([name, height]) => [name, hexToBigInt(height)]))
  },

  async getBlockStages({ block = 'latest' } = {}) {
    const stages = await client.request({ method: 'headway_getBlockStages', params: [blockOf(block)] })
    return stages && stagesOf(stages)
  },

  async getInclusionBudget({ address }) {
    const budget = await client.request({ method: 'headway_getInclusionBudget', params: [address] })
    const { nonceNext, available, delegated, blockedUntilExecuted } = budget
    return { nonceNext: hexToNumber(nonceNext), available: hexToBigInt(available), delegated, blockedUntilExecuted }
  },

  getBlockAccessList: ({ block = 'latest' } = {}) =>
    client.request({ method: 'headway_getBlockAccessList', params: [blockOf(block)] }),

  getBlockExecution: ({ block = 'latest' } = {}) =>
    client.request({ method: 'headway_getBlockExecution', params: [blockOf(block)] }),

  getBlockProfile: ({ block = 'latest' } = {}) =>
    client.request({ method: 'headway_getBlockProfile', params: [blockOf(block)] }),

  sendRawTransactions: ({ serializedTransactions }) =>
    client.request({ method: 'headway_sendRawTransactions', params: [serializedTransactions] }),

  /** Resolves when a block, or the block of a transaction, is verified. */
  async waitForVerified({ block, hash, timeout = 30_000, pollingInterval = 100 }) {
    const deadline = Date.now() + timeout
    let height = typeof block === 'bigint' ? block : undefined
    for (;;) {
      if (height === undefined && isHash(hash ?? '')) {
        const receipt = await client.request({ method: 'eth_getTransactionReceipt', params: [hash] })
        height = receipt ? hexToBigInt(receipt.blockNumber) : undefined
      }
      const heads = await client.request({ method: 'headway_getHeads', params: [] })
      if (height !== undefined && hexToBigInt(heads.verified) >= height) return height
      if (Date.now() > deadline) throw new Error(`not verified within ${timeout} ms`)
      await new Promise((resolve) => setTimeout(resolve, pollingInterval))
    }
  },

  /** Calls `onStage` with each stage of each block; over a WebSocket. Resolves to what ends it. */
  async watchStages({ onStage, onError }) {
    const { subscribe } = client.transport
    if (!subscribe) throw new Error('stages are streamed over a WebSocket: use the webSocket transport')
    // viem's transport only knows eth_subscribe, so the socket is asked itself.
    const socket = await client.transport.getRpcClient()
    return subscribeStages(socket, onStage, onError)
  },
})

async function subscribeStages(client, onStage, onError) {
  const { socket } = client
  const id = `headway-${Math.random().toString(36).slice(2)}`
  return new Promise((resolve, reject) => {
    let subscription
    const stop = () => {
      socket.removeEventListener('message', read)
      if (socket.readyState === 1 && subscription) {
        socket.send(JSON.stringify({ jsonrpc: '2.0', id: `${id}-end`, method: 'headway_unsubscribe', params: [subscription] }))
      }
    }
    const read = ({ data }) => {
      const message = JSON.parse(data)
      if (message.id === id) {
        if (message.error) {
          socket.removeEventListener('message', read)
          return reject(new Error(message.error.message))
        }
        subscription = message.result
        resolve(stop)
      } else if (message.method === 'headway_subscription' && message.params.subscription === subscription) {
        const { height, stage, timestampMs } = message.params.result
        onStage({ height: hexToBigInt(height), stage, time: timestampMs })
      }
    }
    socket.addEventListener('message', read)
    socket.addEventListener('close', () => onError?.(new Error('the socket closed')), { once: true })
    socket.send(JSON.stringify({ jsonrpc: '2.0', id, method: 'headway_subscribe', params: [] }))
  })
}
