// Uniswap V2 as its npm packages have it: wrapped ether, factory, router.

import { ContractFactory } from 'ethers'
import { packaged } from './artifacts.mjs'

export const pairArtifact = packaged('@uniswap/v2-core/build/UniswapV2Pair.json')
export const routerArtifact = packaged('@uniswap/v2-periphery/build/UniswapV2Router02.json')
const wethArtifact = packaged('canonical-weth/build/contracts/WETH9.json')
const factoryArtifact = packaged('@uniswap/v2-core/build/UniswapV2Factory.json')

export async function deploy({ abi, bytecode }, wallet, ...args) {
  const contract = await new ContractFactory(abi, bytecode, wallet).deploy(...args)
  return contract.waitForDeployment()
}

export async function deployUniswap(wallet) {
  const weth = await deploy(wethArtifact, wallet)
  const factory = await deploy(factoryArtifact, wallet, wallet.address)
  const router = await deploy(routerArtifact, wallet, await factory.getAddress(), await weth.getAddress())
  return { weth, factory, router }
}

/** What a pair pays for `amountIn`, after its fee of 0.3 %: x * y may not fall. */
export function amountOut(amountIn, reserveIn, reserveOut) {
  const afterFee = amountIn * 997n
  return (afterFee * reserveOut) / (reserveIn * 1000n + afterFee)
}
