// Every network helper of Hardhat 2, over JSON-RPC.

const { expect } = require('chai')
const { ethers, network } = require('hardhat')
const helpers = require('@nomicfoundation/hardhat-network-helpers')

const { loadFixture, mine, mineUpTo, time } = helpers
const someone = '0x00000000000000000000000000000000000a11ce'
const latest = () => ethers.provider.getBlock('latest')
const rpc = (method, ...params) => network.provider.send(method, params)
const expectRefusal = async (promise, pattern) => {
  const error = await promise.then(
    () => undefined,
    (error) => error,
  )
  expect(error?.message).to.match(pattern)
}

async function lockFixture() {
  const [owner, other] = await ethers.getSigners()
  const unlockTime = (await time.latest()) + 1_000
  const lock = await ethers.deployContract('Lock', [unlockTime], { value: 5 })
  return { lock, owner, other, unlockTime }
}

async function firstFixture() {
  await mine(3)
  return { height: await time.latestBlock() }
}

async function secondFixture() {
  await mine(4)
  return { height: await time.latestBlock() }
}

describe('snapshots', () => {
  it('each test of a fixture begins with the same chain', async () => {
    const { lock, owner } = await loadFixture(lockFixture)
    const before = { block: await latest(), nonce: await owner.getNonce() }
    await owner.sendTransaction({ to: someone, value: 1 })
    await mine(7)
    const again = await loadFixture(lockFixture)
    expect(again.lock).to.equal(lock)
    expect((await latest()).hash).to.equal(before.block.hash)
    expect(await owner.getNonce()).to.equal(before.nonce)
  })

  it('fixtures take turns', async () => {
    const first = await loadFixture(firstFixture)
    const second = await loadFixture(secondFixture)
    expect(second.height).to.equal(first.height + 4)
    await mine(2)
    expect(await loadFixture(secondFixture)).to.deep.equal(second)
    expect(await loadFixture(firstFixture)).to.deep.equal(first)
    expect(await time.latestBlock()).to.equal(first.height)
    // Its snapshot was after the one that was restored, so it runs again.
    expect(await loadFixture(secondFixture)).to.deep.equal(second)
  })

  it('a snapshot is restored as often as one likes', async () => {
    const [owner] = await ethers.getSigners()
    const snapshot = await helpers.takeSnapshot()
    const before = await ethers.provider.getBalance(someone)
    for (let count = 0; count < 3; count += 1) {
      await owner.sendTransaction({ to: someone, value: 10 })
      expect(await ethers.provider.getBalance(someone)).to.equal(before + 10n)
      await snapshot.restore()
      expect(await ethers.provider.getBalance(someone)).to.equal(before)
    }
  })

  it('ids are used up', async () => {
    const first = await rpc('evm_snapshot')
    const second = await rpc('evm_snapshot')
    expect(await rpc('evm_revert', first)).to.equal(true)
    expect(await rpc('evm_revert', second)).to.equal(false)
    expect(await rpc('evm_revert', '0x123456')).to.equal(false)
  })
})

describe('blocks and time', () => {
  it('mines as many blocks as asked, as far apart as asked', async () => {
    const before = await latest()
    await mine(1_000, { interval: 12 })
    const after = await latest()
    expect(after.number - before.number).to.equal(1_000)
    expect(after.timestamp - before.timestamp).to.be.at.least(999 * 12)
    await mineUpTo(after.number + 20)
    expect(await time.latestBlock()).to.equal(after.number + 20)
  })

  it('one transaction makes one block', async () => {
    const [owner] = await ethers.getSigners()
    const before = await time.latestBlock()
    for (let count = 0; count < 3; count += 1) await owner.sendTransaction({ to: someone, value: 1 })
    expect(await time.latestBlock()).to.equal(before + 3)
  })

  it('a time is that of the block that a transaction makes', async () => {
    const [owner] = await ethers.getSigners()
    const wanted = (await time.latest()) + 12_345
    await time.setNextBlockTimestamp(wanted)
    const { blockNumber } = await (await owner.sendTransaction({ to: someone, value: 1 })).wait()
    expect((await ethers.provider.getBlock(blockNumber)).timestamp).to.equal(wanted)
    await time.increase(100)
    expect(await time.latest()).to.equal(wanted + 100)
    await time.increaseTo(wanted + 5_000)
    expect(await time.latest()).to.equal(wanted + 5_000)
    await expectRefusal(time.increaseTo(wanted), /lower than or equal to previous block's timestamp/)
  })

  it('transactions wait while automine is off', async () => {
    const [owner, other] = await ethers.getSigners()
    await rpc('evm_setAutomine', false)
    try {
      const sent = [
        await owner.sendTransaction({ to: someone, value: 1 }),
        await owner.sendTransaction({ to: someone, value: 2 }),
        await other.sendTransaction({ to: someone, value: 3 }),
      ]
      const dropped = await other.sendTransaction({ to: someone, value: 4 })
      expect(await helpers.dropTransaction(dropped.hash)).to.equal(true)
      expect(await ethers.provider.getTransactionReceipt(sent[0].hash)).to.equal(null)
      await mine()
      const receipts = await Promise.all(sent.map(({ hash }) => ethers.provider.getTransactionReceipt(hash)))
      expect(new Set(receipts.map(({ blockNumber }) => blockNumber)).size).to.equal(1)
    } finally {
      await rpc('evm_setAutomine', true)
    }
  })

  it('blocks come at intervals', async () => {
    const before = await time.latestBlock()
    await rpc('evm_setIntervalMining', 50)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    await rpc('evm_setIntervalMining', 0)
    const after = await time.latestBlock()
    expect(after - before).to.be.within(3, 25)
  })

  it('the next block has the base fee and the coinbase that were set', async () => {
    await helpers.setNextBlockBaseFeePerGas(7)
    await helpers.setCoinbase(someone)
    await mine()
    const block = await latest()
    expect(block.baseFeePerGas).to.equal(7)
    expect(block.miner.toLowerCase()).to.equal(someone)
  })

  it('what a chain of finalized blocks cannot honour says why', async () => {
    await expectRefusal(helpers.setPrevRandao(1), /is not supported: it follows from the parent/)
    await expectRefusal(helpers.setBlockGasLimit(1_000_000), /is not supported: it is a rule/)
    await expectRefusal(helpers.reset('http://127.0.0.1:1'), /has no fork/)
  })
})

describe('state', () => {
  it('accounts are as they were set', async () => {
    await helpers.setBalance(someone, 10n ** 20n)
    expect(await ethers.provider.getBalance(someone)).to.equal(10n ** 20n)
    await helpers.setNonce(someone, 9)
    expect(await ethers.provider.getTransactionCount(someone)).to.equal(9)
    const target = '0x000000000000000000000000000000000000c0de'
    await helpers.setCode(target, '0x60016000f3')
    expect(await ethers.provider.getCode(target)).to.equal('0x60016000f3')
    await helpers.setStorageAt(target, 3, 77)
    expect(BigInt(await helpers.getStorageAt(target, 3))).to.equal(77)
  })

  it('an impersonated account sends', async () => {
    const { lock, owner, other } = await loadFixture(lockFixture)
    const address = await lock.getAddress()
    await helpers.impersonateAccount(address)
    await helpers.setBalance(address, 10n ** 20n)
    const signer = await ethers.getSigner(address)
    await expect(signer.sendTransaction({ to: other, value: 3, gasLimit: 100_000 })).to.changeEtherBalance(other, 3)
    await helpers.stopImpersonatingAccount(address)
    await expectRefusal(signer.sendTransaction({ to: owner, value: 1 }), /unknown account/)
  })

  it('a failure has its reason', async () => {
    const { lock, other, unlockTime } = await loadFixture(lockFixture)
    await expect(lock.withdraw()).to.be.revertedWith("You can't withdraw yet")
    await time.setNextBlockTimestamp(unlockTime)
    await expect(lock.connect(other).withdraw()).to.be.revertedWith("You aren't the owner")
  })

  it('a reset begins anew', async () => {
    await helpers.reset()
    expect(await time.latestBlock()).to.equal(0)
    const [owner] = await ethers.getSigners()
    expect(await owner.getNonce()).to.equal(0)
  })
})
