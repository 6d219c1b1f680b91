// A Hardhat 3 project whose network is a Headway development chain; solc comes from npm, so nothing is downloaded.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import hardhatEthers from '@nomicfoundation/hardhat-ethers'
import chaiMatchers from '@nomicfoundation/hardhat-ethers-chai-matchers'
import hardhatMocha from '@nomicfoundation/hardhat-mocha'
import networkHelpers from '@nomicfoundation/hardhat-network-helpers'
import { defineConfig } from 'hardhat/config'

const file = (name) => fileURLToPath(import.meta.resolve(name))
const { version } = JSON.parse(readFileSync(file('solc/package.json'), 'utf8'))

export default defineConfig({
  plugins: [hardhatEthers, chaiMatchers, hardhatMocha, networkHelpers],
  solidity: { compilers: [{ version, path: file('solc/soljson.js') }] },
  // Hardhat's own template, copied here by `clients/run`.
  paths: { sources: 'build/sample/contracts', cache: 'build/cache', artifacts: 'build/artifacts' },
  networks: {
    headway: { type: 'http', chainType: 'l1', url: process.env.RPC_URL ?? 'http://127.0.0.1:8545' },
  },
})
