//! What was found, for people: each piece of trouble with what can be done about it, the way that keeps most first.

use pinyon_wire::admin::{DoctorResponse, FindingInfo, LeftOfShard};
use std::path::Path;

pub(super) fn print(response: &DoctorResponse, data_dir: Option<&Path>) {
    let dir = data_dir.map_or_else(|| "DIR".into(), |dir| dir.display().to_string());
    let first = if data_dir.is_none() { "stop the server, then " } else { "" };
    let command = format!("{first}pinyon doctor --data-dir {dir}");
    for finding in &response.findings {
        let FindingInfo { kind, message, .. } = finding;
        match &finding.shard {
            Some(shard) => {
                println!("{kind}: {message}");
                offer(shard, finding.left.as_ref(), &command);
            }
            None => println!("{kind}: {message} ({})", remedy(finding, &command)),
        }
    }
    let verdict = if response.healthy { "routing and shards agree" } else { "routing and shards differ" };
    println!("{verdict}: {} tenants in the table, {} with records", response.tenants, response.namespaces);
}

fn remedy(finding: &FindingInfo, command: &str) -> String {
    match finding.repairable {
        true => format!("`{command} --repair --index {}` mends it", finding.index),
        false => "needs a decision".into(),
    }
}

/// What can be done about a shard that is kept out, the way that keeps most first.
fn offer(shard: &str, left: Option<&LeftOfShard>, command: &str) {
    if let Some(left) = left {
        tell(left);
    }
    println!("  1. restore: put its files back from a backup; it keeps what the backup has");
    let (mut number, mut loses) = (2, "all of its records; its files are set aside".to_owned());
    if let Some(left) = left.filter(|left| left.records > 0) {
        let LeftOfShard { records, lost_records, .. } = left;
        println!(
            "  {number}. salvage: `{command} --salvage {shard}` keeps {records} records, loses {lost_records} and what is not known"
        );
        number += 1;
        loses = format!("{} records; its files are set aside", records + lost_records);
    }
    println!("  {number}. drop: `{command} --drop {shard}` loses {loses}");
    println!("  `--dry-run` with any of them shows what it does, and changes nothing");
}

fn tell(left: &LeftOfShard) {
    for problem in &left.problems {
        println!("  {problem}");
    }
    println!(
        "  {} records can be read, {} cannot; {} rows and {} writes of which nothing can be told",
        left.records, left.lost_records, left.unknown_rows, left.lost_writes
    );
    for one in &left.namespaces {
        println!("    {}: {} can be read, {} cannot", one.tenant_id, one.records, one.lost_records);
    }
}
