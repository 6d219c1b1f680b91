// Compiles contracts/ with the wasm build of solc, so that no native compiler is needed.

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import solc from 'solc'

const root = fileURLToPath(new URL('..', import.meta.url))
const sourceDir = join(root, 'contracts')
const buildDir = join(root, 'build', 'contracts')

/** Compiles every contract of contracts/ and returns { Name: { abi, bytecode } }. */
export function compile() {
  const names = readdirSync(sourceDir).filter((file) => file.endsWith('.sol'))
  const input = {
    language: 'Solidity',
    sources: Object.fromEntries(
      names.map((file) => [file, { content: readFileSync(join(sourceDir, file), 'utf8') }]),
    ),
    settings: {
      evmVersion: 'prague',
      optimizer: { enabled: true, runs: 200 },
      outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
    },
  }
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: resolveImport }))
  const errors = (output.errors ?? []).filter(({ severity }) => severity === 'error')
  if (errors.length > 0) throw new Error(errors.map((e) => e.formattedMessage).join('\n'))
  return Object.fromEntries(
    names.map((file) => {
      const name = file.replace(/\.sol$/, '')
      const { abi, evm } = output.contracts[file][name]
      return [name, { abi, bytecode: `0x${evm.bytecode.object}` }]
    }),
  )
}

function resolveImport(path) {
  try {
    return { contents: readFileSync(join(root, 'node_modules', path), 'utf8') }
  } catch {
    return { error: `no such file: ${path}` }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(buildDir, { recursive: true })
  for (const [name, artifact] of Object.entries(compile())) {
    writeFileSync(join(buildDir, `${name}.json`), JSON.stringify(artifact, null, 1))
  }
}
