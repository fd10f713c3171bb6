//! Sealed rows that are verified when they are first read: a damaged block costs what lies in it, by name, and nothing else; what reads
//! the rest finds it.

use super::{DIR, id, metadata, namespace, options, random_record, shape};
use crate::{
    Change, Hit, Query, Scope, Shard, ShardError, ShardOptions, Verified, Verify, suspicion::unwinding,
};
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::{MetadataValue, Metric, Record, SeededRng, TopK};
use std::{path::Path, sync::Arc};

const TENANTS: u64 = 3;
const ROWS: u64 = 24;
const BLOCK: usize = 64 << 10;

/// The files of a closed shard with one segment of some twenty blocks, and a log that overwrites one row of each tenant.
fn files() -> Vec<(String, Vec<u8>)> {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io, Verify::OnFirstRead).unwrap();
    let mut rng = SeededRng::new(12);
    for tenant in 0..TENANTS {
        let text = |at: u64| MetadataValue::String(char::from(b'a' + at as u8).to_string().repeat(20_000));
        let mut record = |at: u64| Record {
            id: id(&format!("r-{at:03}")),
            metadata: metadata(&[("text", text(at))]),
            ..random_record(&mut rng)
        };
        let records: Vec<Record> = (0..ROWS).map(&mut record).collect();
        shard.write(&namespace(tenant), Change::Upsert(records)).unwrap();
    }
    shard.compact().unwrap();
    for tenant in 0..TENANTS {
        let record = Record { id: id("r-005"), ..random_record(&mut rng) };
        shard.write(&namespace(tenant), Change::Upsert(vec![record])).unwrap();
    }
    assert_eq!(shard.segments().len(), 1);
    shard.close().unwrap();
    let names = io.list(Path::new(DIR)).unwrap();
    names.into_iter().map(|name| (name.clone(), io.read(&Path::new(DIR).join(&name)).unwrap())).collect()
}

fn disk_of(files: &[(String, Vec<u8>)]) -> SharedIo {
    let io: SharedIo = Arc::new(MemoryIo::new());
    io.create_dir_all(Path::new(DIR)).unwrap();
    for (name, bytes) in files {
        io.create(&Path::new(DIR).join(name)).unwrap().write_at(bytes, 0).unwrap();
    }
    io
}

fn open(io: &SharedIo, verify: Verify) -> Result<Shard, ShardError> {
    // Nothing is merged or sealed by itself.
    let options = ShardOptions { verify, seal_bytes: 64 << 20, backlog_bytes_max: 256 << 20, ..options() };
    Shard::open(io, Path::new(DIR), shape(Metric::Cosine), options)
}

/// Everything that can be asked, each an answer of its own.
fn answers(shard: &Shard) -> Vec<Result<String, ShardError>> {
    let mut all = Vec::new();
    for tenant in 0..TENANTS {
        for at in 0..ROWS {
            let found = shard.fetch(&namespace(tenant), &[id(&format!("r-{at:03}"))]);
            all.push(found.map(|found| format!("{found:?}")));
        }
        let page = shard.list(&namespace(tenant), "", None, 100);
        all.push(page.map(|page| format!("{page:?}")));
        let vector = random_record(&mut SeededRng::new(tenant)).vector;
        let query = Query::dense(&vector, TopK::new(5).unwrap());
        let found = shard.search(Scope::Namespaces(&[namespace(tenant)]), query, &|| false);
        all.push(found.and_then(|found| {
            // What is told of a record is read when somebody asks.
            let told = |hit: &Hit| (hit.distance(), hit.id(), hit.metadata());
            unwinding(|| Ok(format!("{:?}", found.hits.iter().map(told).collect::<Vec<_>>())))
        }));
    }
    all
}

#[test]
fn a_damaged_block_costs_what_lies_in_it_and_is_found_by_whoever_reads_the_rest() {
    let files = files();
    let whole = answers(&open(&disk_of(&files), Verify::OnFirstRead).unwrap());
    assert!(whole.iter().all(Result::is_ok));
    let at = files.iter().position(|(name, _)| name.ends_with(".seg")).unwrap();
    let (name, bytes) = &files[at];
    let (mut refused_to_open, mut right, mut wrong) = (0, 0, 0);
    for block in 0..bytes.len().div_ceil(BLOCK) {
        let mut damaged = files.clone();
        let place = (block * BLOCK + BLOCK / 2).min(bytes.len() - 1);
        damaged[at].1[place] ^= 4;
        let io = disk_of(&damaged);
        assert!(open(&io, Verify::AtOpen).unwrap_err().is_damage());
        let shard = match open(&io, Verify::OnFirstRead) {
            Ok(shard) => shard,
            Err(error) => {
                assert!(error.is_damage() && error.to_string().contains(name), "{error}");
                refused_to_open += 1;
                continue;
            }
        };
        for (answer, expected) in answers(&shard).iter().zip(&whole) {
            match answer {
                Ok(answer) => assert!(Some(answer) == expected.as_ref().ok(), "block {block}"),
                Err(error) => assert!(error.to_string().contains(name), "{error}"),
            }
            *(if answer.is_ok() { &mut right } else { &mut wrong }) += 1;
        }
        let [segment] = shard.unverified_segments()[..] else { panic!("one segment") };
        let error = shard.verify_rest(segment, &mut |_| true).unwrap_err();
        assert!(error.is_damage() && error.to_string().contains(name), "{error}");
        // It is not written again with a checksum that fits.
        assert!(shard.mend_segment(segment, error).unwrap_err().is_damage());
        shard.compact().unwrap_err();
        drop(shard);
        assert!(io.read(&Path::new(DIR).join(name)).unwrap() == damaged[at].1);
    }
    assert!(refused_to_open > 1, "what tells of the rest, and what the log needs");
    assert!(wrong > 50 && right > 10 * wrong, "{right} right, {wrong} refused");
}

#[test]
fn what_is_whole_is_verified_once_and_then_known() {
    let io = disk_of(&files());
    let shard = open(&io, Verify::OnFirstRead).unwrap();
    let [segment] = shard.unverified_segments()[..] else { panic!("one segment") };
    assert_eq!(shard.verify_rest(segment, &mut |_| false).unwrap(), Verified::Stopped);
    assert_eq!(shard.unverified_segments(), [segment]);
    assert_eq!(shard.verify_rest(segment, &mut |_| true).unwrap(), Verified::Whole);
    assert!(shard.unverified_segments().is_empty());
    assert_eq!(
        shard.verify_rest(segment, &mut |_| panic!("nothing is read again")).unwrap(),
        Verified::Whole
    );
    assert!(open(&io, Verify::AtOpen).unwrap().unverified_segments().is_empty());
}
