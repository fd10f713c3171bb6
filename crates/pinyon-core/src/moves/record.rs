//! What a job of kind `move` keeps: from where to where, in which copies. Its phases say what is true of them; each is entered by one
//! durable change.

use crate::catalog::Job;
use pinyon_storage::bytes::{BytesError, Reader};
use pinyon_types::{Epoch, NamespaceId, ShardId};

/// The kind of these jobs.
pub(super) const KIND: &str = "move";
const VERSION: u16 = 1;

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MovePhase {
    /// The source owns the tenant; the target's copy is being made.
    Copying,
    /// The target owns the tenant; the source's copy is to be dropped.
    Cleaning,
    /// The source owns the tenant; the target's copy is to be dropped, because somebody ended the move.
    Aborting,
    /// The same because the move cannot be done.
    Failing,
    /// The target owns the tenant; both copies are kept, because they differ where nobody changed them.
    Stopped,
    /// The target owns the tenant, and there is no other copy.
    Done,
    /// The source owns the tenant, and there is no other copy.
    Aborted,
    /// The same; the error says why.
    Failed,
}

impl MovePhase {
    const ALL: [Self; 8] = [
        Self::Copying,
        Self::Cleaning,
        Self::Aborting,
        Self::Failing,
        Self::Stopped,
        Self::Done,
        Self::Aborted,
        Self::Failed,
    ];

    /// The name in reports and in the catalog.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Copying => "copying",
            Self::Cleaning => "cleaning",
            Self::Aborting => "aborting",
            Self::Failing => "failing",
            Self::Stopped => "stopped",
            Self::Done => "done",
            Self::Aborted => "aborted",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing more happens.
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Done | Self::Aborted | Self::Failed)
    }

    /// Whether something is to be done for it: it has not ended, and does not wait for people.
    pub const fn is_worked_at(self) -> bool {
        !self.is_ended() && !matches!(self, Self::Stopped)
    }

    /// What it ends in, once there is one copy left.
    pub(super) const fn end(self) -> Self {
        match self {
            Self::Copying | Self::Cleaning | Self::Stopped | Self::Done => Self::Done,
            Self::Aborting | Self::Aborted => Self::Aborted,
            Self::Failing | Self::Failed => Self::Failed,
        }
    }

    pub(super) fn of(job: &Job) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == job.phase)
    }
}

/// A copy of the tenant: its shard and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CopyPlace {
    pub(super) shard: ShardId,
    pub(super) number: NamespaceId,
}

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MoveRecord {
    pub(super) source: CopyPlace,
    pub(super) target: CopyPlace,
    /// The epoch at which the tenant was assigned to the source: that of the plan.
    pub(super) source_epoch: Epoch,
    /// The epoch of the switch; zero before it.
    pub(super) switched: Epoch,
}

impl MoveRecord {
    fn encode(&self) -> Vec<u8> {
        let Self { source, target, source_epoch, switched } = self;
        let mut bytes = Vec::new();
        for place in [source, target] {
            bytes.extend_from_slice(&place.shard.get().to_le_bytes());
            bytes.extend_from_slice(&place.number.get().to_le_bytes());
        }
        bytes.extend_from_slice(&source_epoch.get().to_le_bytes());
        bytes.extend_from_slice(&switched.get().to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, BytesError> {
        let mut reader = Reader::new(bytes);
        let mut place =
            || Ok(CopyPlace { shard: ShardId::new(reader.u32()?), number: NamespaceId::new(reader.u64()?) });
        let (source, target) = (place()?, place()?);
        let (source_epoch, switched) = (Epoch::new(reader.u64()?), Epoch::new(reader.u64()?));
        reader.finish()?;
        Ok(Self { source, target, source_epoch, switched })
    }

    /// What a job says, if it is a move as this version writes them.
    pub(super) fn of(job: &Job) -> Option<Self> {
        (job.kind == KIND && job.version == VERSION).then(|| Self::decode(&job.payload).ok()).flatten()
    }

    /// The job with this record, in a phase.
    pub(super) fn job(&self, phase: MovePhase, job: Job) -> Job {
        let (kind, is_ended) = (KIND.to_owned(), phase.is_ended());
        Job {
            kind,
            version: VERSION,
            phase: phase.name().to_owned(),
            is_ended,
            payload: self.encode(),
            ..job
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_nothing_else_is_one() {
        let place =
            |shard, number| CopyPlace { shard: ShardId::new(shard), number: NamespaceId::new(number) };
        let record = MoveRecord {
            source: place(1, 2),
            target: place(u32::MAX, u64::MAX),
            source_epoch: Epoch::new(7),
            switched: Epoch::ZERO,
        };
        for phase in MovePhase::ALL {
            let job = record.job(phase, Job::default());
            assert_eq!((MoveRecord::of(&job), MovePhase::of(&job)), (Some(record), Some(phase)));
            assert_eq!((job.is_ended, phase.end().is_ended()), (phase.is_ended(), true));
        }
        let job = record.job(MovePhase::Copying, Job::default());
        let cut = job.payload[1..].to_vec();
        for other in [
            Job { kind: "backup".into(), ..job.clone() },
            Job { version: 2, ..job.clone() },
            Job { payload: cut, ..job },
        ] {
            assert_eq!(MoveRecord::of(&other), None);
        }
    }
}
