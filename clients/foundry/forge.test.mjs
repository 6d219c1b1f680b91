// forge: build with the wasm solc, create a contract, run a deployment script.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { account } from '../lib/accounts.mjs'
import { cast, forge, privateKey } from '../lib/foundry.mjs'
import { url } from '../lib/rpc.mjs'

const owner = account(6).address
const receiver = account(7).address
const signer = ['--broadcast', '--json', '--private-key', privateKey(6)]
const amount = (text) => BigInt(text.split(' ')[0])
const balanceOf = async (token, holder) => amount(await cast('call', token, 'balanceOf(address)(uint256)', holder))

test('forge create deploys the token', async () => {
  const args = ['--constructor-args', 'Forged', 'FRG', '1000000']
  const { deployedTo } = JSON.parse(await forge('create', 'contracts/Token.sol:Token', ...signer, ...args))
  assert.equal(await cast('call', deployedTo, 'symbol()(string)'), '"FRG"')
  assert.equal(await balanceOf(deployedTo, owner), 1_000_000n)
})

test('forge script sends transactions that build on each other', async () => {
  // Without --rpc-url forge only simulates, whatever the environment says.
  const options = [...signer, '--rpc-url', url, '--sig', 'run(address)']
  const out = await forge('script', 'foundry/Deploy.s.sol', ...options, receiver)
  const { success, returns } = JSON.parse(out.split('\n')[0])
  assert.equal(success, true)
  assert.equal(await balanceOf(returns.token.value, receiver), 250n)
  assert.equal(await balanceOf(returns.token.value, owner), 750n)
  assert.equal(await cast('call', returns.box.value, 'value()(uint256)'), '7')
})

test('forge test forks the chain', async () => {
  const args = ['--constructor-args', 'Forked', 'FRK', '1000000']
  const { deployedTo } = JSON.parse(await forge('create', 'contracts/Token.sol:Token', ...signer, ...args))
  process.env.TOKEN = deployedTo
  process.env.OWNER = owner
  const out = await forge('test', '--fork-url', url, '--match-contract', 'ForkTest', '--json')
  const [suite] = Object.values(JSON.parse(out))
  const results = Object.entries(suite.test_results).map(([name, { status }]) => [name, status])
  assert.deepEqual(results.sort(), [
    ['test_changes_stay_in_the_fork()', 'Success'],
    ['test_reads_what_is_deployed()', 'Success'],
  ])
  assert.equal(await balanceOf(deployedTo, owner), 1_000_000n)
})
