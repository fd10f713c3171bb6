//! Moves of tenants, of all indexes.

use super::{Floats, Totals};
use pinyon_core::{Indexes, MovePhase, MoveTotals};
use prometheus_client::registry::Registry;

/// What there is to tell of moves.
#[derive(Debug, Default)]
pub(crate) struct MoveNumbers {
    totals: MoveTotals,
    /// How many of those that have not ended are in each phase.
    phases: [(&'static str, usize); 5],
}

impl MoveNumbers {
    pub(crate) fn of(indexes: &Indexes) -> Self {
        use MovePhase::{Aborting, Cleaning, Copying, Failing, Stopped};
        let all = indexes.all();
        let totals = all.iter().map(|index| index.engine.move_totals());
        let totals = totals.fold(MoveTotals::default(), MoveTotals::plus);
        let moves: Vec<MovePhase> =
            all.iter().flat_map(|index| index.engine.moves()).map(|one| one.phase).collect();
        let count = |phase: MovePhase| moves.iter().filter(|one| **one == phase).count();
        let phases =
            [Copying, Cleaning, Aborting, Failing, Stopped].map(|phase| (phase.name(), count(phase)));
        Self { totals, phases }
    }
}

pub(super) fn register(numbers: &MoveNumbers, registry: &mut Registry) {
    let phases = Floats::default();
    for (phase, count) in numbers.phases {
        phases.get_or_create(&vec![("phase", phase.to_owned())]).set(count as f64);
    }
    registry.register("pinyon_moves", "Moves of tenants that have not ended, by phase", phases);
    let MoveTotals { done, aborted, failed, rows, bytes, closed_us, closed_us_max } = numbers.totals;
    let ended = Totals::default();
    for (outcome, count) in [("done", done), ("aborted", aborted), ("failed", failed)] {
        ended.get_or_create(&vec![("outcome", outcome.to_owned())]).inc_by(count);
    }
    registry.register("pinyon_moves_ended", "Moves that ended since the start, by outcome", ended);
    let read = [
        ("pinyon_move_rows", "Records that moves read at their sources since the start", rows),
        ("pinyon_move_bytes", "Bytes of records that moves read at their sources since the start", bytes),
    ];
    for (name, help, count) in read {
        let family = Totals::default();
        family.get_or_create(&Vec::new()).inc_by(count);
        registry.register(name, help, family);
    }
    let waits = [
        (
            "pinyon_move_closed_seconds",
            "Seconds for which writers waited at switches since the start",
            closed_us,
        ),
        ("pinyon_move_closed_seconds_max", "The longest wait of writers at a switch", closed_us_max),
    ];
    for (name, help, waited_us) in waits {
        let family = Floats::default();
        family.get_or_create(&Vec::new()).set(waited_us as f64 / 1e6);
        registry.register(name, help, family);
    }
}
