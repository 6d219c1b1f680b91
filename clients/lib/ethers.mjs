// ethers providers and wallets for the node under test.

import { HDNodeWallet, JsonRpcProvider, Network, WebSocketProvider } from 'ethers'
import { mnemonic } from './accounts.mjs'
import { chainId, url, wsUrl } from './rpc.mjs'

const network = Network.from(chainId)
// No cache: a test must see what the node says now.
const options = { staticNetwork: network, cacheTimeout: -1, pollingInterval: 100 }

export const httpProvider = () => new JsonRpcProvider(url, network, options)
export const webSocketProvider = () => new WebSocketProvider(wsUrl, network, options)

export const walletOf = (index, provider) =>
  HDNodeWallet.fromPhrase(mnemonic, '', `m/44'/60'/0'/0/${index}`).connect(provider)
