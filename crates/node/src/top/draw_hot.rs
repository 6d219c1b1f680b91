//! What transactions wait for: the newest block's profile, in brief and as a page.

use super::{
    draw::{dim, strong},
    model::Model,
};
use crate::{
    chart::grouped,
    profile::text::{function, kind, percent, where_is},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    widgets::{Block, Paragraph, Row, Table, Wrap},
};
use rpc::{RpcFunction, RpcProfile};

/// Rows of the page's figures.
const FIGURES_ROWS: u16 = 4;

/// As many places as there is room for.
pub(super) fn brief(model: &Model, area: Rect, frame: &mut Frame<'_>) {
    match &model.profile {
        Some(profile) => frame.render_widget(table(profile), area),
        None => {
            let block = Block::bordered().title(" hot places ");
            let text = Paragraph::new("no block with transactions yet").style(dim());
            frame.render_widget(text.block(block), area);
        }
    }
}

/// Figures, places, and what to do about them.
pub(super) fn page(model: &Model, area: Rect, frame: &mut Frame<'_>) {
    let Some(profile) = &model.profile else {
        return brief(model, area, frame);
    };
    let [figures, places, advice] = Layout::vertical([
        Constraint::Length(FIGURES_ROWS),
        Constraint::Percentage(45),
        Constraint::Min(0),
    ])
    .areas(area);
    frame.render_widget(self::figures(profile), figures);
    frame.render_widget(table(profile), places);
    let text = profile.advice.join("\n");
    let text = Paragraph::new(text).wrap(Wrap { trim: true });
    frame.render_widget(text.block(Block::bordered().title(" what to do ")), advice);
}

fn figures(profile: &RpcProfile) -> Paragraph<'static> {
    let path = &profile.critical_path;
    let waiting = format!(
        "{} of {} transactions wait; longest chain: {}, {} of the gas",
        grouped(profile.waiting_count),
        grouped(profile.transaction_count),
        grouped(path.transaction_count),
        percent(path.gas_permille)
    );
    let bounds = profile.speedups.iter().map(|speedup| {
        let permille = speedup.bound_permille;
        format!(
            "{}: {}.{}x",
            speedup.workers,
            permille / 1_000,
            permille % 1_000 / 100
        )
    });
    let bounds: Vec<String> = bounds.collect();
    let text = format!("{waiting}\nat best  {}", bounds.join("  "));
    Paragraph::new(text).block(Block::bordered().title(title(profile)))
}

fn title(profile: &RpcProfile) -> String {
    let height = profile.height.to::<u64>();
    format!(" hot places of block {} ", grouped(height))
}

/// The usual name of a function alone, where it has one.
fn short(function: &RpcFunction) -> String {
    let name = self::function(function);
    let usual = name
        .split_once(" (")
        .and_then(|(_, usual)| usual.strip_suffix(')'));
    usual.map_or(name.clone(), str::to_owned)
}

fn table(profile: &RpcProfile) -> Table<'static> {
    let rows = profile.hot_places.iter().map(|place| {
        let called = place.functions.first().map_or_else(String::new, short);
        Row::new([
            format!("{:>7}", grouped(place.waiting_count)),
            format!("{:>7}", percent(place.critical_permille)),
            kind(&place.kind).to_owned(),
            where_is(place.address, place.slot),
            called,
        ])
    });
    let widths = [
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(13),
        Constraint::Length(28),
        Constraint::Min(10),
    ];
    let head = ["waiting", "of path", "kind", "place", "called by"];
    Table::new(rows, widths)
        .header(Row::new(head).style(strong()))
        .block(Block::bordered().title(title(profile)))
}
