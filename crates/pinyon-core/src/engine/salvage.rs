//! Saving what is left of a shard that is kept out: its records whose bytes still fit their checksums become a new shard in its place, and
//! its files are set aside. Everything is written beside the old files first; two renames put it in place, and a salvage that was cut off
//! between them goes on there when it is asked for again.

use super::{
    Engine, QuarantinedShard,
    drop::set_aside,
    shards::{Places, shard_dir},
};
use crate::{EngineError, ErrorCode, Readers, side_files};
use pinyon_shard::{Salvage, SalvageReport, ShardOptions, ShardShape};
use pinyon_storage::{
    io::SharedIo,
    witness::{Claim, Subject},
};
use pinyon_types::ShardId;
use std::{
    fmt::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A shard of which was saved what is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SalvagedShard {
    /// Its name.
    pub index_name: String,
    /// What was saved and what was lost; nothing where an earlier salvage was only put in place.
    pub report: Option<SalvageReport>,
    /// Where its old files lie now, with a list of what was lost.
    pub aside: Option<PathBuf>,
}

/// Its name in the directory of the old files.
const LIST_NAME: &str = "SALVAGE.txt";

impl Engine {
    /// Looks at what is left of a shard that is kept out. Reads all of its files and changes none.
    ///
    /// # Errors
    /// No shard of that name is kept out, its files are another's, the system's.
    pub fn examine_shard(&self, name: &str) -> Result<SalvageReport, EngineError> {
        let (found, places) = self.kept_out_shard(name)?;
        Ok(self.salvage_of(&found, places)?.report().clone())
    }

    /// Puts a shard with what is left in the place of one that is kept out. It is served from the next opening on.
    ///
    /// # Errors
    /// As [`Self::examine_shard`]; nothing is left; the disk's. The old files are in their place then, or set aside as a whole.
    pub fn salvage_shard(&self, name: &str) -> Result<SalvagedShard, EngineError> {
        let (found, places) = self.kept_out_shard(name)?;
        let place = shard_dir(&places.home, found.shard.get());
        let ready = repair_dir(&places.home).join(shard_name(found.shard));
        let io = self.inner.settings.environment.io();
        let exists = |path: &Path| io.exists(path).map_err(|error| EngineError::io(path, &error));
        let is_half_done = exists(&ready)? && !exists(&place)?;
        let report = if is_half_done { None } else { Some(self.write_salvage(&found, places, &ready)?) };
        // What is known from outside is of the old shard.
        places.witness.lower(Subject::Shard(found.shard.get()), Claim::default());
        places.witness.rest();
        let aside = set_aside(io, &places.home, found.shard)?;
        put_in_place(io, &ready, &place)?;
        if let (Some(aside), Some(report)) = (&aside, &report) {
            side_files::write_on(io, &aside.join(LIST_NAME), list(report).as_bytes(), Readers::All)?;
        }
        Ok(SalvagedShard { index_name: found.index_name, report, aside })
    }

    fn salvage_of(&self, found: &QuarantinedShard, places: &Places) -> Result<Salvage, EngineError> {
        let settings = &self.inner.settings;
        let (dim, metric) = (settings.dim, settings.metric);
        let shape = ShardShape { shard: found.shard, dim, metric };
        let dir = shard_dir(&places.home, found.shard.get());
        let io = settings.environment.io();
        if !io.exists(&dir).map_err(|error| EngineError::io(&dir, &error))? {
            return Err(nothing_left(&found.index_name, "its directory is not there"));
        }
        let place = places.of(found.shard.get(), places.identity.birth);
        Ok(Salvage::examine(io, &dir, (shape, place))?)
    }

    /// Writes what is left into a directory that gets its name when all of it is there.
    fn write_salvage(
        &self,
        found: &QuarantinedShard,
        places: &Places,
        ready: &Path,
    ) -> Result<SalvageReport, EngineError> {
        let salvage = self.salvage_of(found, places)?;
        if salvage.report().kept() == 0 {
            return Err(nothing_left(&found.index_name, "no record of it can be read"));
        }
        let environment = &self.inner.settings.environment;
        let (io, making) = (environment.io(), ready.with_extension("making"));
        let failed = |error: std::io::Error| EngineError::io(&making, &error);
        for leftover in [&making, &ready.to_owned()] {
            io.remove_tree(leftover).map_err(failed)?;
        }
        io.create_dir_all(&making).map_err(failed)?;
        // Those of whoever asks may be those of somebody who only looks, for whom nothing is sealed.
        let clock = Some(Arc::clone(environment.clock()));
        let options = ShardOptions { clock, ..ShardOptions::server() };
        let written = salvage.write(io, &making, options);
        let report = written.map_err(EngineError::from).inspect_err(|_| {
            let _ = io.remove_tree(&making);
        })?;
        put_in_place(io, &making, ready)?;
        Ok(report)
    }
}

fn put_in_place(io: &SharedIo, from: &Path, to: &Path) -> Result<(), EngineError> {
    let dirs = [from, to].map(|path| path.parent().unwrap_or(path));
    let rename = || {
        io.rename(from, to)?;
        dirs.into_iter().try_for_each(|dir| io.sync_dir(dir))
    };
    rename().map_err(|error| EngineError::io(to, &error))
}

fn repair_dir(home: &Path) -> PathBuf {
    home.join("repair")
}

fn shard_name(shard: ShardId) -> String {
    format!("shard-{:04}", shard.get())
}

fn nothing_left(name: &str, why: &str) -> EngineError {
    let message = format!(
        "nothing is left of shard {name} to be saved: {why}. Put its files back from a backup, or drop it; nothing was changed"
    );
    EngineError::new(ErrorCode::FailedPrecondition, message)
}

/// For people: what was found, and what was lost.
fn list(report: &SalvageReport) -> String {
    let mut text = String::new();
    for problem in &report.problems {
        let _ = writeln!(text, "{problem}");
    }
    for one in &report.namespaces {
        let _ = writeln!(text, "{}: {} records saved, {} lost", one.tenant, one.kept, one.lost.count);
        for id in &one.lost.ids {
            let _ = writeln!(text, "  lost: {id}");
        }
    }
    let _ = writeln!(
        text,
        "rows of namespaces that are not known: {}; writes of logs that cannot be read: {}",
        report.unknown, report.lost_entries
    );
    text
}
