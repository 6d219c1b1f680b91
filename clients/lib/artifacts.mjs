// Compiled contracts: ours from build/contracts, others' from their npm packages.

import { readFileSync } from 'node:fs'

const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))

/** A contract of contracts/; `npm run compile` writes it. */
export const artifact = (name) => read(`../build/contracts/${name}.json`)

/** A contract in a package, by the path of its JSON file; truffle's and waffle's formats both fit. */
export function packaged(path) {
  const { abi, bytecode } = read(`../node_modules/${path}`)
  return { abi, bytecode: bytecode.startsWith('0x') ? bytecode : `0x${bytecode}` }
}
