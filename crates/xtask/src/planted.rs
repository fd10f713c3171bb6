//! Plants bugs, one at a time, and sees that the test that is named for each fails: a test that cannot fail proves nothing.
//!
//! The bugs stand in the crates behind `pinyon_planted::is_planted`, whose feature the tests are built with anyway; so nothing is built
//! for them, and each costs one run of its test.

use anyhow::{Context, bail};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// A bug, and the test that catches it.
struct Planted {
    number: u8,
    bug: &'static str,
    /// Whose unit test it is.
    package: &'static str,
    test: &'static str,
}

const fn bug(number: u8, bug: &'static str, package: &'static str, test: &'static str) -> Planted {
    Planted { number, bug, package, test }
}

/// By their numbers in the design; those that are not here are of parts that Pinyon does not have.
const TABLE: [Planted; 29] = [
    bug(
        1,
        "leftovers are set aside before segments and log were read",
        "pinyon-shard",
        "tests::older_manifest::a_start_with_an_older_manifest_loses_nothing",
    ),
    bug(
        2,
        "a log's owner is not compared with the shard's",
        "pinyon-storage",
        "wal::tests::gaps_missing_files_and_foreign_logs_are_refused",
    ),
    bug(
        3,
        "WITNESS is told of a write before its sync returns",
        "pinyon-shard",
        "tests::crash::every_crash_keeps_acknowledged_writes_and_no_half_of_any_other",
    ),
    bug(
        4,
        "WITNESS writes every claim into the same slot",
        "pinyon-storage",
        "witness::tests::a_slot_that_is_torn_leaves_the_claim_before_it",
    ),
    bug(
        5,
        "a manifest that is stored keeps its generation",
        "pinyon-core",
        "engine::tests::names::what_went_back_to_an_earlier_day_is_kept_out_until_somebody_takes_it",
    ),
    bug(
        6,
        "a log that was in use counts as closed behind one that was",
        "pinyon-storage",
        "wal::tests::a_log_in_use_behind_one_that_was_closed_was_not_ended_cleanly",
    ),
    bug(
        7,
        "a segment that a failed seal left stays in the way of its number",
        "pinyon-shard",
        "tests::older_manifest::a_segment_that_nothing_names_is_set_aside_until_a_later_clean_start",
    ),
    bug(
        10,
        "a torn end is cut whatever WITNESS knows",
        "pinyon-storage",
        "wal::tests::entries_that_somebody_was_told_of_are_not_a_torn_tail",
    ),
    bug(
        11,
        "settings are stored before every shard was opened",
        "pinyon-core",
        "engine::tests::a_first_start_that_fails_stores_no_settings",
    ),
    bug(
        12,
        "a salvage passes over rows that cannot be read without a word",
        "pinyon-shard",
        "tests::salvage::one_flipped_bit_costs_few_records",
    ),
    bug(
        13,
        "a shard is given up by the beginning of its name",
        "pinyon-core",
        "engine::tests::quarantine::the_doctor_repairs_nothing_while_a_shard_is_kept_out_and_drops_it_by_its_name_only",
    ),
    bug(
        14,
        "statistics do not say that a quarantined shard is left out",
        "pinyon-server",
        "pinecone::position::tests::what_leaves_a_quarantined_shard_out_names_it",
    ),
    bug(
        15,
        "an answer without a shard is kept as a whole one",
        "pinyon-core",
        "engine::tests::quarantine::an_answer_across_shards_without_one_says_so_and_is_not_kept",
    ),
    bug(
        16,
        "a new tenant goes elsewhere although mmh3 is a promise",
        "pinyon-core",
        "engine::tests::quarantine::new_tenants_go_elsewhere_unless_the_choice_is_a_promise",
    ),
    bug(
        17,
        "bytes are given back as soon as they were charged",
        "pinyon-server",
        "http::gate::tests::bytes_are_charged_as_they_come_and_come_back_with_the_last_clone",
    ),
    bug(
        19,
        "a refusal leaves the body unread in front of the next request",
        "pinyon-server",
        "http::gate::served_tests::a_writer_without_a_place_is_refused_before_its_body_and_served_on_the_same_connection_later",
    ),
    bug(
        20,
        "a list is measured when all of it was read",
        "pinyon-wire",
        "bounded::tests::lists_end_at_their_limit_in_every_route",
    ),
    bug(
        21,
        "the walk over a message ends at a field that is not known",
        "pinyon-wire",
        "measure::tests::hostile::what_is_not_known_hides_nothing_behind_it",
    ),
    bug(
        22,
        "a frame's head that is cut between two reads is lost",
        "pinyon-server",
        "http::accept::frames::tests::a_flood_ends_at_the_same_frame_however_its_bytes_are_cut",
    ),
    bug(
        23,
        "a request is over when its answer begins",
        "pinyon-server",
        "http::accept::places::tests::who_has_an_admitted_request_running_is_never_sent_away",
    ),
    bug(
        24,
        "who has an admitted request running is sent away",
        "pinyon-server",
        "http::accept::places::tests::who_has_an_admitted_request_running_is_never_sent_away",
    ),
    bug(
        25,
        "evil-localhost is taken for a name below localhost",
        "pinyon-server",
        "strangers::authority::tests::a_name_is_below_another_only_behind_a_dot",
    ),
    bug(
        26,
        "the origin null passes",
        "pinyon-server",
        "strangers::tests::an_origin_that_is_nobodys_does_not_pass",
    ),
    bug(
        27,
        "a deletion on a full disk does not get the reserve",
        "pinyon-shard",
        "tests::disk::a_deletion_that_finds_no_room_gets_the_reserve",
    ),
    bug(
        28,
        "an erasure forgets what was set aside",
        "pinyon-shard",
        "tests::erase::an_erased_tenant_is_gone_at_once_with_what_was_set_aside_and_others_stay",
    ),
    bug(
        29,
        "the manifest does not name the log that takes writes",
        "pinyon-shard",
        "tests::older_manifest::a_log_that_is_gone_is_missed_from_its_first_write_on",
    ),
    bug(
        30,
        "a file that is read again is good whatever the disk says",
        "pinyon-shard",
        "tests::scrub::what_is_damaged_in_memory_too_is_refused_by_name",
    ),
    bug(
        31,
        "what a failed sync left is synced and not written again",
        "pinyon-storage",
        "wal::tests::what_a_failed_sync_left_is_written_again_before_anything_goes_behind_it",
    ),
    bug(
        32,
        "what is read for the first time is good whatever the file says",
        "pinyon-shard",
        "tests::first_read::a_damaged_block_costs_what_lies_in_it_and_is_found_by_whoever_reads_the_rest",
    ),
];

/// Plants all bugs.
pub fn run_all(root: &Path) -> anyhow::Result<()> {
    run(root, &[])
}

/// Plants the bugs of these numbers, or all; sees that each named test passes without, and fails with its bug.
pub fn run(root: &Path, numbers: &[&str]) -> anyhow::Result<()> {
    let wanted: Vec<u8> = numbers.iter().map(|number| number.parse()).collect::<Result<_, _>>()?;
    let known = |number: &u8| TABLE.iter().any(|one| one.number == *number);
    if let Some(unknown) = wanted.iter().find(|number| !known(number)) {
        bail!("there is no bug {unknown}; there are {:?}", TABLE.map(|one| one.number));
    }
    let chosen: Vec<&Planted> =
        TABLE.iter().filter(|one| wanted.is_empty() || wanted.contains(&one.number)).collect();
    check(root, &chosen)
}

fn check(root: &Path, chosen: &[&Planted]) -> anyhow::Result<()> {
    let binaries = binaries(root)?;
    let mut missed = Vec::new();
    for planted in chosen {
        let Planted { number, bug, package, test } = planted;
        let binary =
            binaries.get(&package.replace('-', "_")).with_context(|| format!("tests of {package}"))?;
        let started = Instant::now();
        let (without, with) = (passes(root, binary, planted, false)?, passes(root, binary, planted, true)?);
        let outcome = match (without, with) {
            (true, false) => "caught",
            (true, true) => "NOT CAUGHT",
            (false, _) => "NOT ASKED: the test does not pass without it",
        };
        println!(
            "{number:2} {outcome} in {:.1} s: {bug} ({package}, {test})",
            started.elapsed().as_secs_f64()
        );
        if outcome != "caught" {
            missed.push(*number);
        }
    }
    if !missed.is_empty() {
        bail!("not caught: {missed:?}");
    }
    println!("{} planted bugs, all caught", chosen.len());
    Ok(())
}

/// Builds the unit tests of all crates, as the gate does; their programs by crate.
fn binaries(root: &Path) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["test", "--workspace", "--all-features", "--locked", "--lib", "--no-run"];
    let built = Command::new(cargo).args(arguments).current_dir(root).output()?;
    let said = String::from_utf8_lossy(&built.stderr);
    if !built.status.success() {
        bail!("the tests do not build:\n{said}");
    }
    let programs = said.lines().filter_map(|line| line.trim().strip_prefix("Executable ")?.rsplit_once('('));
    let by_crate = programs.filter_map(|(_, program)| {
        let path = root.join(program.trim_end_matches(')'));
        let name = path.file_name()?.to_str()?.rsplit_once('-')?.0.to_owned();
        Some((name, path))
    });
    Ok(by_crate.collect())
}

/// Whether the test passes.
///
/// # Errors
/// There is no such test.
fn passes(root: &Path, binary: &Path, planted: &Planted, is_planted: bool) -> anyhow::Result<bool> {
    let mut command = Command::new(binary);
    command.args(["--exact", planted.test]).current_dir(root.join("crates").join(planted.package));
    command.env_remove("PINYON_TEST_PLANTED").stderr(Stdio::null());
    if is_planted {
        command.env("PINYON_TEST_PLANTED", planted.number.to_string());
    }
    let done = command.output()?;
    let said = String::from_utf8_lossy(&done.stdout);
    match (said.contains("\ntest result: ok. 1 passed"), said.contains("running 1 test")) {
        (true, _) => Ok(true),
        (false, true) => Ok(false),
        (false, false) => bail!("there is no test {} in {}", planted.test, planted.package),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every place in the crates where a bug is planted.
    fn planted_in(dir: &Path, found: &mut BTreeSet<u8>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                planted_in(&path, found);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let calls = text.split("is_planted(").skip(1);
                found.extend(calls.filter_map(|rest| rest.split(')').next()?.parse::<u8>().ok()));
            }
        }
    }

    #[test]
    fn every_planted_bug_has_its_test_and_every_row_its_bug() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut planted = BTreeSet::new();
        planted_in(crates, &mut planted);
        let rows: BTreeSet<u8> = TABLE.iter().map(|one| one.number).collect();
        assert_eq!((&planted, TABLE.len()), (&rows, rows.len()));
    }
}
