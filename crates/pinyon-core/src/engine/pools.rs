//! Threads that engines share.

use crate::{EngineError, EngineSettings, ErrorCode, fan_out::Searchers, scrubber::Scrubber};
use pinyon_shard::{Keepers, KeepersOptions};
use pinyon_storage::give_way;
use pinyon_types::Clock;
use std::{fmt::Display, sync::Arc};

/// Half as many as there are cores: what they do is not urgent, and queries want the others.
fn keeper_threads() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| (cores.get() / 2).max(2))
}

/// Threads that engines share, if they have any, and the clock that they go by.
#[derive(Debug)]
pub(crate) struct Pools {
    pub(super) clock: Arc<dyn Clock>,
    /// Where shards are opened; nothing where they are opened in turn.
    pub(super) open: Option<rayon::ThreadPool>,
    pub(super) search: Arc<Searchers>,
    pub(super) keepers: Arc<Keepers>,
    pub(super) scrubber: Arc<Scrubber>,
}

impl Pools {
    pub(crate) fn new(settings: &EngineSettings) -> Result<Self, EngineError> {
        let internal = |error: &dyn Display| EngineError::new(ErrorCode::Internal, error.to_string());
        let pool = |name: &'static str, threads: usize, start: fn(usize)| {
            let builder = rayon::ThreadPoolBuilder::new().num_threads(threads).start_handler(start);
            builder.thread_name(move |at| format!("{name}-{at}")).build().map_err(|error| internal(&error))
        };
        let environment = &settings.environment;
        let (clock, is_stepped) = (Arc::clone(environment.clock()), environment.is_stepped());
        let keepers = KeepersOptions {
            threads: keeper_threads(),
            clock: Arc::clone(&clock),
            memory: settings.shard_options.memory.clone(),
            graphs: Arc::new(pool("graph", 1, |_| give_way())?),
        };
        let search_threads = if is_stepped { 0 } else { settings.search_threads };
        let scrubber = Scrubber::start(environment, (settings.scrub_period, settings.verified_at_start));
        Ok(Self {
            clock,
            open: (!is_stepped).then(|| pool("open", settings.search_threads, |_| ())).transpose()?,
            search: Arc::new(Searchers::start(search_threads).map_err(|error| internal(&error))?),
            keepers: Arc::new(environment.start(keepers).map_err(|error| internal(&error))?),
            scrubber: Arc::new(scrubber.map_err(|error| internal(&error))?),
        })
    }
}
