// Runs cast and forge: the pinned ones of npm where there are any for this platform, else those in the PATH.

import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { toHex } from 'viem'
import { account } from './accounts.mjs'
import { url } from './rpc.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))

function binary(tool) {
  const pinned = `${root}node_modules/@foundry-rs/${tool}-linux-amd64/bin/${tool}`
  return existsSync(pinned) ? pinned : tool
}

async function run(tool, args) {
  const env = { ...process.env, ETH_RPC_URL: url, NO_COLOR: '1' }
  const options = { cwd: root, env, timeout: 60_000, maxBuffer: 2 ** 26 }
  const { stdout } = await promisify(execFile)(binary(tool), args, options)
  return stdout.trim()
}

export const cast = (...args) => run('cast', args)
export const forge = (...args) => run('forge', args)

export const privateKey = (index) => toHex(account(index).getHdKey().privateKey)
