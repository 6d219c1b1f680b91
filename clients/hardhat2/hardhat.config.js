// A Hardhat 2 project whose network is a Headway development chain; solc comes from npm, so nothing is downloaded.

const { subtask } = require('hardhat/config')
const { TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD } = require('hardhat/builtin-tasks/task-names')
const { version } = require('solc/package.json')

require('@nomicfoundation/hardhat-ethers')
require('@nomicfoundation/hardhat-chai-matchers')

subtask(TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD, async () => ({
  version,
  longVersion: version,
  isSolcJs: true,
  compilerPath: require.resolve('solc/soljson.js'),
}))

const url = process.env.RPC_URL ?? 'http://127.0.0.1:8545'

module.exports = {
  solidity: version,
  // Hardhat's own sample project, copied here by `clients/run`.
  paths: { sources: 'build/sample/contracts', cache: 'build/cache', artifacts: 'build/artifacts' },
  networks: {
    // Hardhat knows this name and leaves failures of transactions to the node.
    localhost: { url },
    // Under any other name it estimates first.
    headway: { url },
  },
  mocha: { timeout: 60_000 },
}
