//! The reports, for people.

use super::{
    backing::BackingReport,
    costs::Costs,
    execution::ExecutionReport,
    model::{Bound, Budget, Model},
    scaling::ScalingReport,
    seeds::SeedsReport,
    watch::Figures,
};
use crate::chart::{grouped, short};

impl Model {
    fn line(&self) -> String {
        format!(
            "{} validators, {} shards with {} collator(s) each, {} cores a node; a relay block each {} ms;\n{} ms a hop, {} ms of jitter, {} Mbit/s each way",
            self.validators,
            self.shards,
            self.collators,
            self.node_cores,
            self.block_ms,
            self.hop_ms,
            self.jitter_ms,
            grouped(self.bandwidth_mbit),
        )
    }
}

impl Costs {
    /// A table.
    #[must_use]
    pub fn table(&self) -> String {
        let us = |ns: u64| short(ns as f64 / 1_000.0);
        [
            ("build, a transaction, us", us(self.build_ns)),
            ("check, a transaction, us", us(self.check_ns)),
            ("cut, a KiB, us", us(self.cut_kib_ns)),
            ("restore, a KiB, us", us(self.restore_kib_ns)),
            ("hash, a KiB, us", us(self.hash_kib_ns)),
            ("one signature, us", us(self.signature_ns)),
            ("one of many signatures, us", us(self.batch_signature_ns)),
            ("a message, us", us(self.message_ns)),
            ("order, a transaction, us", us(self.order_ns)),
            ("gas of a transaction", grouped(self.gas)),
            (
                "bytes of a transaction in a collation",
                grouped(self.collation_bytes),
            ),
        ]
        .into_iter()
        .map(|(name, value)| format!("  {name:<40} {value:>10}\n"))
        .collect()
    }
}

fn budget_line(name: &str, budget: &Budget) -> String {
    format!(
        "  {name:<14} {:>6} ms of execution, {:>8} transactions, {}\n",
        budget.execution_ms,
        grouped(budget.transactions),
        match budget.bound {
            Bound::BlockTime => "bound by the block time",
            Bound::Window => "bound by the way into a relay block",
            Bound::Bytes => "bound by the largest collation",
            Bound::Gas => "bound by the largest gas limit",
        },
    )
}

fn row(name: &str, (left, right): (String, String)) -> String {
    format!("  {name:<44} {left:>14} {right:>14}\n")
}

impl BackingReport {
    fn rows(&self) -> [String; 12] {
        let (ahead, behind) = (&self.asynchronous, &self.synchronous);
        let pair = |pick: &dyn Fn(&Figures) -> f64| (short(pick(ahead)), short(pick(behind)));
        let delay = |one: &Figures| one.transaction_to_final_ms.map_or(0.0, |spread| spread.p50);
        let delays = |left: &Figures, right: &Figures| {
            (short(delay(left).round()), short(delay(right).round()))
        };
        let whole = |pick: &dyn Fn(&Figures) -> f64| {
            (grouped(pick(ahead).round()), grouped(pick(behind).round()))
        };
        [
            row("", ("asynchronous".to_owned(), "synchronous".to_owned())),
            row(
                "full load: gas a second, all shards",
                whole(&|one| one.gas_per_second),
            ),
            row(
                "  transactions a second",
                whole(&|one| one.transactions_per_second),
            ),
            row(
                "  time between blocks of a shard, ms",
                whole(&|one| one.block_interval_ms),
            ),
            row(
                "  backed to final, relay blocks, median",
                pair(&|one| one.backed_to_final_blocks.p50),
            ),
            row(
                "  collated to final, ms, median",
                whole(&|one| one.collated_to_final_ms.p50),
            ),
            row(
                "  the same without the check, hops",
                pair(&|one| one.collated_to_final_hops),
            ),
            row(
                "  relay blocks without a candidate",
                whole(&|one| one.missed_turns as f64),
            ),
            row(
                "  a validator's processor, share",
                pair(&|one| one.usage.cpu_mean),
            ),
            row(
                "  a validator receives, MB/s",
                pair(&|one| one.usage.received_mb_mean),
            ),
            row(
                "bursts: transaction to final, ms, median",
                delays(&self.asynchronous_bursts, &self.synchronous_bursts),
            ),
            row(
                "even load: transaction to final, ms, median",
                delays(&self.asynchronous_steady, &self.synchronous_steady),
            ),
        ]
    }

    /// A table.
    #[must_use]
    pub fn table(&self) -> String {
        let rows = self.rows();
        format!(
            "{}\na relay block is final and seen {} ms after its proposal; a block of a shard may take\n{}{}\n{}\n  {:<44} {:>14}\n  {:<44} {:>14}\n  {:<44} {:>14}\n  {:<44} {:>14}\n\nbursts of {} transactions and even load are {} a second of each shard; costs:\n{}",
            self.model.line(),
            self.relay_finality_ms,
            budget_line("asynchronous", &self.budget_asynchronous),
            budget_line("synchronous", &self.budget_synchronous),
            rows.concat(),
            "blockspace, asynchronous / synchronous",
            short(self.blockspace_ratio),
            "latency in bursts, synchronous / asynchronous",
            short(self.latency_ratio),
            "latency at even load, the same",
            short(self.latency_ratio_steady),
            "time between blocks, the same",
            short(self.block_interval_ratio),
            grouped(self.burst),
            grouped(self.latency_load),
            self.model.costs.table(),
        )
    }
}

impl ExecutionReport {
    /// A table.
    #[must_use]
    pub fn table(&self) -> String {
        let line = |name: &str, left: f64, right: f64| row(name, (short(left), short(right)));
        let gas = |gas: f64| grouped((gas / 1e6).round());
        let rates = self.curve.iter().map(|point| {
            let name = format!(
                "blocks a second, {} ms of execution",
                short(point.execution_ms)
            );
            line(&name, point.block_rate_async, point.block_rate_interleaved)
        });
        let rates: String = rates.collect();
        [
            self.model.line() + "\n\n",
            row(
                "",
                ("after ordering".to_owned(), "before the vote".to_owned()),
            ),
            line(
                "execution, share of the block time",
                self.execution_budget_share,
                self.execution_budget_share_interleaved,
            ),
            line(
                "blocks a second, of the largest of those",
                self.block_rate_async,
                self.block_rate_interleaved,
            ),
            row(
                "room on one core, Mgas/s",
                (
                    gas(self.gas_per_second_async),
                    gas(self.gas_per_second_interleaved),
                ),
            ),
            rates,
        ]
        .concat()
    }
}

impl ScalingReport {
    /// A table.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!(
            "{} cores a node; a relay block each {} ms; {} ms a hop, {} Mbit/s each way\n\n{:>10} {:>7} {:>9} {:>10} {:>8} {:>8} {:>7} {:>9} {:>9}\n",
            self.model.node_cores,
            self.model.block_ms,
            self.model.hop_ms,
            grouped(self.model.bandwidth_mbit),
            "validators",
            "shards",
            "tx/s",
            "Mgas/s",
            "blocks",
            "final",
            "cpu",
            "sent MB/s",
            "recv MB/s",
        );
        for row in &self.rows {
            let figures = &row.figures;
            text += &format!(
                "{:>10} {:>7} {:>9} {:>10} {:>7.0}% {:>8} {:>6.0}% {:>9.1} {:>9.1}\n",
                row.validators,
                row.shards,
                grouped(figures.transactions_per_second.round()),
                grouped((figures.gas_per_second / 1e6).round()),
                row.block_share * 100.0,
                short(figures.backed_to_final_blocks.p50),
                figures.usage.cpu_mean * 100.0,
                figures.usage.sent_mb_max,
                figures.usage.received_mb_mean,
            );
        }
        text + "\nblocks: of one for each relay block and shard; final: relay blocks from backed to final, median;\ncpu, recv: a validator on average; sent: the one that sends most\n"
    }
}

impl SeedsReport {
    /// A few lines.
    #[must_use]
    pub fn table(&self) -> String {
        format!(
            "ok   {} seeds from {}: final blocks never forked, nothing was lost, nobody honest was blamed\n     {} relay blocks, {} transactions final, {} candidates discarded on the way,\n     {} nodes killed, {} cut off for a while\n",
            grouped(self.seeds),
            self.first,
            grouped(self.relay_blocks),
            grouped(self.transactions),
            grouped(self.discarded),
            grouped(self.killed),
            grouped(self.cut_off),
        )
    }
}
