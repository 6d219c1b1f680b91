// viem clients for the shards of the relay chain under test, and what the relay chain says of them.

import assert from 'node:assert/strict'
import { createPublicClient, createWalletClient, defineChain, http, webSocket } from 'viem'
import { eventually } from './eventually.mjs'
import { headerHash } from './header.mjs'
import { call as callRelay, chainId as relayChainId, url as relayUrl } from './rpc.mjs'

/** How long a block of a shard may take to become final, on a machine that does other things too. */
const finalMsMax = 40_000

/** What `headway_getShards` on the relay chain says of one shard. */
export async function segmentOf(id) {
  const { shards } = await callRelay('headway_getShards')
  return shards.find((shard) => shard.id === id)
}

/** One shard: its addresses, a client, and what tests do with them. */
export function shard(id) {
  const url = `${relayUrl}/shard/${id}`
  const chain = defineChain({
    id: relayChainId + id,
    name: `shard ${id}`,
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [url] } },
  })
  // One try only: a retry would hide an error of the node.
  const transport = http(url, { retryCount: 0, timeout: 20_000 })
  const options = { chain, pollingInterval: 100, cacheTime: 0 }
  const client = createPublicClient({ ...options, transport })

  const block = (tag) => client.request({ method: 'eth_getBlockByNumber', params: [tag, false] })

  /** The newest block numbers by tag, oldest first, so that none can overtake the next while they are asked for. */
  async function heads() {
    const found = {}
    for (const tag of ['finalized', 'safe', 'latest']) found[tag] = BigInt((await block(tag)).number)
    return found
  }

  /** Waits until a block with this number has this stage: `safe` is included, `finalized` final. */
  const reached = (tag, number) =>
    eventually(`${tag} block ${number} of shard ${id}`, async () => BigInt((await block(tag)).number) >= number, finalMsMax)

  async function succeeded(hash) {
    const receipt = await client.waitForTransactionReceipt({ hash, timeout: 20_000 })
    assert.equal(receipt.status, 'success', `${hash} failed`)
    return receipt
  }

  /**
   * Walks from the head that the relay chain calls final down to block `number` by parent hashes, and computes every
   * hash from the header's fields; returns that block and the final head's.
   */
  async function certain(number) {
    await reached('finalized', number)
    const { finalized } = await segmentOf(id)
    let hash = finalized.hash
    const path = []
    for (;;) {
      const found = await client.request({ method: 'eth_getBlockByHash', params: [hash, false] })
      assert.ok(found, `shard ${id} has no block ${hash}`)
      assert.equal(headerHash(found), hash, `the hash of block ${found.number}`)
      path.push(found)
      if (BigInt(found.number) <= number) break
      hash = found.parentHash
    }
    assert.equal(path[0].stateRoot, finalized.stateRoot)
    assert.equal(path[0].number, finalized.number)
    assert.equal(BigInt(path.at(-1).number), number)
    return { block: path.at(-1), head: path[0] }
  }

  return {
    id,
    url,
    client,
    chainId: chain.id,
    block,
    heads,
    reached,
    succeeded,
    certain,
    walletOf: (account) => createWalletClient({ ...options, account, transport }),
    /** A client over WebSocket; the caller closes it with `close`. */
    webSocketClient() {
      const wsClient = createPublicClient({
        ...options,
        transport: webSocket(url.replace(/^http/, 'ws'), { retryCount: 0, reconnect: false, keepAlive: false }),
      })
      const close = async () => (await wsClient.transport.getRpcClient()).close()
      return { wsClient, close }
    },
  }
}
