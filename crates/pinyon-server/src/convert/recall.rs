//! How good answers are, as JSON and in sentences.

use pinyon_core::{Engine, Indexes, PartRecall, Recall};
use pinyon_types::ShardId;
use pinyon_wire::recall;

/// Parts that are listed: those that miss their target first, then the largest.
const LISTED_MAX: usize = 100;

/// A recall with its bounds.
pub(super) fn estimate(recall: &Recall) -> recall::RecallEstimate {
    let Recall { mean, lower, upper, queries, asked } = *recall;
    recall::RecallEstimate { recall: mean, lower, upper, queries: queries as u64, asked: asked.name().into() }
}

/// Parts, those that miss their target first, and how many of all these are.
pub type Recalls = (Vec<recall::PartRecall>, u64);

/// The parts of all indexes.
pub fn of_all(indexes: &Indexes) -> Recalls {
    let all = indexes.all();
    worst_first(all.iter().flat_map(|index| parts(&index.description.name, &index.engine)).collect())
}

/// The parts of one index.
pub fn of_index(name: &str, engine: &Engine) -> Recalls {
    worst_first(parts(name, engine))
}

fn parts(index: &str, engine: &Engine) -> Vec<recall::PartRecall> {
    engine.recalls().iter().map(|(shard, part)| part_recall(index, *shard, part)).collect()
}

fn worst_first(mut parts: Vec<recall::PartRecall>) -> Recalls {
    parts.sort_by_key(|part| (part.meets_target, std::cmp::Reverse(part.rows)));
    let below = parts.iter().filter(|part| !part.meets_target).count() as u64;
    parts.truncate(LISTED_MAX);
    (parts, below)
}

fn part_recall(index: &str, shard: ShardId, part: &PartRecall) -> recall::PartRecall {
    recall::PartRecall {
        index: index.into(),
        namespace: part.namespace.as_ref().map(ToString::to_string),
        shard_id: shard.get(),
        segment: part.segment.get(),
        rows: part.rows.into(),
        tier: part.tier.name().into(),
        recall: part.recall.as_ref().map(estimate),
        target: part.target,
        meets_target: part.is_enough,
        cost_rows: part.cost as u64,
        ef: part.ef.map(|ef| ef as u64),
        deviations: part.deviations.map(f64::from),
        reason: part.reason.map(|reason| reason.name().into()),
        since: part.since_us.map(|since_us| since_us / 1_000_000),
    }
}

/// What is wrong with parts that miss their target, and what to do.
pub(crate) fn warnings(parts: &[recall::PartRecall]) -> Vec<String> {
    parts.iter().filter(|part| !part.meets_target).filter_map(warning).collect()
}

fn warning(part: &recall::PartRecall) -> Option<String> {
    let found = part.recall.as_ref()?;
    let whose = part.namespace.as_ref().map_or_else(
        || format!("queries across namespaces, index {}, segment {}", part.index, part.segment),
        |namespace| format!("namespace {namespace:?}, index {}", part.index),
    );
    let what_to_do = match part.reason.as_deref() {
        Some("scan_is_too_long") => {
            "its graph answers, because a scan of its codes takes longer than PINYON_SCAN_MS_MAX: raise that, or ask with a scan_factor above 1"
        }
        _ => "ask with a scan_factor above 1",
    };
    Some(format!(
        "{whose}: recall@10 is {:.4} ({:.4} to {:.4}, by {} {}), the target {}: {what_to_do}",
        found.recall, found.lower, found.upper, found.queries, found.asked, part.target
    ))
}
