// The root of an ordered trie (transactions, receipts), built the plain recursive way.

import { concat, fromRlp, hexToBytes, keccak256, toRlp } from 'viem'

const quantity = (value) => {
  const digits = BigInt(value).toString(16)
  return digits === '0' ? '0x' : `0x${digits.length % 2 ? '0' : ''}${digits}`
}

/** The root over `values`, each under the RLP of its index. */
export function orderedRoot(values) {
  if (values.length === 0) return keccak256('0x80')
  const entries = values.map((value, i) => [nibbles(toRlp(quantity(i))), value])
  return keccak256(toRlp(nodeOf(entries)))
}

/** The receipts root from the answer of eth_getBlockReceipts. */
export function receiptsRoot(receipts) {
  return orderedRoot(receipts.map(encodeReceipt))
}

function encodeReceipt({ type, status, cumulativeGasUsed, logsBloom, logs }) {
  const body = toRlp([
    quantity(status),
    quantity(cumulativeGasUsed),
    logsBloom,
    logs.map(({ address, topics, data }) => [address, topics, data]),
  ])
  return type === '0x0' ? body : concat([`0x0${BigInt(type)}`, body])
}

// Entries are [path, value] with distinct paths, none a prefix of another one.
function nodeOf(entries) {
  if (entries.length === 1) return [compact(entries[0][0], true), entries[0][1]]
  let shared = 0
  while (entries.every(([path]) => path[shared] === entries[0][0][shared])) shared++
  if (shared > 0) {
    const rest = entries.map(([path, value]) => [path.slice(shared), value])
    return [compact(entries[0][0].slice(0, shared), false), reference(nodeOf(rest))]
  }
  const branch = []
  for (let nibble = 0; nibble < 16; nibble++) {
    const below = entries.filter(([path]) => path[0] === nibble)
    branch.push(below.length === 0 ? '0x' : reference(nodeOf(below.map(([path, value]) => [path.slice(1), value]))))
  }
  return [...branch, '0x']
}

function reference(node) {
  const bytes = toRlp(node)
  return hexToBytes(bytes).length < 32 ? fromRlp(bytes) : keccak256(bytes)
}

function compact(path, isLeaf) {
  const odd = path.length % 2
  const flagged = [(isLeaf ? 2 : 0) + odd, ...(odd ? [] : [0]), ...path]
  return `0x${flagged.map((nibble) => nibble.toString(16)).join('')}`
}

const nibbles = (hex) => [...hexToBytes(hex)].flatMap((byte) => [byte >> 4, byte & 15])
