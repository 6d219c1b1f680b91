// Deploys an ERC-20 and transfers some of it: `npm ci && node examples/erc20.mjs` beside a running `headway dev`.

import { createPublicClient, createWalletClient, formatEther, http, parseEther } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { foundry as chain } from 'viem/chains' // chain id 31337
import { compile } from '../lib/compile.mjs'

const transport = http(process.env.RPC_URL ?? 'http://127.0.0.1:8545')
const mnemonic = 'test test test test test test test test test test test junk'
const alice = mnemonicToAccount(mnemonic)
const bob = mnemonicToAccount(mnemonic, { addressIndex: 1 })

const client = createPublicClient({ chain, transport, pollingInterval: 50 })
const wallet = createWalletClient({ account: alice, chain, transport })

const { abi, bytecode } = compile().Token
const deployed = await wallet.deployContract({ abi, bytecode, args: ['Example', 'EXA', parseEther('1000')] })
const { contractAddress } = await client.waitForTransactionReceipt({ hash: deployed })
console.log(`token ${contractAddress}`)

const sent = await wallet.writeContract({
  address: contractAddress, abi, functionName: 'transfer', args: [bob.address, parseEther('25')],
})
const { status, blockNumber, gasUsed } = await client.waitForTransactionReceipt({ hash: sent })
console.log(`transfer ${status} in block ${blockNumber}, ${gasUsed} gas`)

for (const [name, { address }] of Object.entries({ alice, bob })) {
  const balance = await client.readContract({ address: contractAddress, abi, functionName: 'balanceOf', args: [address] })
  console.log(`${name} ${formatEther(balance)} EXA`)
}
