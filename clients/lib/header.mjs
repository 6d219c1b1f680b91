// The hash of an Ethereum header, from the fields of eth_getBlockByHash.

import { keccak256, toRlp } from 'viem'

const quantity = (value) => {
  const digits = BigInt(value).toString(16)
  return digits === '0' ? '0x' : `0x${digits.length % 2 ? '0' : ''}${digits}`
}

/** keccak256 of the RLP header: it ties the state root that proofs use to the block hash. */
export function headerHash(block) {
  const fields = [
    block.parentHash,
    block.sha3Uncles,
    block.miner,
    block.stateRoot,
    block.transactionsRoot,
    block.receiptsRoot,
    block.logsBloom,
    quantity(block.difficulty),
    quantity(block.number),
    quantity(block.gasLimit),
    quantity(block.gasUsed),
    quantity(block.timestamp),
    block.extraData,
    block.mixHash,
    block.nonce,
    quantity(block.baseFeePerGas),
  ]
  // Fields that later forks append; each is there only if all before it are.
  if (block.withdrawalsRoot) fields.push(block.withdrawalsRoot)
  if (block.blobGasUsed) fields.push(quantity(block.blobGasUsed), quantity(block.excessBlobGas))
  if (block.parentBeaconBlockRoot) fields.push(block.parentBeaconBlockRoot)
  if (block.requestsHash) fields.push(block.requestsHash)
  return keccak256(toRlp(fields))
}
