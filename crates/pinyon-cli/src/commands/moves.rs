//! `pinyon move` and `pinyon moves`.

use crate::{
    access::Access,
    arguments::{Move, Moves},
    exit::Outcome,
    output,
};
use indicatif::{ProgressBar, ProgressStyle};
use pinyon_wire::moves::{MoveInfo, MoveList, MoveRequest};
use std::{io::IsTerminal, thread, time::Duration};

/// Between two looks at a move.
const LOOK: Duration = Duration::from_millis(200);
/// Lines of progress where there is no terminal: one in so many looks.
const LOOKS_PER_LINE: u32 = 10;

/// Begins to move a tenant, and waits for it if that is asked for.
///
/// # Errors
/// What the engine or the server says.
pub fn begin(command: &Move) -> anyhow::Result<Outcome> {
    let access = Access::to(&command.target)?;
    let request = MoveRequest {
        tenant_id: command.tenant.clone(),
        shard_id: command.to,
        index: command.index.clone(),
        request_id: command.request_id.clone(),
    };
    let begun = access.begin_move(&request)?;
    // What is opened here is closed when this command ends.
    let waits = command.wait || !access.is_remote();
    let last = if waits { wait(&access, begun, command.target.json)? } else { begun };
    access.close()?;
    if command.target.json {
        output::json(&last)?;
    } else {
        println!("{}", sentence(&last));
        if !waits {
            println!("  it goes on by itself: `pinyon moves` shows how far it is");
        }
    }
    let is_there = !waits || last.phase == "done";
    Ok(if is_there { Outcome::Good } else { Outcome::Bad })
}

/// Lists moves, or turns one back.
///
/// # Errors
/// What the engine or the server says.
pub fn list(command: &Moves) -> anyhow::Result<Outcome> {
    let access = Access::to(&command.target)?;
    let list = match &command.abort {
        Some(id) => {
            let aborted = access.abort_move(id)?;
            let last = if access.is_remote() { aborted } else { wait(&access, aborted, true)? };
            MoveList { moves: vec![last] }
        }
        None => access.moves(command.index.as_deref())?,
    };
    access.close()?;
    if command.target.json {
        output::json(&list)?;
        return Ok(Outcome::Good);
    }
    let rows: Vec<Vec<String>> = list.moves.iter().map(row).collect();
    output::table(&["move", "index", "tenant", "from", "to", "phase", "done", "rows/s", "left"], &rows)?;
    for one in list.moves.iter().filter(|one| one.error.is_some()) {
        println!("{}: {}", one.id, one.error.as_deref().unwrap_or_default());
    }
    Ok(Outcome::Good)
}

fn row(one: &MoveInfo) -> Vec<String> {
    vec![
        one.id.clone(),
        one.index.clone(),
        one.tenant_id.clone(),
        one.from_shard.to_string(),
        one.to_shard.to_string(),
        phase(one),
        if one.is_over() { String::new() } else { format!("{:.0} %", share_done(one) * 100.0) },
        if one.rows > 0 { format!("{:.0}", one.rows_per_second) } else { String::new() },
        one.seconds_left.map_or_else(String::new, |seconds| format!("{seconds:.0} s")),
    ]
}

fn phase(one: &MoveInfo) -> String {
    let waits = one.waits_for.as_ref().map_or_else(String::new, |whom| format!(", waits for {whom}"));
    let throttled =
        one.throttled_by.as_ref().map_or_else(String::new, |what| format!(", throttled by {what}"));
    let slowed =
        if one.slowed_ms > 0.0 { format!(", writers wait {:.0} ms", one.slowed_ms) } else { String::new() };
    let is_copying = one.phase == "copying";
    format!("{}{waits}{}{slowed}", one.phase, if is_copying { throttled } else { String::new() })
}

/// Every record is copied and compared.
fn share_done(one: &MoveInfo) -> f64 {
    match one.phase.as_str() {
        "copying" if one.rows_in_all > 0 => (one.rows as f64 / (2 * one.rows_in_all) as f64).min(1.0),
        "copying" => 0.0,
        _ => 1.0,
    }
}

/// Shows how far a move is until it is over: as a bar on a terminal, else as a line now and then.
///
/// # Errors
/// What the engine or the server says.
pub fn wait(access: &Access, begun: MoveInfo, as_json: bool) -> anyhow::Result<MoveInfo> {
    let bar = ProgressBar::new(100).with_style(ProgressStyle::with_template("{msg} {bar:32} {pos} %")?);
    let (mut now, mut looks) = (begun, 0_u32);
    while !now.is_over() {
        bar.set_message(format!("{} {}", now.tenant_id, phase(&now)));
        bar.set_position((share_done(&now) * 100.0) as u64);
        if !std::io::stderr().is_terminal() && looks.is_multiple_of(LOOKS_PER_LINE) {
            match as_json {
                true => eprintln!("{}", serde_json::to_string(&now)?),
                false => eprintln!("{} {}: {:.0} %", now.tenant_id, phase(&now), share_done(&now) * 100.0),
            }
        }
        thread::park_timeout(LOOK);
        looks += 1;
        now = access.show_move(&now.id)?;
    }
    bar.finish_and_clear();
    Ok(now)
}

/// How a move is, for people.
pub fn sentence(one: &MoveInfo) -> String {
    let MoveInfo { id, tenant_id, from_shard, to_shard, phase, .. } = one;
    let error = one.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
    match phase.as_str() {
        "done" => format!("{tenant_id} lives on shard {to_shard} now (move {id})"),
        "aborted" | "failed" => format!("{tenant_id} stays on shard {from_shard}: move {id} {phase}{error}"),
        _ => format!("{tenant_id} moves from shard {from_shard} to {to_shard}: move {id} is {phase}{error}"),
    }
}
