//! The first page, and what surrounds every page.
//!
//! ```text
//! headway  URL                           live
//! in step with the chain        chain 31337 …
//! ┌ stages ───────────────┐┌ node ──────────┐
//! ┌ transactions/s ───────┐┌ gas/s ─────────┐
//! ┌ hot places of block N ──────────────────┐
//! q quit  p pause  tab next page  ? help
//! ```
//! Made for 80 by 24 and larger; a smaller terminal sees the upper left of it. Nothing depends on colours.

use super::{
    draw_hot,
    model::{History, Link, Model, Page},
    sample::{self, Sample},
};
use crate::chart::grouped;
use primitives::BlockStages;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph, Row, Sparkline, Table},
};

/// Shards in the line below the title.
const SHARDS_SHOWN: usize = 4;
/// Rows of the boxes.
const STAGES_ROWS: u16 = 9;
const RATES_ROWS: u16 = 5;

const HELP: [&str; 9] = [
    "q, Esc    quit",
    "p, space  stop looking, and go on",
    "tab       the other page",
    "?         this",
    "",
    "behind    blocks between a stage and the finalized order",
    "took      median from the stage above, of the last blocks",
    "executing share of the time spent on executing blocks",
    "waiting   transactions that wait for an earlier one there",
];

/// What is shown now.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let [title, state, page, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(title_line(model, title.width)), title);
    frame.render_widget(Paragraph::new(state_line(model)), state);
    match (model.page, &model.newest) {
        (_, None) => frame.render_widget(waiting(model), page),
        (Page::Overview, Some(newest)) => overview(model, newest, page, frame),
        (Page::HotPlaces, Some(_)) => draw_hot::page(model, page, frame),
    }
    let text = " q quit   p pause   tab next page   ? help";
    frame.render_widget(Paragraph::new(text).style(dim()), keys);
    if model.shows_help {
        help(frame);
    }
}

/// A heading.
pub(super) fn strong() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// What is less important.
pub(super) fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

fn title_line(model: &Model, width: u16) -> Line<'static> {
    let link = match &model.link {
        Link::Connecting => "connecting".to_owned(),
        _ if model.is_paused() => "PAUSED".to_owned(),
        Link::Live => "live".to_owned(),
        Link::Lost { since, .. } => {
            let seconds = model.now.saturating_sub(*since).as_secs();
            format!("NO ANSWER for {seconds} s")
        }
    };
    let left = format!(" headway top  {}", model.url);
    let room = usize::from(width).saturating_sub(left.chars().count() + 1);
    Line::from(vec![
        Span::styled(left, strong()),
        Span::styled(format!("{link:>room$}"), strong()),
    ])
}

fn state_line(model: &Model) -> Line<'static> {
    let Some(newest) = &model.newest else {
        return Line::default();
    };
    let health = &newest.health;
    let mut text = match (
        &model.link,
        &health.diverged,
        &health.stopped,
        &health.syncing,
    ) {
        (Link::Lost { problem, .. }, ..) => format!(" {problem}"),
        (_, Some(_), ..) => {
            " DIVERGED: this node's result contradicts a certificate; see its log".to_owned()
        }
        (_, _, Some(reason), _) => format!(" STOPPED: {reason}"),
        (_, _, _, Some(syncing)) => format!(
            " SYNCING: executed {} of {}",
            grouped(syncing.current.to::<u64>()),
            grouped(syncing.target.to::<u64>())
        ),
        _ => " in step with the chain".to_owned(),
    };
    if let Some(identity) = &newest.identity {
        text.push_str(&format!(
            "   chain {}   {}",
            identity.chain_id, identity.client
        ));
    }
    for shard in health.shards.iter().take(SHARDS_SHOWN) {
        let word = match (shard.behind, shard.stalled) {
            (true, _) => " BEHIND",
            (false, true) => " STALLED",
            (false, false) => "",
        };
        let latest = grouped(shard.latest.to::<u64>());
        text.push_str(&format!("   shard {} at {latest}{word}", shard.id));
    }
    if model.restarts > 0 {
        text.push_str(&format!("   restarted {} times", model.restarts));
    }
    Line::from(text)
}

fn waiting(model: &Model) -> Paragraph<'static> {
    let text = match &model.link {
        Link::Lost { problem, .. } => {
            format!("\n {problem}\n\n Trying again every {:?}.", model.interval)
        }
        Link::Connecting | Link::Live => "\n Asking the node …".to_owned(),
    };
    Paragraph::new(text)
}

fn overview(model: &Model, newest: &Sample, area: Rect, frame: &mut Frame<'_>) {
    let [upper, rates, hot] = Layout::vertical([
        Constraint::Length(STAGES_ROWS),
        Constraint::Length(RATES_ROWS),
        Constraint::Min(0),
    ])
    .areas(area);
    let halves = [Constraint::Percentage(52), Constraint::Percentage(48)];
    let [stages, node] = Layout::horizontal(halves).areas(upper);
    frame.render_widget(stage_table(model, newest), stages);
    frame.render_widget(node_box(model, newest), node);
    let [transactions, gas] = Layout::horizontal(halves).areas(rates);
    rate(" transactions/s", &model.transactions, transactions, frame);
    rate(" gas/s", &model.gas, gas, frame);
    draw_hot::brief(model, hot, frame);
}

/// Since which stage, until which, and what is at it.
type StageRow = (
    &'static str,
    Option<u64>,
    fn(&BlockStages) -> Option<u64>,
    fn(&BlockStages) -> Option<u64>,
);

fn stage_table(model: &Model, newest: &Sample) -> Table<'static> {
    let heads = newest.health.heads;
    let finalized = heads.finalized.to::<u64>();
    let durable = newest.metrics.get(sample::DURABLE_HEIGHT).map(to_count);
    let rows: [StageRow; 6] = [
        ("proposed", None, |_| None, |_| None),
        ("notarized", None, |s| s.proposed_ms, |s| s.notarized_ms),
        (
            "finalized",
            Some(finalized),
            |s| s.notarized_ms.or(s.proposed_ms),
            |s| s.finalized_ms,
        ),
        (
            "executed",
            Some(heads.executed.to()),
            |s| s.finalized_ms,
            |s| s.executed_ms,
        ),
        (
            "verified",
            Some(heads.verified.to()),
            |s| s.executed_ms,
            |s| s.verified_ms,
        ),
        ("durable", durable, |s| s.verified_ms, |s| s.durable_ms),
    ];
    let rows = rows.map(|(name, height, from, to)| {
        let behind = height.map(|height| finalized.saturating_sub(height));
        let took = model.median_ms(from, to);
        Row::new([
            name.to_owned(),
            height.map_or_else(String::new, |height| format!("{:>12}", grouped(height))),
            behind.map_or_else(String::new, |behind| format!("{:>6}", grouped(behind))),
            took.map_or_else(String::new, |ms| {
                format!("{:>8}", format!("{} ms", grouped(ms)))
            }),
        ])
    });
    let widths = [10, 12, 6, 8].map(Constraint::Length);
    let head = ["stage", "      height", "behind", "    took"];
    Table::new(rows, widths)
        .header(Row::new(head).style(strong()))
        .block(Block::bordered().title(" stages "))
}

fn node_box(model: &Model, newest: &Sample) -> Paragraph<'static> {
    let mut lines = Vec::new();
    let mut say = |name: &str, text: String| lines.push(Line::from(format!("{name:10}{text}")));
    let unknown = || "–".to_owned();
    let share = model
        .executing
        .newest()
        .map(|share| format!("{:.1} % of the time", share / 10.0));
    say("executing", share.unwrap_or_else(unknown));
    let run = model.run.as_ref().map(|run| {
        let busy = run
            .busy_permille
            .map_or_else(String::new, |busy| format!(", {} % busy", busy / 10));
        format!("{}{busy}, {} again", run.workers, grouped(run.reexecutions))
    });
    say("workers", run.unwrap_or_else(unknown));
    let block = newest.block.as_ref().map(|block| {
        let limit = block.gas_limit.to::<u64>().max(1);
        let full = block.gas_used.to::<u64>() as f64 * 100.0 / limit as f64;
        format!(
            "{} txs, {full:.1} % full",
            grouped(block.transactions.len())
        )
    });
    say("block", block.unwrap_or_else(unknown));
    let blocks = model.blocks.newest().map(|blocks| format!("{blocks:.1}/s"));
    let fee = newest
        .block
        .as_ref()
        .and_then(|block| block.base_fee_per_gas);
    let fee = fee.map_or_else(String::new, |fee| match fee.to::<u64>() {
        wei if wei < 1_000_000 => format!(", fee {} wei", grouped(wei)),
        wei => format!(", fee {:.3} gwei", wei as f64 / 1e9),
    });
    say("blocks", blocks.unwrap_or_else(unknown) + &fee);
    let pool = newest.pool.map(|pool| {
        format!(
            "{} pending, {} queued",
            grouped(pool.pending.to::<u64>()),
            grouped(pool.queued.to::<u64>())
        )
    });
    say("pool", pool.unwrap_or_else(unknown));
    say("peers", newest.peers.map_or_else(unknown, grouped));
    let bytes = |name| newest.metrics.get(name).map_or_else(unknown, size);
    let (disk, memory) = (bytes(sample::DISK_BYTES), bytes(sample::MEMORY_BYTES));
    say("uses", format!("{memory}, state {disk}"));
    Paragraph::new(lines).block(Block::bordered().title(" node "))
}

fn rate(title: &'static str, history: &History, area: Rect, frame: &mut Frame<'_>) {
    let newest = history.newest().map_or_else(|| "–".to_owned(), compact);
    let most = compact(history.largest());
    let block = Block::bordered().title(format!("{title}  {newest}  (most {most}) "));
    let inner = block.inner(area);
    let shown = usize::from(inner.width).min(history.values.len());
    let values = history.values.iter().skip(history.values.len() - shown);
    // Scaled, because a bar of small numbers would have no steps.
    let values: Vec<u64> = values.map(|value| to_count(value * 1_000.0)).collect();
    frame.render_widget(block, area);
    frame.render_widget(Sparkline::default().data(values), inner);
}

fn help(frame: &mut Frame<'_>) {
    let area = frame.area();
    let (width, height) = (62.min(area.width), 11.min(area.height));
    let area = Rect {
        x: (area.width - width) / 2,
        y: (area.height - height) / 2,
        width,
        height,
    };
    let lines: Vec<Line<'_>> = HELP.into_iter().map(Line::from).collect();
    frame.render_widget(Clear, area);
    frame.render_widget(
        Paragraph::new(lines).block(Block::bordered().title(" help ")),
        area,
    );
}

/// A count out of a metric.
fn to_count(value: f64) -> u64 {
    // Casts from floats saturate; a negative or broken value is nothing.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to what fits"
    )]
    let count = value.clamp(0.0, 9e15) as u64;
    count
}

/// A rate, short enough for a title.
fn compact(value: f64) -> String {
    match value {
        value if value >= 1e9 => format!("{:.2} G", value / 1e9),
        value if value >= 1e6 => format!("{:.1} M", value / 1e6),
        value => grouped(to_count(value.round())),
    }
}

/// Bytes in a readable unit.
fn size(bytes: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes;
    let mut unit = units[0];
    for next in &units[1..] {
        if value < 1_000.0 {
            break;
        }
        value /= 1_000.0;
        unit = next;
    }
    match value < 10.0 && unit != "B" {
        true => format!("{value:.1} {unit}"),
        false => format!("{value:.0} {unit}"),
    }
}
