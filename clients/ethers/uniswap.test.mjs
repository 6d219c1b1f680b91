// A day on Uniswap V2: deploy it, provide liquidity, swap, withdraw.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Contract, MaxUint256, ZeroAddress, keccak256, parseEther } from 'ethers'
import { artifact } from '../lib/artifacts.mjs'
import { httpProvider, walletOf } from '../lib/ethers.mjs'
import { amountOut, deploy, deployUniswap, pairArtifact, routerArtifact } from '../lib/uniswap.mjs'

const provider = httpProvider()
const wallet = walletOf(0, provider)
const trader = walletOf(1, provider)
const deadline = 2n ** 40n
// A pair writes two more slots when its block has a later second than its last one, so an estimate can be too low.
const gasLimit = 400_000

let weth, factory, router, tokenA, tokenB, pair
let addressA, addressB, aIsFirst

after(() => provider.destroy())

before(async () => {
  ;({ weth, factory, router } = await deployUniswap(wallet))
  tokenA = await deploy(artifact('Token'), wallet, 'A', 'A', parseEther('1000000'))
  tokenB = await deploy(artifact('Token'), wallet, 'B', 'B', parseEther('1000000'))
  addressA = await tokenA.getAddress()
  addressB = await tokenB.getAddress()
  aIsFirst = BigInt(addressA) < BigInt(addressB)
  for (const token of [tokenA, tokenB]) {
    await (await token.approve(await router.getAddress(), MaxUint256)).wait()
  }
})

const done = async (sent) => {
  const receipt = await (await sent).wait()
  assert.equal(receipt.status, 1)
  return receipt
}

/** The pair's reserves as [A, B], whichever way round it keeps them. */
async function reserves() {
  const [first, second] = await pair.getReserves()
  return aIsFirst ? [first, second] : [second, first]
}

test('the router looks for pairs made of exactly this bytecode', () => {
  // Router02 has the hash of the pair's init code built in.
  assert.ok(routerArtifact.bytecode.includes(keccak256(pairArtifact.bytecode).slice(2)))
})

test('liquidity makes the pair', async () => {
  assert.equal(await factory.getPair(addressA, addressB), ZeroAddress)
  const [amountA, amountB] = [parseEther('1000'), parseEther('4000')]
  await done(router.addLiquidity(addressA, addressB, amountA, amountB, 0, 0, wallet.address, deadline))
  pair = new Contract(await factory.getPair(addressA, addressB), pairArtifact.abi, wallet)
  assert.deepEqual(await reserves(), [amountA, amountB])
  assert.equal(await tokenA.balanceOf(await pair.getAddress()), amountA)
  // sqrt(1000 * 4000) = 2000, of which the first 1000 units are locked for ever.
  assert.equal(await pair.balanceOf(wallet.address), parseEther('2000') - 1000n)
})

test('a swap pays what the constant product says', async () => {
  const amountIn = parseEther('10')
  const [reserveA, reserveB] = await reserves()
  const expected = amountOut(amountIn, reserveA, reserveB)
  const path = [addressA, addressB]
  assert.deepEqual([...(await router.getAmountsOut(amountIn, path))], [amountIn, expected])

  const [aWas, bWas] = [await tokenA.balanceOf(wallet.address), await tokenB.balanceOf(wallet.address)]
  const receipt = await done(router.swapExactTokensForTokens(amountIn, expected, path, wallet.address, deadline, { gasLimit }))
  assert.equal(await tokenA.balanceOf(wallet.address), aWas - amountIn)
  assert.equal(await tokenB.balanceOf(wallet.address), bWas + expected)
  assert.deepEqual(await reserves(), [reserveA + amountIn, reserveB - expected])

  const [swap] = await pair.queryFilter(pair.filters.Swap(), receipt.blockNumber, receipt.blockNumber)
  const { sender, to, amount0In, amount1In, amount0Out, amount1Out } = swap.args
  assert.equal(sender, await router.getAddress())
  assert.equal(to, wallet.address)
  const wanted = aIsFirst ? [amountIn, 0n, 0n, expected] : [0n, amountIn, expected, 0n]
  assert.deepEqual([amount0In, amount1In, amount0Out, amount1Out], wanted)
  assert.equal(swap.transactionHash, receipt.hash)
})

test('a swap that would pay too little is refused with the reason of the router', async () => {
  const amountIn = parseEther('10')
  const [reserveA, reserveB] = await reserves()
  const tooMuch = amountOut(amountIn, reserveA, reserveB) + 1n
  await assert.rejects(
    router.swapExactTokensForTokens(amountIn, tooMuch, [addressA, addressB], wallet.address, deadline),
    /UniswapV2Router: INSUFFICIENT_OUTPUT_AMOUNT/,
  )
})

test('ether goes through its wrapped form', async () => {
  const [tokens, ether] = [parseEther('1000'), parseEther('10')]
  await done(router.addLiquidityETH(addressA, tokens, 0, 0, wallet.address, deadline, { value: ether }))
  const wethAddress = await weth.getAddress()
  const amountIn = parseEther('1')
  const expected = amountOut(amountIn, ether, tokens)
  const asTrader = router.connect(trader)
  const was = await tokenA.balanceOf(trader.address)
  const overrides = { value: amountIn, gasLimit }
  await done(asTrader.swapExactETHForTokens(expected, [wethAddress, addressA], trader.address, deadline, overrides))
  assert.equal(await tokenA.balanceOf(trader.address), was + expected)
  assert.equal(await weth.totalSupply(), ether + amountIn)
})

test('many swaps sent at once all happen, one after the other', async () => {
  const amountIn = parseEther('1')
  const path = [addressA, addressB]
  let [reserveA, reserveB] = await reserves()
  const nonce = await wallet.getNonce()
  const sent = await Promise.all(
    Array.from({ length: 10 }, (_, i) =>
      router.swapExactTokensForTokens(amountIn, 0, path, wallet.address, deadline, { nonce: nonce + i, gasLimit }),
    ),
  )
  await Promise.all(sent.map(done))
  for (let i = 0; i < sent.length; i++) {
    reserveB -= amountOut(amountIn, reserveA, reserveB)
    reserveA += amountIn
  }
  assert.deepEqual(await reserves(), [reserveA, reserveB])
})

test('liquidity comes out again', async () => {
  const shares = await pair.balanceOf(wallet.address)
  const [reserveA, reserveB] = await reserves()
  const total = await pair.totalSupply()
  const was = await tokenA.balanceOf(wallet.address)
  await done(pair.approve(await router.getAddress(), MaxUint256))
  await done(router.removeLiquidity(addressA, addressB, shares, 0, 0, wallet.address, deadline, { gasLimit }))
  const out = (shares * reserveA) / total
  assert.equal(await tokenA.balanceOf(wallet.address), was + out)
  assert.deepEqual(await reserves(), [reserveA - out, reserveB - (shares * reserveB) / total])
})
