//! Everything that has to be on the chain before the clock starts, through the same RPC.
//!
//! ```text
//! accounts ─▶ what each lacks ─▶ sender 0 deploys and pays ─▶ each sender mints and approves
//!                                └──────────── waves: send ─▶ receipts ─▶ next ──────────┘
//! ```
//! Money first: how much a transaction offers per gas is as much as sender 0 can pay for in all. A wave is
//! small enough for the pool of any node, and the next begins when every transaction of this one has a
//! receipt that says success.

use super::{
    LoadOptions, OnProgress, Progress,
    client::{CALLS_MAX, Client},
    error::LoadError,
    parallel::in_parallel,
    plan::Plan,
    refusal::Verdict,
    scene::{Call, Scene},
    sender::{self, BASE_FEE_FACTORS, Fees, Head, Sender},
    sign::{Signed, Terms},
    submit::{Reply, submit},
};
use alloy_primitives::{Address, B256, U64, U256};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Transactions that may wait at a time.
const WAVE: usize = 1_000;
/// Between two looks for receipts, and before something refused is sent again.
const POLL: Duration = Duration::from_millis(50);

/// What a run begins with.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) terms: Terms,
    pub(super) scene: Scene,
    pub(super) senders: Vec<Sender>,
    /// The highest block when it was done.
    pub(super) height: u64,
    /// Transactions it took.
    pub(super) transactions: usize,
}

/// A transaction of a wave.
#[derive(Clone, Debug)]
struct Step {
    sender: usize,
    nonce: u64,
    call: Call,
}

#[derive(Debug, Deserialize)]
struct Receipt {
    status: Option<U64>,
}

/// Sends waves.
struct Waves<'a> {
    client: &'a Client,
    terms: Terms,
    timeout: Duration,
    progress: OnProgress<'a>,
    done: usize,
    total: usize,
}

/// Money of the senders.
struct Purse {
    fees: Fees,
    /// Whom to pay, and what.
    gifts: Vec<(Address, U256)>,
}

/// Sets the scene and funds the senders.
pub(super) async fn prepare(
    client: &Client,
    options: &LoadOptions,
    plan: &Plan,
    progress: OnProgress<'_>,
) -> Result<Prepared, LoadError> {
    let chain_id = client.chain_id().await?;
    let head = Head::read(client).await?;
    let mut senders = sender::derive(&options.mnemonic, plan.senders, progress)?;
    let addresses: Vec<Address> = senders
        .iter()
        .map(|sender| sender.signer.address())
        .collect();
    let (balances, nonces) = sender::read_accounts(client, &addresses, progress).await?;
    for (sender, nonce) in senders.iter_mut().zip(nonces) {
        sender.nonce = nonce;
    }
    let (owner, nonce) = match senders.first() {
        Some(owner) => (owner.signer.address(), owner.nonce),
        None => return Err(LoadError::Options("--senders: choose 1 or more")),
    };
    let (scene, set) = Scene::set(plan, owner, nonce, head.hash);
    let purse = Purse::fill(&head, &Needs::of(plan, &scene, &set), &addresses, &balances)?;
    let gifts = purse
        .gifts
        .iter()
        .map(|(to, wei)| Call::transfer(*to, *wei));
    let owner_calls = set.into_iter().chain(gifts).collect();
    let sender_calls = addresses.iter().enumerate();
    let sender_calls: Vec<Vec<Call>> = sender_calls
        .map(|(index, address)| scene.sender_calls(plan, index, *address))
        .collect();
    let owner_steps = steps(&mut senders, vec![owner_calls]);
    let sender_steps = steps(&mut senders, sender_calls);
    let total = owner_steps.len() + sender_steps.len();
    let terms = Terms {
        chain_id,
        fees: purse.fees,
    };
    let mut waves = Waves {
        client,
        terms,
        timeout: options.timeout,
        progress,
        done: 0,
        total,
    };
    waves.run(&senders, &owner_steps).await?;
    waves.run(&senders, &sender_steps).await?;
    Ok(Prepared {
        terms,
        scene,
        senders,
        height: client.block_number().await?,
        transactions: total,
    })
}

/// Calls of each sender as steps: the first of every sender, then the second of every sender, …, so that a
/// wave has few of each.
fn steps(senders: &mut [Sender], calls: Vec<Vec<Call>>) -> Vec<Step> {
    let rounds = calls.iter().map(Vec::len).max().unwrap_or_default();
    let mut calls: Vec<_> = calls.into_iter().map(Vec::into_iter).collect();
    let mut steps = Vec::new();
    for _ in 0..rounds {
        for (index, (calls, sender)) in calls.iter_mut().zip(senders.iter_mut()).enumerate() {
            let Some(call) = calls.next() else {
                continue;
            };
            steps.push(Step {
                sender: index,
                nonce: sender.nonce,
                call,
            });
            sender.nonce += 1;
        }
    }
    steps
}

/// Gas and money that the senders need.
struct Needs {
    /// Of each sender: gas, and what its transactions move.
    senders: Vec<(u64, U256)>,
    /// Gas for setting the scene.
    scene_gas: u64,
}

impl Needs {
    fn of(plan: &Plan, scene: &Scene, set: &[Call]) -> Self {
        let senders = (0..plan.senders).map(|index| {
            let value = U256::from(plan.share(index)) * super::scene::VALUE_WEI;
            (scene.gas(plan, index), value)
        });
        Self {
            senders: senders.collect(),
            scene_gas: set.iter().map(|call| call.gas).sum(),
        }
    }
}

impl Purse {
    /// The best fees that the first account can pay for.
    fn fill(
        head: &Head,
        needs: &Needs,
        addresses: &[Address],
        balances: &[U256],
    ) -> Result<Self, LoadError> {
        let mut funds = None;
        for factor in BASE_FEE_FACTORS {
            let (purse, needed) = Self::with(head.fees(factor), needs, addresses, balances);
            let (Some(address), Some(balance)) = (addresses.first(), balances.first()) else {
                return Ok(purse);
            };
            if needed <= *balance {
                return Ok(purse);
            }
            funds = Some(LoadError::Funds {
                address: *address,
                balance: *balance,
                needed,
            });
        }
        Err(funds.unwrap_or(LoadError::Options("no fee to offer")))
    }

    /// The gifts at these fees, and what the first account needs in all.
    fn with(fees: Fees, needs: &Needs, addresses: &[Address], balances: &[U256]) -> (Self, U256) {
        let mut gifts = Vec::new();
        let mut needed = fees.cost_max(needs.scene_gas);
        let accounts = addresses.iter().zip(balances).zip(&needs.senders);
        for (index, ((address, balance), (gas, value))) in accounts.enumerate() {
            let need = fees.cost_max(*gas) + value;
            if index == 0 {
                needed += need;
            } else if *balance < need {
                let gift = need - balance;
                needed += gift + fees.cost_max(super::scene::TRANSFER_GAS);
                gifts.push((*address, gift));
            }
        }
        (Self { fees, gifts }, needed)
    }
}

impl Waves<'_> {
    async fn run(&mut self, senders: &[Sender], steps: &[Step]) -> Result<(), LoadError> {
        for wave in steps.chunks(WAVE) {
            let signed = in_parallel(wave.len(), |index| self.sign(senders, wave.get(index)))?;
            let signed = signed.into_iter().collect::<Result<Vec<_>, _>>()?;
            let whats = wave.iter().map(|step| step.call.what);
            let wave: Vec<(&Signed, &'static str)> = signed.iter().zip(whats).collect();
            let deadline = Instant::now() + self.timeout;
            for part in wave.chunks(CALLS_MAX) {
                self.send(part.to_vec(), deadline).await?;
            }
            for part in wave.chunks(CALLS_MAX) {
                self.await_receipts(part.to_vec(), deadline).await?;
                self.done += part.len();
                (self.progress)(Progress::of("preparing", self.done, self.total));
            }
        }
        Ok(())
    }

    fn sign(&self, senders: &[Sender], step: Option<&Step>) -> Result<Signed, LoadError> {
        let step = step.and_then(|step| Some((step, senders.get(step.sender)?)));
        let Some((step, sender)) = step else {
            return Err(LoadError::Signing("a step of no sender".to_owned()));
        };
        self.terms.sign(sender, step.nonce, step.call.clone())
    }

    async fn send(
        &self,
        mut left: Vec<(&Signed, &'static str)>,
        deadline: Instant,
    ) -> Result<(), LoadError> {
        while let Some((_, what)) = left.first() {
            self.require_time(what, deadline)?;
            let signed: Vec<&Signed> = left.iter().map(|(signed, _)| *signed).collect();
            let replies = submit(self.client, &signed).await?;
            let verdicts = replies.into_iter().map(is_again);
            let again = verdicts.collect::<Result<Vec<bool>, _>>()?;
            let again = left.into_iter().zip(again).filter(|(_, again)| *again);
            left = again.map(|(step, _)| step).collect();
            if !left.is_empty() {
                sleep(POLL).await;
            }
        }
        Ok(())
    }

    async fn await_receipts(
        &self,
        mut left: Vec<(&Signed, &'static str)>,
        deadline: Instant,
    ) -> Result<(), LoadError> {
        while let Some((last, what)) = left.last().copied() {
            self.require_time(what, deadline)?;
            // One question until the last is there, which is usually after all others.
            match self
                .receipts(&[last.hash])
                .await?
                .iter()
                .any(Option::is_some)
            {
                true => left = self.without_receipt(left).await?,
                false => sleep(POLL).await,
            }
        }
        Ok(())
    }

    async fn without_receipt<'a>(
        &self,
        steps: Vec<(&'a Signed, &'static str)>,
    ) -> Result<Vec<(&'a Signed, &'static str)>, LoadError> {
        let hashes: Vec<B256> = steps.iter().map(|(signed, _)| signed.hash).collect();
        let mut left = Vec::new();
        for ((signed, what), receipt) in steps.into_iter().zip(self.receipts(&hashes).await?) {
            match receipt {
                None => left.push((signed, what)),
                Some(receipt) if receipt.status == Some(U64::ZERO) => {
                    let hash = signed.hash;
                    return Err(LoadError::Preparation { what, hash });
                }
                Some(_) => {}
            }
        }
        Ok(left)
    }

    async fn receipts(&self, hashes: &[B256]) -> Result<Vec<Option<Receipt>>, LoadError> {
        let params = hashes.iter().map(|hash| json!([hash])).collect();
        self.client.batch("eth_getTransactionReceipt", params).await
    }

    fn require_time(&self, what: &'static str, deadline: Instant) -> Result<(), LoadError> {
        match Instant::now() > deadline {
            true => Err(LoadError::NotPrepared {
                what,
                waited_seconds: self.timeout.as_secs(),
            }),
            false => Ok(()),
        }
    }
}

/// Whether to send it again.
fn is_again(reply: Reply) -> Result<bool, LoadError> {
    let Reply::Refused(error) = reply else {
        return Ok(reply == Reply::Unanswered);
    };
    match Verdict::of(&error) {
        // A used nonce is the transaction's own if it was sent again; else its receipt will not come.
        Verdict::Known | Verdict::Stale => Ok(false),
        Verdict::Later => Ok(true),
        Verdict::Never => Err(error.of("eth_sendRawTransaction")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Workload;

    const PLAN: Plan = Plan {
        workload: Workload::Mixed,
        transactions: 1_000,
        senders: 7,
        conflicts: None,
        recipients: None,
    };

    fn head(base_fee: u64) -> Head {
        let base_fee = format!("0x{base_fee:x}");
        let head = json!({"hash": B256::ZERO, "baseFeePerGas": base_fee});
        serde_json::from_value(head).unwrap()
    }

    #[test]
    fn a_purse_holds_what_every_sender_needs_and_no_more_than_there_is() {
        let addresses: Vec<Address> = (1..=7).map(Address::repeat_byte).collect();
        let (scene, set) = Scene::set(&PLAN, addresses[0], 5, B256::ZERO);
        let needs = Needs::of(&PLAN, &scene, &set);
        let rich = U256::from(10).pow(U256::from(24));
        let mut balances = vec![U256::ZERO; 7];
        balances[0] = rich;
        balances[3] = rich;
        let mut factors = Vec::new();
        for shift in 0..50 {
            balances[0] = rich >> shift;
            let Ok(purse) = Purse::fill(&head(1_000_000_000), &needs, &addresses, &balances) else {
                continue;
            };
            let mut after = balances.clone();
            let gas = needs.scene_gas + 21_000 * purse.gifts.len() as u64;
            for (to, gift) in &purse.gifts {
                after[addresses.iter().position(|address| address == to).unwrap()] += *gift;
                after[0] -= gift;
            }
            after[0] -= purse.fees.cost_max(gas);
            for (balance, (gas, value)) in after.iter().zip(&needs.senders) {
                assert!(*balance >= purse.fees.cost_max(*gas) + value);
            }
            assert!(purse.gifts.len() == 5, "the rich need none");
            factors.push(purse.fees.max_fee);
        }
        assert!(
            factors.is_sorted_by(|more, less| more >= less),
            "{factors:?}"
        );
        assert!(factors.first() > factors.last(), "less money, smaller fees");
        balances[0] = U256::from(1);
        let refused = Purse::fill(&head(1), &needs, &addresses, &balances);
        assert!(matches!(refused, Err(LoadError::Funds { .. })));
    }

    #[test]
    fn steps_take_turns_and_keep_nonces_in_order() {
        let mut senders = sender::derive(crate::dev::MNEMONIC, 3, &|_| {}).unwrap();
        let call = Call::transfer(Address::ZERO, U256::ONE);
        let calls = vec![vec![call.clone(); 3], vec![], vec![call; 1]];
        let steps = steps(&mut senders, calls);
        let order: Vec<_> = steps.iter().map(|step| (step.sender, step.nonce)).collect();
        assert_eq!(order, [(0, 0), (2, 0), (0, 1), (0, 2)]);
        let nonces: Vec<_> = senders.iter().map(|sender| sender.nonce).collect();
        assert_eq!(nonces, [3, 0, 1]);
    }
}
