// A Merkle-Patricia verifier, written apart from the node's trie so that the two can disagree.

import assert from 'node:assert/strict'
import { fromRlp, hexToBytes, keccak256, toHex } from 'viem'

/**
 * Walks the nodes of an eth_getProof answer from `root` to `key` (already hashed).
 * Returns the RLP value found there, or null if the proof shows that there is none;
 * throws if it shows neither.
 */
export function valueInProof(root, key, proof) {
  const path = nibbles(key)
  if (proof.length === 0) {
    assert.equal(root, keccak256('0x80'), 'only the empty trie needs no proof')
    return null
  }
  let position = 0
  let used = 0
  let node = hashedNode(root)
  for (;;) {
    const [kind, nodePath, next] = step(node, path[position])
    const matches = nodePath.every((nibble, i) => nibble === path[position + i])
    if (!matches) return finish(null)
    position += nodePath.length
    if (kind === 'leaf') return finish(position === path.length ? next : null)
    if (next === '0x') return finish(null)
    node = typeof next === 'string' ? hashedNode(next) : next
  }

  // A node of 32 bytes or more stands in its parent as its hash, and in the proof as its bytes.
  function hashedNode(hash) {
    assert.ok(used < proof.length, 'the proof ends too early')
    assert.equal(keccak256(proof[used]), hash, `node ${used} of the proof has another hash`)
    return fromRlp(proof[used++])
  }

  function finish(value) {
    assert.equal(used, proof.length, 'the proof has nodes that are not on the path')
    return value
  }
}

// The part of a node that lies on the path: [kind, nibbles it consumes, child or value].
function step(node, nibble) {
  if (node.length === 17) return ['branch', [nibble], node[nibble]]
  assert.equal(node.length, 2, 'a node has 2 or 17 items')
  const encoded = nibbles(node[0])
  const odd = encoded[0] & 1
  return [encoded[0] & 2 ? 'leaf' : 'extension', encoded.slice(odd ? 1 : 2), node[1]]
}

const nibbles = (hex) => [...hexToBytes(hex)].flatMap((byte) => [byte >> 4, byte & 15])

/** Checks an account proof of eth_getProof; returns whether the account exists. */
export function checkAccountProof(stateRoot, proof) {
  const found = valueInProof(stateRoot, keccak256(proof.address), proof.accountProof)
  if (found === null) {
    assert.equal(proof.nonce, 0)
    assert.equal(proof.balance, 0n)
    return false
  }
  const [nonce, balance, storageHash, codeHash] = fromRlp(found)
  assert.equal(quantity(nonce), BigInt(proof.nonce))
  assert.equal(quantity(balance), proof.balance)
  assert.equal(storageHash, proof.storageHash)
  assert.equal(codeHash, proof.codeHash)
  return true
}

/** Checks one entry of `storageProof`; returns whether the slot is set. */
export function checkStorageProof(storageHash, { key, value, proof }) {
  const slot = toHex(BigInt(key), { size: 32 })
  const found = valueInProof(storageHash, keccak256(slot), proof)
  assert.equal(found === null ? 0n : quantity(fromRlp(found)), value)
  return found !== null
}

const quantity = (hex) => (hex === '0x' ? 0n : BigInt(hex))
