// The network helpers of Hardhat 3, over JSON-RPC.

import { expect } from 'chai'
import { network } from 'hardhat'

const { ethers, networkHelpers, provider } = await network.create()
const { time } = networkHelpers
const someone = '0x00000000000000000000000000000000000a11ce'

async function counterFixture() {
  const counter = await ethers.deployContract('Counter')
  await counter.incBy(5n)
  return { counter, height: await time.latestBlock() }
}

describe('network helpers', () => {
  it('each test of a fixture begins with the same chain', async () => {
    for (let count = 0; count < 3; count += 1) {
      const { counter, height } = await networkHelpers.loadFixture(counterFixture)
      expect(await counter.x()).to.equal(5n)
      expect(await time.latestBlock()).to.equal(height)
      await counter.inc()
      expect(await counter.x()).to.equal(6n)
    }
  })

  it('a snapshot is restored', async () => {
    const snapshot = await networkHelpers.takeSnapshot()
    const before = await time.latestBlock()
    await networkHelpers.mine(10)
    expect(await time.latestBlock()).to.equal(before + 10)
    await snapshot.restore()
    expect(await time.latestBlock()).to.equal(before)
  })

  it('blocks and time come on request', async () => {
    const before = await time.latest()
    await networkHelpers.mine(500, { interval: 60 })
    expect((await time.latest()) - before).to.be.at.least(499 * 60)
    const wanted = (await time.latest()) + 1_000
    await time.setNextBlockTimestamp(wanted)
    const [owner] = await ethers.getSigners()
    const sent = await owner.sendTransaction({ to: someone, value: 1n })
    const { blockNumber } = await sent.wait()
    expect((await ethers.provider.getBlock(blockNumber)).timestamp).to.equal(wanted)
  })

  it('accounts are as they were set, and are impersonated', async () => {
    await networkHelpers.setBalance(someone, 10n ** 20n)
    await networkHelpers.impersonateAccount(someone)
    const signer = await ethers.getSigner(someone)
    const [, other] = await ethers.getSigners()
    const before = await ethers.provider.getBalance(other.address)
    await signer.sendTransaction({ to: other.address, value: 3n })
    expect(await ethers.provider.getBalance(other.address)).to.equal(before + 3n)
    await networkHelpers.stopImpersonatingAccount(someone)
    await networkHelpers.setNextBlockBaseFeePerGas(9n)
    await networkHelpers.mine()
    expect((await ethers.provider.getBlock('latest')).baseFeePerGas).to.equal(9n)
  })

  it('a failure has its reason', async () => {
    const { counter } = await networkHelpers.loadFixture(counterFixture)
    await expect(counter.incBy(0n)).to.be.revertedWith('incBy: increment should be positive')
  })

  it('transactions wait while automine is off', async () => {
    const { counter } = await networkHelpers.loadFixture(counterFixture)
    await provider.request({ method: 'evm_setAutomine', params: [false] })
    await counter.inc()
    expect(await counter.x()).to.equal(5n)
    await networkHelpers.mine()
    expect(await counter.x()).to.equal(6n)
    await provider.request({ method: 'evm_setAutomine', params: [true] })
  })
})
