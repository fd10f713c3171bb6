//! What the measurements mean, in words.

use super::Measured;

/// A difference below this is noise on a shared machine.
const NOISE: f64 = 0.15;

/// Sentences about the rows, which are in the order they were measured.
pub(super) fn in_words(rows: &[Measured]) -> Vec<String> {
    let Some((first, last)) = rows.first().zip(rows.last()).filter(|_| rows.len() > 1) else {
        return vec!["measure at least two numbers of shards to compare them: --shards 1,4".into()];
    };
    let mut advice = vec![single(first, last), cross(first, last), cpu(first, last)];
    let best = rows.iter().min_by(|a, b| a.cross.p50_ms.total_cmp(&b.cross.p50_ms)).unwrap_or(first);
    let single_gain = 1.0 - last.single.p50_ms / first.single.p50_ms;
    advice.push(if single_gain > NOISE {
        format!("sharding helps queries in one tenant here; {} shards answer cross-tenant queries fastest", best.shards)
    } else if best.shards > first.shards && best.cross.p50_ms < first.cross.p50_ms * (1.0 - NOISE) {
        format!(
            "shard for isolation and for faster cross-tenant queries ({} shards are fastest), not for faster tenants",
            best.shards
        )
    } else {
        "do not shard for speed: one shard answers both kinds of query as fast on this machine; shard to bound what one \
         failure or one noisy neighbour touches"
            .into()
    });
    advice
}

fn single(first: &Measured, last: &Measured) -> String {
    let change = last.single.p50_ms / first.single.p50_ms;
    let verdict = match change {
        change if change > 1.0 + NOISE => "slower, although",
        change if change < 1.0 - NOISE => "faster, although",
        _ => "about the same, because",
    };
    // A difference has a cause that is not measured here: the size of a shard's graphs, caches, other work on the machine.
    let caution = if verdict.ends_with("although") { "; measure again before you count on it" } else { "" };
    format!(
        "a query in one tenant takes {:.3} ms with {} shard(s) and {:.3} ms with {}: {verdict} it touches one namespace \
         on one shard either way{caution}",
        first.single.p50_ms, first.shards, last.single.p50_ms, last.shards
    )
}

fn cross(first: &Measured, last: &Measured) -> String {
    format!(
        "a query across all tenants takes {:.3} ms (p99 {:.3}) with {} shard(s) and {:.3} ms (p99 {:.3}) with {}; {:.3} \
         ms of that come on top of the slowest shard",
        first.cross.p50_ms,
        first.cross.p99_ms,
        first.shards,
        last.cross.p50_ms,
        last.cross.p99_ms,
        last.shards,
        last.overhead_p50_ms
    )
}

fn cpu(first: &Measured, last: &Measured) -> String {
    format!(
        "it costs {:.3} ms of CPU with {} shard(s) and {:.3} ms with {} ({:.1} times): that is what other queries wait for",
        first.cross.cpu_ms,
        first.shards,
        last.cross.cpu_ms,
        last.shards,
        last.cross.cpu_ms / first.cross.cpu_ms.max(1e-9)
    )
}

#[cfg(test)]
mod tests {
    use super::{super::measure::Cost, *};

    fn row(shards: u32, p50_ms: f64) -> Measured {
        let cost = |p50_ms| Cost { p50_ms, p95_ms: 1.0, p99_ms: 1.0, cpu_ms: 1.0 };
        let (single, cross) = (cost(p50_ms), cost(1.0));
        Measured { shards, single, cross, overhead_p50_ms: 0.1, ingest_seconds: 1.0 }
    }

    #[test]
    fn the_reason_fits_the_verdict() {
        for (p50_ms, verdict) in [
            (2.0, "slower, although it touches one namespace on one shard either way; measure again"),
            (0.5, "faster, although it touches one namespace on one shard either way; measure again"),
            (1.1, "about the same, because it touches one namespace on one shard either way"),
        ] {
            let sentence = &in_words(&[row(1, 1.0), row(8, p50_ms)])[0];
            assert!(sentence.contains(verdict), "{sentence}");
            assert_eq!(sentence.contains("measure again"), verdict.contains("although"), "{sentence}");
        }
    }
}
