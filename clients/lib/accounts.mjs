// The ten funded accounts of a development chain, the same as hardhat's and anvil's.

import { mnemonicToAccount } from 'viem/accounts'

export const mnemonic = 'test test test test test test test test test test test junk'

/** The account with this index; every test file uses its own, so that nonces never collide. */
export const account = (addressIndex) => mnemonicToAccount(mnemonic, { addressIndex })
