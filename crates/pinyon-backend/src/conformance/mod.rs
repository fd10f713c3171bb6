//! The contracts of [`ShardBackend`] as tests. Every backend runs all of them, [`super::fake::Fake`] among them, against
//! an oracle that is a map.

mod copying;
mod gate;
mod oracle;
mod reads;
mod searches;
mod writes;

use crate::{Namespace, ShardBackend};
use oracle::Oracle;
use pinyon_types::{Dim, Epoch, Metric, NamespaceId, TenantId};
use std::sync::Arc;

/// Components of the vectors with which a backend is tried.
pub const COMPONENTS: u32 = 8;
/// The metric with which a backend is tried.
pub const METRIC: Metric = Metric::Euclidean;

/// A backend to be tried, empty at first.
pub struct Subject<'a> {
    /// The backend, of [`COMPONENTS`] and [`METRIC`].
    pub backend: Arc<dyn ShardBackend>,
    /// Does some of what the backend does by itself behind its callers' backs; called between their calls. What it does must not be
    /// seen.
    pub disturb: &'a dyn Fn(),
}

/// Whichever does not hold is named by where it panics.
const CONTRACTS: [fn(&Subject<'_>); 18] = [
    writes::a_batch_is_visible_when_it_is_acknowledged,
    writes::the_last_of_equal_ids_wins,
    writes::changes_do_what_the_oracle_does,
    writes::wrong_input_changes_nothing,
    writes::a_deadline_that_has_passed_changes_nothing,
    writes::positions_rise,
    reads::pages_lose_nothing,
    reads::pages_of_a_copy_keep_to_their_bytes,
    reads::what_was_found_can_be_read_later,
    reads::namespaces_do_not_see_each_other,
    searches::a_search_is_exact_within_its_scope,
    searches::a_search_that_is_late_says_so,
    gate::a_closed_namespace_gives_changes_back,
    gate::nothing_follows_a_close,
    gate::an_adopted_copy_refuses_its_copier,
    gate::a_dropped_copy_stays_gone,
    copying::notes_name_every_change,
    copying::a_copy_under_writers_comes_out_equal,
];

/// Tries every contract, each on a backend of its own.
///
/// # Panics
/// One does not hold.
pub fn run<'a>(make: &mut dyn FnMut() -> Subject<'a>) {
    for contract in CONTRACTS {
        contract(&make());
    }
}

/// Components as vectors have them.
pub fn dim() -> Dim {
    Dim::new(COMPONENTS).unwrap_or(Dim::NONE)
}

fn namespace(number: u64, epoch: u64) -> Namespace {
    let name = TenantId::new(&format!("tenant-{number}")).expect("invariant: the name is short and plain");
    Namespace::routed(NamespaceId::new(number), name, Epoch::new(epoch))
}

impl std::fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl Subject<'_> {
    /// Checks that all that can be read of a namespace is what an oracle has.
    fn assert_holds(&self, oracle: &Oracle, of: &Namespace) {
        oracle.assert_seen_in(&*self.backend, of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    #[test]
    fn the_fake_keeps_the_contracts() {
        run(&mut || Subject { backend: Arc::new(Fake::new(dim(), METRIC)), disturb: &|| () });
    }
}
