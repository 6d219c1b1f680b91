import type { Address, BlockTag, Chain, Client, Hash, Hex } from 'viem'

/** The chain of `headway dev` as it starts without options. */
export declare const headwayDev: Chain

/** A chain at an URL; without one, a node on this machine. */
export declare function headwayChain(options: { id: number; name?: string; url?: string }): Chain

/** A height, a tag or a block hash. */
export type Block = bigint | number | BlockTag | Hash

/** How far a node is: verified ≤ executed ≤ finalized. */
export interface Heads {
  /** Two thirds of the validators signed the result. */
  verified: bigint
  /** Executed by this node: `latest`. */
  executed: bigint
  /** Ordered for ever. */
  finalized: bigint
}

export type Stage = 'proposed' | 'notarized' | 'finalized' | 'executed' | 'verified' | 'durable'

/** When a block reached its stages on this node, in Unix milliseconds; null for those it has not reached. */
export type BlockStages = { height: bigint } & Record<Stage, number | null>

export type ShardStage = 'collated' | 'executed' | 'backed' | 'included' | 'finalized' | 'durable'

/** The same of a shard's block, at the URL of the shard. */
export type ShardBlockStages = { height: bigint } & Record<ShardStage, number | null>

export interface InclusionBudget {
  /** Nonce of the account's next transaction. */
  nonceNext: number
  /** Wei that it can commit now, in value and highest fees. */
  available: bigint
  /** Whether it has an EIP-7702 delegation. */
  delegated: boolean
  /** It waits for its own authorization to be executed. */
  blockedUntilExecuted: boolean
}

export interface Change {
  /** 0 before the first transaction, i + 1 in transaction i. */
  index: Hex
  value: Hex
}

export interface BlockAccessList {
  hash: Hash
  gasUsed: Hex[]
  accounts: {
    address: Address
    storageChanges: { key: Hex; changes: Change[] }[]
    storageReads: Hex[]
    balanceChanges: Change[]
    nonceChanges: Change[]
    codeChanges: { index: Hex; code: Hex }[]
    wipes: Hex[]
  }[]
}

export interface BlockExecution {
  height: Hex
  way: 'inOrder' | 'first' | 'listed'
  workers: number
  executions: number
  reexecutions: number
  conflictCount: number
  conflicts: { address: Address; slot: Hex | null; transactionCount: number; transactions: number[] }[]
  executeUs: number
  commitUs: number
  rootsUs: number
  accessListUs: number
  spans?: { worker: number; transaction: number; startUs: number; endUs: number; again: boolean }[]
}

export interface SentTransactions {
  accepted: number
  errors: { index: number; code: number; message: string }[]
}

export interface HeadwayActions {
  getHeads(): Promise<Heads>
  getBlockStages<Stages extends BlockStages | ShardBlockStages = BlockStages>(
    options?: { block?: bigint | number | BlockTag },
  ): Promise<Stages | null>
  getInclusionBudget(options: { address: Address }): Promise<InclusionBudget>
  /** All that a block read and wrote, with values; null for one that is not executed. */
  getBlockAccessList(options?: { block?: Block }): Promise<BlockAccessList | null>
  /** How this node executed a block; null for one not recent. */
  getBlockExecution(options?: { block?: Block }): Promise<BlockExecution | null>
  /** What held a block's parallel execution up; null for one that is not executed. */
  getBlockProfile(options?: { block?: Block }): Promise<unknown>
  /** Many signed transactions at once, each with its own fate. */
  sendRawTransactions(options: { serializedTransactions: Hex[] }): Promise<SentTransactions>
  /** The height of a block once it is verified, or of a transaction's block. */
  waitForVerified(options: { block?: bigint; hash?: Hash; timeout?: number; pollingInterval?: number }): Promise<bigint>
  /** Each stage of each block, over a WebSocket; the function that it resolves to ends it. */
  watchStages(options: {
    onStage: (event: { height: bigint; stage: Stage; time: number }) => void
    onError?: (error: Error) => void
  }): Promise<() => void>
}

/** For `client.extend(headwayActions())`. */
export declare function headwayActions(): (client: Client) => HeadwayActions
