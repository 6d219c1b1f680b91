// viem clients for the node under test.

import assert from 'node:assert/strict'
import { createPublicClient, createWalletClient, defineChain, http, webSocket } from 'viem'
import { chainId, url, wsUrl } from './rpc.mjs'

export const chain = defineChain({
  id: chainId,
  name: 'under test',
  nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
  rpcUrls: { default: { http: [url] } },
})

// One try only: a retry would hide an error of the node.
const transport = http(url, { retryCount: 0, timeout: 20_000 })
const options = { chain, pollingInterval: 100, cacheTime: 0 }

export const client = createPublicClient({ ...options, transport })

export const walletOf = (account) => createWalletClient({ ...options, account, transport })

/** A client over WebSocket; the caller closes it with `close`. */
export function webSocketClient() {
  const wsClient = createPublicClient({
    ...options,
    transport: webSocket(wsUrl, { retryCount: 0, reconnect: false, keepAlive: false }),
  })
  const close = async () => (await wsClient.transport.getRpcClient()).close()
  return { wsClient, close }
}

/** Waits for the receipt and asserts that the transaction succeeded. */
export async function succeeded(hash) {
  const receipt = await client.waitForTransactionReceipt({ hash, timeout: 20_000 })
  assert.equal(receipt.status, 'success', `${hash} failed`)
  return receipt
}

export async function deploy(wallet, { abi, bytecode }, args = []) {
  const hash = await wallet.deployContract({ abi, bytecode, args })
  const { contractAddress } = await succeeded(hash)
  return contractAddress
}
