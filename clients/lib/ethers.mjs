// ethers providers and wallets for the node under test.

import { HDNodeWallet, JsonRpcProvider, Network, WebSocketProvider } from 'ethers'
import { mnemonic } from './accounts.mjs'
import { chainId, url, wsUrl } from './rpc.mjs'

const network = Network.from(chainId)
// No cache: a test must see what the node says now.
const options = { staticNetwork: network, cacheTimeout: -1, pollingInterval: 100 }

export const httpProvider = () => new JsonRpcProvider(url, network, options)
export const webSocketProvider = () => new WebSocketProvider(wsUrl, network, options)

/**
 * Destroys the provider once it is quiet: ethers unsubscribes without waiting for the answer,
 * and what is unanswered when it is destroyed becomes an unhandled rejection.
 */
export async function close(provider) {
  await provider.removeAllListeners()
  // The listeners' own requests go out later and may be answered out of order; a provider that is
  // destroyed before the last answer throws outside of every test.
  for (let round = 0; round < 5; round++) await provider.send('eth_chainId', [])
  await provider.destroy()
}

export const walletOf = (index, provider) =>
  HDNodeWallet.fromPhrase(mnemonic, '', `m/44'/60'/0'/0/${index}`).connect(provider)
