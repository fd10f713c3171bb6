//! What is left of a damaged shard: every record whose bytes still fit their checksums, in segments and in logs, also behind damaged ones.
//! It is looked at without changing anything, and written as a new shard into another directory.

mod records;
mod report;
mod rows;
mod write;

pub use report::{LostRecords, SalvageReport, SalvagedNamespace};

use crate::{Namespace, ShardError, ShardPlace, ShardShape, writing::log_entry};
use pinyon_storage::{
    Owner,
    io::SharedIo,
    manifest::{self, Manifest},
    segment::{SegmentHead, head_of},
    wal,
};
use pinyon_types::{SegmentId, SeqNo};
use records::Records;
use rows::RescuedRows;
use std::path::{Path, PathBuf};

/// A damaged shard that was looked at.
#[derive(Debug)]
pub struct Salvage {
    shape: ShardShape,
    place: ShardPlace,
    records: Records,
    /// The last position that was acknowledged, as far as anybody knows; the new shard goes on behind it.
    last_seq: SeqNo,
    report: SalvageReport,
}

impl Salvage {
    /// Looks at the files of a shard in its place. Reads all of them, changes none, and keeps the ids of the records in memory.
    ///
    /// # Errors
    /// Files of another shard or index; the system's, but for single files that it does not give.
    pub fn examine(
        io: &SharedIo,
        dir: &Path,
        (shape, place): (ShardShape, ShardPlace),
    ) -> Result<Self, ShardError> {
        let look = Look { io, dir, shape };
        let mut report = SalvageReport::default();
        let manifest = look.manifest(&place, &mut report)?;
        let segments = look.segments(manifest.as_ref(), &place, &mut report)?;
        let mut records = Records::of(segments, &mut report);
        let floor = manifest.as_ref().map_or(records.last_seq(), |manifest| SeqNo::new(manifest.log_floor));
        let acknowledged = place.acknowledged();
        let owners = owners_of(manifest.as_ref(), &place);
        let last_seq = look.logs((&owners, floor, acknowledged), &mut records, &mut report)?;
        report.namespaces = records.by_namespace();
        Ok(Self { shape, place, records, last_seq: last_seq.max(acknowledged), report })
    }

    /// What was found.
    pub const fn report(&self) -> &SalvageReport {
        &self.report
    }
}

/// Whose files are taken.
fn owners_of(manifest: Option<&Manifest>, place: &ShardPlace) -> Vec<Owner> {
    let mut owners = vec![place.owner];
    if let Some(manifest) = manifest {
        owners.extend(manifest.segments.iter().map(|entry| entry.owner));
        owners.extend(manifest.logs.iter().map(|entry| entry.owner));
    }
    owners.sort_unstable_by_key(|owner| (owner.number, owner.shard));
    owners.dedup();
    owners
}

/// What it takes to look.
struct Look<'a> {
    io: &'a SharedIo,
    dir: &'a Path,
    shape: ShardShape,
}

impl Look<'_> {
    /// The manifest, if it reads. One of another shard ends the look: nothing here is this shard's.
    fn manifest(
        &self,
        place: &ShardPlace,
        report: &mut SalvageReport,
    ) -> Result<Option<Manifest>, ShardError> {
        let manifest = match manifest::load(&**self.io, self.dir) {
            Ok(Some(manifest)) => manifest,
            Ok(None) => {
                report.say("MANIFEST is missing: every segment and log that is there is taken, and records that were deleted may come back");
                return Ok(None);
            }
            Err(error) => {
                report.say(format!(
                    "{error}: every segment and log that is there is taken, and records that were deleted may come back"
                ));
                return Ok(None);
            }
        };
        crate::upkeep::recover::check_shape(self.dir, self.shape, &manifest)?;
        match place.check(self.dir, &manifest) {
            Ok(()) => {}
            // Older than it should be is damage, and what it names is taken.
            Err(error @ ShardError::Stale { .. }) => report.say(error.to_string()),
            Err(error) => return Err(error),
        }
        Ok(Some(manifest))
    }

    /// The segments, oldest first.
    fn segments(
        &self,
        manifest: Option<&Manifest>,
        place: &ShardPlace,
        report: &mut SalvageReport,
    ) -> Result<Vec<RescuedRows>, ShardError> {
        let named = match manifest {
            Some(manifest) => manifest.segments.iter().map(Named::of).collect(),
            None => self.own_segments(place)?,
        };
        let mut segments = Vec::new();
        for named in named {
            let path = self.dir.join(pinyon_storage::segment::segment_file_name(named.head.segment));
            match RescuedRows::open(self.io, &path, &named, self.shape) {
                Ok(rows) => segments.push(rows),
                Err(error) => {
                    report.say(format!("{error}; nothing of it can be read"));
                    report.unknown += u64::from(named.rows.unwrap_or(0));
                }
            }
        }
        Ok(segments)
    }

    /// Segments that say that they are this shard's, where nobody else says it.
    fn own_segments(&self, place: &ShardPlace) -> Result<Vec<Named>, ShardError> {
        let names = self.io.list(self.dir).map_err(ShardError::io(self.dir))?;
        let paths: Vec<PathBuf> =
            names.iter().filter(|name| name.ends_with(".seg")).map(|name| self.dir.join(name)).collect();
        let heads = paths.iter().filter_map(|path| head_of(&**self.io, path).ok());
        let is_own = |head: &SegmentHead| {
            let of_earlier_version = head.owner.shard.is_none() && head.owner.number == place.owner.number;
            head.owner == place.owner || of_earlier_version
        };
        let mut own: Vec<Named> =
            heads.filter(is_own).map(|head| Named { head, checksum: None, rows: None }).collect();
        own.sort_unstable_by_key(|named| named.head.segment);
        Ok(own)
    }

    /// Does to the records what the logs say; returns the last position.
    fn logs(
        &self,
        (owners, floor, acknowledged): (&[Owner], SeqNo, SeqNo),
        records: &mut Records,
        report: &mut SalvageReport,
    ) -> Result<SeqNo, ShardError> {
        let mut apply = |frame: wal::Frame<'_>| {
            match log_entry::decode(&frame, self.shape.dim, self.dir) {
                Ok((namespace, operations)) => records.apply(&namespace, operations),
                Err(error) => report.say(error.to_string()),
            }
            Ok::<(), ShardError>(())
        };
        let found = wal::rescue(&**self.io, self.dir, (owners, floor, acknowledged), &mut apply)?;
        for lost in &found.lost {
            report.lost_entries += lost.last.get() - lost.first.get() + 1;
            report.say(format!(
                "{} at byte {}: writes {} to {} are lost; records that they deleted may come back",
                lost.path.display(),
                lost.offset,
                lost.first,
                lost.last
            ));
        }
        for path in &found.strange {
            report.say(format!("{}: its header does not say that it is of this shard", path.display()));
        }
        Ok(found.last_seq)
    }
}

/// A segment that is to be there.
#[derive(Debug, Clone, Copy)]
struct Named {
    head: SegmentHead,
    /// As the manifest has it, if there is one.
    checksum: Option<u32>,
    rows: Option<u32>,
}

impl Named {
    fn of(entry: &manifest::SegmentEntry) -> Self {
        let head = SegmentHead { owner: entry.owner, segment: SegmentId::new(entry.id) };
        Self { head, checksum: Some(entry.checksum), rows: Some(entry.rows) }
    }
}

/// The latest handle of a namespace.
fn later(known: Option<Namespace>, other: &Namespace) -> Namespace {
    match known {
        Some(known) if known.epoch() >= other.epoch() => known,
        _ => other.clone(),
    }
}
