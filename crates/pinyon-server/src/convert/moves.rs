//! Moves as people are told of them.

use pinyon_core::{Index, MovePhase, MoveReport, MoveWork};
use pinyon_wire::moves::MoveInfo;

/// A move of a tenant of an index.
pub fn report(index: u64, index_name: &str, one: MoveReport) -> MoveInfo {
    let work = one.work.unwrap_or_default();
    let rate = per_second(work);
    MoveInfo {
        id: format!("{index}-{}", one.id),
        request_id: Some(one.request_id).filter(|request| !request.is_empty()),
        index: index_name.to_owned(),
        tenant_id: one.tenant.to_string(),
        from_shard: one.from.get(),
        to_shard: one.to.get(),
        phase: one.phase.name().to_owned(),
        rows: work.rows,
        bytes: work.bytes,
        rows_in_all: work.rows_in_all,
        rounds: work.rounds,
        rows_per_second: rate,
        seconds_left: seconds_left(one.phase, work, rate),
        closed_ms: work.closed_us as f64 / 1e3,
        slowed_ms: work.slowed_us as f64 / 1e3,
        throttled_by: work.throttled.name().map(str::to_owned),
        waits_for: work.waits_for_readers.then(|| "readers".to_owned()),
        error: one.error,
        began_ms: one.began_us / 1_000,
        changed_ms: one.changed_us / 1_000,
    }
}

fn per_second(work: MoveWork) -> f64 {
    if work.work_us == 0 { 0.0 } else { work.rows as f64 * 1e6 / work.work_us as f64 }
}

/// Every record is read once to be copied and once to be compared.
fn seconds_left(phase: MovePhase, work: MoveWork, rate: f64) -> Option<f64> {
    let left = (2 * work.rows_in_all).saturating_sub(work.rows);
    (phase == MovePhase::Copying && rate > 0.0).then(|| left as f64 / rate)
}

/// The index's number and the move's in a move's name.
pub fn parse(name: &str) -> Option<(u64, u64)> {
    let (index, id) = name.split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(index) && is_number(id)).then_some(())?;
    Some((index.parse().ok()?, id.parse().ok()?))
}

/// All moves of an index.
pub fn of_index(index: &Index) -> impl Iterator<Item = MoveInfo> {
    let (id, name) = (index.description.id, index.description.name.clone());
    index.engine.moves().into_iter().map(move |one| report(id, &name, one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moves_name_reads_back_and_nothing_else_does() {
        assert_eq!(parse("3-17"), Some((3, 17)));
        for wrong in ["", "-", "3", "3-", "-17", "3-17-1", "+3-17", "3- 17", "3-99999999999999999999", "é-1"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
