//! The table of jobs: what was begun, takes a while, and goes on after a restart. What a job does is its kind's affair; the table keeps
//! what it needs for that, and what everybody may know.

use super::{
    codec::{self, Job},
    store::Change,
};
use std::collections::BTreeMap;

/// Prefix of the keys.
pub(super) const PREFIX: &[u8] = b"job/";
/// Jobs that have not ended.
const OPEN_MAX: usize = 1_000;
/// Jobs that ended and are kept for people to look at.
const ENDED_KEPT: usize = 100;
/// Bytes of a job's own data.
const PAYLOAD_BYTES_MAX: usize = 8 << 10;
/// Bytes of each of its texts.
const TEXT_BYTES_MAX: usize = 1 << 10;

/// A job's number: the epoch of the change that entered it, which no other job has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JobId(u64);

impl JobId {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

/// Jobs by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Jobs(BTreeMap<JobId, Job>);

/// Why a job was not entered or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JobError {
    /// As many as there may be have not ended.
    #[error("{OPEN_MAX} jobs have not ended yet")]
    TooMany,
    /// Its data or one of its texts.
    #[error("a job's data take at most {PAYLOAD_BYTES_MAX} bytes, each of its texts {TEXT_BYTES_MAX}")]
    TooLarge,
}

impl Jobs {
    pub(crate) fn get(&self, id: JobId) -> Option<&Job> {
        self.0.get(&id)
    }

    /// By number, which is the order in which they began.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (JobId, &Job)> {
        self.0.iter().map(|(id, job)| (*id, job))
    }

    /// The job that somebody asked for by this request of theirs.
    pub(crate) fn of_request(&self, kind: &str, request_id: &str) -> Option<(JobId, &Job)> {
        self.iter().rev().find(|(_, job)| job.kind == kind && job.request_id == request_id)
    }

    /// What to store for a job, whose place is taken; the oldest of those that ended go where they are too many.
    pub(super) fn put(&mut self, id: JobId, job: Job) -> Result<Vec<Change>, JobError> {
        check(&job)?;
        let is_new = !self.0.contains_key(&id);
        if is_new && self.0.values().filter(|job| !job.is_ended).count() >= OPEN_MAX {
            return Err(JobError::TooMany);
        }
        let value = codec::encode_job(&job).map_err(|_| JobError::TooLarge)?;
        self.0.insert(id, job);
        let mut changes = vec![Change { key: key(id), value: Some(value) }];
        let ended: Vec<JobId> = self.iter().filter(|(_, job)| job.is_ended).map(|(id, _)| id).collect();
        let surplus = ended.len().saturating_sub(ENDED_KEPT);
        changes.extend(ended[..surplus].iter().filter_map(|id| self.remove(*id)));
        Ok(changes)
    }

    /// What to store so that the job is forgotten, if it is there.
    pub(super) fn remove(&mut self, id: JobId) -> Option<Change> {
        self.0.remove(&id).map(|_| Change { key: key(id), value: None })
    }

    /// The jobs about a tenant that have ended.
    pub(super) fn ended_about(&self, tenant: &str) -> Vec<JobId> {
        let about = |(_, job): &(JobId, &Job)| job.is_ended && job.tenant == tenant;
        self.iter().filter(about).map(|(id, _)| id).collect()
    }

    /// Takes what the store has under a key.
    pub(super) fn read(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let id = number(key).ok_or_else(|| format!("{} is no job", String::from_utf8_lossy(key)))?;
        self.0.insert(id, codec::decode_job(value)?);
        Ok(())
    }
}

fn check(job: &Job) -> Result<(), JobError> {
    let error = job.error.as_deref().unwrap_or_default();
    let texts = [&*job.kind, &*job.request_id, &*job.tenant, &*job.phase, error];
    let fits =
        job.payload.len() <= PAYLOAD_BYTES_MAX && texts.iter().all(|text| text.len() <= TEXT_BYTES_MAX);
    if fits { Ok(()) } else { Err(JobError::TooLarge) }
}

fn key(id: JobId) -> Vec<u8> {
    format!("job/{:016x}", id.0).into_bytes()
}

/// The number in a key, if it is written as it would be here.
fn number(bytes: &[u8]) -> Option<JobId> {
    let digits = std::str::from_utf8(bytes.strip_prefix(PREFIX)?).ok()?;
    let id = JobId(u64::from_str_radix(digits, 16).ok()?);
    (key(id) == bytes).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(number: u64, is_ended: bool) -> Job {
        let request_id = format!("request {number}");
        Job { kind: "move".into(), version: 1, request_id, is_ended, ..Job::default() }
    }

    fn removed(changes: &[Change]) -> Vec<JobId> {
        changes.iter().filter(|one| one.value.is_none()).filter_map(|one| number(&one.key)).collect()
    }

    #[test]
    fn as_many_as_may_be_open_are_kept_and_the_oldest_of_those_that_ended_go() {
        let mut jobs = Jobs::default();
        for number in 0..OPEN_MAX as u64 {
            assert!(removed(&jobs.put(JobId(number), job(number, false)).unwrap()).is_empty());
        }
        assert_eq!(jobs.put(JobId(5_000), job(0, false)), Err(JobError::TooMany));
        for number in 0..ENDED_KEPT as u64 {
            assert!(removed(&jobs.put(JobId(number), job(number, true)).unwrap()).is_empty());
        }
        assert_eq!(removed(&jobs.put(JobId(700), job(700, true)).unwrap()), [JobId(0)]);
        assert!(jobs.get(JobId(0)).is_none() && jobs.get(JobId(1)).is_some());
        assert!(jobs.put(JobId(5_000), job(5_000, false)).is_ok(), "others ended");
        assert_eq!(jobs.of_request("move", "request 700").map(|(id, _)| id), Some(JobId(700)));
        assert_eq!(jobs.of_request("backup", "request 700"), None);
    }

    #[test]
    fn what_is_too_large_is_refused_and_what_is_stored_reads_back() {
        let mut jobs = Jobs::default();
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        let payload = vec![0; PAYLOAD_BYTES_MAX];
        for wrong in [
            Job { error: Some(long.clone()), ..job(1, true) },
            Job { tenant: long, ..job(1, true) },
            Job { payload: vec![0; PAYLOAD_BYTES_MAX + 1], ..job(1, true) },
        ] {
            assert_eq!(jobs.put(JobId(1), wrong), Err(JobError::TooLarge));
        }
        let text = || "é".repeat(TEXT_BYTES_MAX / 2);
        let largest =
            Job { payload, request_id: text(), tenant: text(), error: Some(text()), ..job(1, true) };
        let changes = jobs.put(JobId(0xab), largest).unwrap();
        let mut again = Jobs::default();
        again.read(&changes[0].key, changes[0].value.as_ref().unwrap()).unwrap();
        assert_eq!(again, jobs);
        for wrong in [&b"job/1"[..], b"job/00000000000000AB", b"job/", b"job/00000000000000ab0"] {
            assert!(again.read(wrong, changes[0].value.as_ref().unwrap()).is_err());
        }
    }
}
