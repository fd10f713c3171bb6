//! What the measurements mean, in words. Nothing is concluded from a difference that lies within the spread of the rounds, nor
//! from engines that were not settled.

use super::{
    measure::Measured,
    spread::{Spread, Verdict},
};

/// Below this share of equal results times are not compared without a word of warning.
const SAME_RESULTS_MIN: f64 = 0.98;

/// Sentences about the rows.
pub(super) fn in_words(rows: &[Measured]) -> Vec<String> {
    let mut rows: Vec<&Measured> = rows.iter().collect();
    rows.sort_by_key(|row| row.shards);
    let (fewest, most) = match rows.as_slice() {
        [fewest, .., most] => (*fewest, *most),
        _ => return vec!["measure at least two numbers of shards to compare them: --shards 1,4".into()],
    };
    if let Some(row) = rows.iter().find(|row| !row.settled) {
        return vec![format!(
            "no conclusion: codes and graphs of {} were not complete, so this measures scans of what was just written; give it \
             more time with --settle-seconds",
            count(row.shards)
        )];
    }
    let mut advice = vec![single(fewest, most), cross(fewest, most), cpu(fewest, most)];
    advice.extend(results(&rows));
    advice.push(conclusion(&rows));
    advice
}

fn count(shards: u32) -> String {
    if shards == 1 { "1 shard".into() } else { format!("{shards} shards") }
}

fn in_ms(spread: &Spread) -> String {
    format!("{:.3} ms ({:.3} to {:.3})", spread.median, spread.min, spread.max)
}

/// A figure with the fewest shards and with the most.
fn both(fewest: (u32, &Spread), most: (u32, &Spread)) -> String {
    format!("{} with {} and {} with {}", in_ms(fewest.1), count(fewest.0), in_ms(most.1), count(most.0))
}

const CANNOT_TELL: &str = "no difference that this run can tell";

fn single(fewest: &Measured, most: &Measured) -> String {
    let (from, to) = (&fewest.single.p50_ms, &most.single.p50_ms);
    let way = "it touches one namespace on one shard either way";
    let verdict = match to.against(from) {
        // A difference has a cause that is not measured here: the size of a shard's graphs, caches, other work on the machine.
        Verdict::More => format!("slower, although {way}; measure again before you count on it"),
        Verdict::Less => format!("faster, although {way}; measure again before you count on it"),
        Verdict::Same => format!("about the same, because {way}"),
        Verdict::CannotTell => CANNOT_TELL.into(),
    };
    let both = both((fewest.shards, from), (most.shards, to));
    format!("a query in one tenant takes {both}: {verdict}")
}

/// How many times as much the second is, if that can be told.
fn times(from: &Spread, to: &Spread) -> String {
    match to.against(from) {
        Verdict::More | Verdict::Less => format!("{:.1} times as much", to.median / from.median.max(1e-9)),
        Verdict::Same => "about the same".into(),
        Verdict::CannotTell => CANNOT_TELL.into(),
    }
}

fn cross(fewest: &Measured, most: &Measured) -> String {
    let (from, to) = (&fewest.cross.p50_ms, &most.cross.p50_ms);
    let (both, times) = (both((fewest.shards, from), (most.shards, to)), times(from, to));
    format!(
        "a query across all tenants takes {both}: {times}; {:.3} ms of the latter are beyond its slowest shard",
        most.overhead_p50_ms
    )
}

fn cpu(fewest: &Measured, most: &Measured) -> String {
    let (from, to) = (&fewest.cross.cpu_ms, &most.cross.cpu_ms);
    let (both, times) = (both((fewest.shards, from), (most.shards, to)), times(from, to));
    format!("its CPU time is {both}: {times}; that is what other queries wait for")
}

/// A warning where the numbers of shards do not find the same.
fn results(rows: &[&Measured]) -> Option<String> {
    let worst = rows.iter().min_by(|a, b| a.same_results.total_cmp(&b.same_results))?;
    (worst.same_results < SAME_RESULTS_MIN).then(|| {
        format!(
            "with {} only {:.1} % of the results are those with {}: they are not of the same quality, so compare times with care",
            count(worst.shards),
            worst.same_results * 100.0,
            count(rows[0].shards)
        )
    })
}

/// The smallest number of shards that no other is told to be faster than, by one kind of query.
fn enough<'a>(rows: &[&'a Measured], p50: fn(&Measured) -> &Spread) -> &'a Measured {
    let is_beaten = |row: &Measured| rows.iter().any(|other| p50(other).against(p50(row)) == Verdict::Less);
    rows.iter().find(|row| !is_beaten(row)).unwrap_or(&rows[0])
}

fn conclusion(rows: &[&Measured]) -> String {
    let fewest = rows[0].shards;
    let cross = enough(rows, |row| &row.cross.p50_ms).shards;
    let single = enough(rows, |row| &row.single.p50_ms).shards;
    match (single > fewest, cross > fewest) {
        (false, false) => format!(
            "do not shard for speed: on this machine no number of shards is told to be faster than {fewest}, for either kind of \
             query; shard to bound what one failure or one noisy neighbour touches"
        ),
        (false, true) => format!(
            "{} are enough for queries across tenants, more are not told to be faster; queries in one tenant gain nothing",
            count(cross)
        ),
        (true, false) => format!(
            "queries in one tenant are faster with {}, queries across tenants are not; measure again before you count on it",
            count(single)
        ),
        (true, true) => format!(
            "{} are enough for queries in one tenant and {} for those across tenants, more are not told to be faster",
            count(single),
            count(cross)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::measure::Cost, *};

    fn around(median: f64) -> Spread {
        Spread { median, min: median * 0.97, max: median * 1.03 }
    }

    fn row(shards: u32, single: Spread, cross: Spread) -> Measured {
        let cost = |p50_ms| Cost { p50_ms, p95_ms: around(1.0), p99_ms: around(1.0), cpu_ms: p50_ms };
        Measured {
            shards,
            settled: true,
            single: cost(single),
            cross: cost(cross),
            overhead_p50_ms: 0.1,
            overhead_p50_ms_range: [0.1, 0.1],
            same_results: 1.0,
            ingest_seconds: 1.0,
            settle_seconds: 1.0,
        }
    }

    #[test]
    fn the_reason_fits_the_verdict() {
        for (p50_ms, verdict) in [
            (around(2.0), "slower, although it touches one namespace on one shard either way; measure again"),
            (around(0.5), "faster, although it touches one namespace on one shard either way; measure again"),
            (around(1.05), "about the same, because it touches one namespace on one shard either way"),
            (Spread { median: 2.0, min: 0.9, max: 4.0 }, "no difference that this run can tell"),
        ] {
            let sentence = &in_words(&[row(1, around(1.0), around(1.0)), row(8, p50_ms, around(1.0))])[0];
            assert!(sentence.contains(verdict), "{sentence}");
            assert_eq!(sentence.contains("measure again"), verdict.contains("although"), "{sentence}");
        }
    }

    #[test]
    fn nothing_is_concluded_within_the_spread() {
        let wide = |median| Spread { median, min: 0.5, max: 9.0 };
        let rows = [row(1, wide(3.2), wide(6.0)), row(8, wide(3.0), wide(1.0)), row(4, wide(3.1), wide(2.0))];
        let advice = in_words(&rows);
        assert!(advice[..3].iter().all(|sentence| sentence.contains(CANNOT_TELL)), "{advice:?}");
        assert!(advice[3].starts_with("do not shard for speed"), "{advice:?}");
        assert!(advice[0].contains("with 1 shard and") && advice[0].contains("with 8 shards:"), "{advice:?}");
    }

    #[test]
    fn as_many_shards_as_help_are_named_whatever_their_order() {
        let across = |shards, cross| row(shards, around(0.05), around(cross));
        let advice = in_words(&[across(8, 2.0), across(1, 8.0), across(4, 2.05), across(2, 4.0)]);
        let last = advice.last().unwrap();
        assert!(last.starts_with("4 shards are enough for queries across tenants"), "{last}");
        assert!(advice[1].contains("0.2 times as much"), "{advice:?}");
        // The case that was told the other way round before engines were settled.
        let advice = in_words(&[across(1, 0.052), across(8, 0.32)]);
        assert!(advice[1].contains("6.2 times as much"), "{advice:?}");
        assert!(advice.last().unwrap().starts_with("do not shard for speed"), "{advice:?}");
    }

    #[test]
    fn what_is_not_settled_or_finds_something_else_is_said() {
        let mut rows = [row(1, around(1.0), around(1.0)), row(8, around(1.0), around(0.1))];
        rows[1].same_results = 0.9;
        let advice = in_words(&rows);
        assert!(
            advice[3].contains("with 8 shards only 90.0 % of the results are those with 1 shard"),
            "{advice:?}"
        );
        rows[1].settled = false;
        let advice = in_words(&rows);
        assert!(advice.len() == 1 && advice[0].starts_with("no conclusion: codes and graphs of 8 shards"));
        assert!(in_words(&rows[..1])[0].starts_with("measure at least two"));
    }
}
