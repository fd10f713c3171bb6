//! One shard's place in the fleet: what is asked of it, or why it is kept out. Damage of one shard is the trouble of its tenants only:
//! everything else goes on.

use crate::{
    EngineError, ErrorCode,
    latency::{LatencyMeter, RecentLatency},
    load::LoadMeter,
};
use arc_swap::ArcSwap;
use pinyon_backend::ShardBackend;
use pinyon_shard::{Shard, ShardError};
use pinyon_storage::io::system_code;
use pinyon_types::Clock;
use std::{fmt, io, path::Path, sync::Arc};

/// Why a shard is quarantined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuarantineReason {
    /// Bytes are not as they were written.
    Damaged,
    /// The catalog knows the shard, and its files are not there.
    Missing,
    /// Its files are those of another shard or index.
    Foreign,
    /// Its files are those of an earlier day: what was acknowledged since is not in them.
    Stale,
    /// The system could not read a file.
    Unreadable,
}

impl QuarantineReason {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Missing => "missing",
            Self::Foreign => "foreign",
            Self::Stale => "stale",
            Self::Unreadable => "unreadable",
        }
    }

    /// Why a shard that does not open is kept out, or nothing where the trouble is not this shard's alone: settings, the disk's room,
    /// rights, a version that is not known.
    pub(super) fn of(error: &ShardError) -> Option<Self> {
        let system = error.system_error();
        match error {
            error if error.is_foreign() => Some(Self::Foreign),
            ShardError::Stale { .. } => Some(Self::Stale),
            error if error.is_damage() => Some(Self::Damaged),
            _ if system.is_some_and(|error| error.kind() == io::ErrorKind::NotFound) => Some(Self::Missing),
            _ if system.is_some_and(is_of_one_file) => Some(Self::Unreadable),
            _ => None,
        }
    }
}

/// Whether the system says that this file cannot be read, and nothing of others: the disk does not give it, the file system found it
/// damaged, or something that is no file has its name.
fn is_of_one_file(error: &io::Error) -> bool {
    /// The system's numbers: EIO, ENODEV (what cannot be mapped), EBADMSG (what ext4 and XFS say of a checksum), EUCLEAN.
    const NUMBERS: [i32; 4] = [5, 19, 74, 117];
    use io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory};
    matches!(error.kind(), IsADirectory | NotADirectory | AlreadyExists)
        || system_code(error).is_some_and(|code| NUMBERS.contains(&code))
}

/// A shard that is kept out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// What kind of trouble.
    pub reason: QuarantineReason,
    /// What was found; names the file.
    pub problem: String,
    /// Since when, in microseconds of the engine's clock.
    pub since_us: u64,
}

impl fmt::Display for Quarantine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "quarantined ({}): {}", self.reason.name(), self.problem)
    }
}

/// One shard with what the engine measures of it.
#[derive(Debug)]
pub(crate) struct Member {
    state: ArcSwap<State>,
    pub(crate) latency: LatencyMeter,
    /// For whoever moves a tenant from or to it.
    pub(crate) recent: RecentLatency,
    pub(crate) load: LoadMeter,
}

#[derive(Debug)]
enum State {
    Serving(Served),
    Quarantined(Quarantine),
}

/// A shard that is served.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    /// What requests ask.
    pub(crate) backend: Arc<dyn ShardBackend>,
    /// The shard itself, where its files are this engine's to keep.
    pub(crate) local: Option<Shard>,
}

impl From<Shard> for Served {
    fn from(shard: Shard) -> Self {
        Self { backend: Arc::new(shard.clone()), local: Some(shard) }
    }
}

impl Member {
    /// A shard as it opened. `home` is the directory that files are named relative to.
    ///
    /// # Errors
    /// It did not open, for a reason that is not its own.
    pub(super) fn of(
        opened: Result<Shard, ShardError>,
        home: &Path,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, EngineError> {
        let error = match opened {
            Ok(shard) => return Ok(Self::serving_at_first(shard, clock)),
            Err(error) => error,
        };
        let Some(reason) = QuarantineReason::of(&error) else { return Err(error.into()) };
        Ok(Self::kept_out(reason, EngineError::from(error).relative_to(home).message, clock))
    }

    pub(super) fn serving_at_first(shard: Shard, clock: &Arc<dyn Clock>) -> Self {
        Self::new(State::Serving(shard.into()), clock)
    }

    /// One whose records somebody else keeps.
    #[cfg(test)]
    pub(super) fn elsewhere(backend: Arc<dyn ShardBackend>, clock: &Arc<dyn Clock>) -> Self {
        Self::new(State::Serving(Served { backend, local: None }), clock)
    }

    pub(super) fn kept_out(reason: QuarantineReason, problem: String, clock: &Arc<dyn Clock>) -> Self {
        Self::new(State::Quarantined(Quarantine { reason, problem, since_us: clock.now_us() }), clock)
    }

    fn new(state: State, clock: &Arc<dyn Clock>) -> Self {
        let (latency, recent) = (LatencyMeter::new(Arc::clone(clock)), RecentLatency::new(Arc::clone(clock)));
        Self { state: ArcSwap::from_pointee(state), latency, recent, load: LoadMeter::default() }
    }

    /// Takes another's state; what was measured stays.
    pub(super) fn become_as(&self, other: &Self) {
        self.state.store(other.state.load_full());
    }

    /// What requests ask, if the shard is served.
    pub(crate) fn backend(&self) -> Option<Arc<dyn ShardBackend>> {
        match &**self.state.load() {
            State::Serving(served) => Some(Arc::clone(&served.backend)),
            State::Quarantined(_) => None,
        }
    }

    /// The shard itself, if it is served and its files are this engine's.
    pub(crate) fn local(&self) -> Option<Shard> {
        match &**self.state.load() {
            State::Serving(served) => served.local.clone(),
            State::Quarantined(_) => None,
        }
    }

    /// Why it is kept out, if it is.
    pub(crate) fn quarantine(&self) -> Option<Quarantine> {
        match &**self.state.load() {
            State::Serving(_) => None,
            State::Quarantined(quarantine) => Some(quarantine.clone()),
        }
    }

    /// What requests ask, or why there is nothing to ask; `name` says what the shard is called.
    pub(super) fn result(&self, name: impl FnOnce() -> String) -> Result<Arc<dyn ShardBackend>, EngineError> {
        match &**self.state.load() {
            State::Serving(served) => Ok(Arc::clone(&served.backend)),
            State::Quarantined(quarantine) => {
                let message = format!("shard {} is {quarantine}", name());
                Err(EngineError::new(ErrorCode::Quarantined, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use io::{Error, ErrorKind};

    #[test]
    fn what_the_system_says_of_one_file_is_no_reason_to_keep_out_more_than_its_shard() {
        let reason = |source: Error| {
            QuarantineReason::of(&ShardError::Io { path: "shards/shard-0001/MANIFEST".into(), source })
        };
        let numbers = [5, 19, 74, 117].map(Error::from_raw_os_error);
        let kinds = [ErrorKind::IsADirectory, ErrorKind::AlreadyExists].map(Error::from);
        for error in numbers.into_iter().chain(kinds) {
            assert_eq!(reason(error), Some(QuarantineReason::Unreadable));
        }
        for kind in [ErrorKind::PermissionDenied, ErrorKind::StorageFull, ErrorKind::OutOfMemory] {
            assert_eq!(reason(kind.into()), None);
        }
    }
}
