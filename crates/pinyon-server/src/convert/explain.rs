//! How a query was answered, as JSON.

use super::{
    recall,
    tenant::{millis, status},
};
use pinyon_core::{PartPlace, QueryAnswer, ShardReport, Way};
use pinyon_wire::explain;

/// Writes how an answer was found; nothing if the query did not ask.
pub(super) fn explained(answer: &QueryAnswer) -> Option<explain::QueryExplanation> {
    let effort = answer.explained?;
    Some(explain::QueryExplanation {
        scan_factor: effort.factor(),
        max_candidates: effort.candidates_max().map(|most| most as u64),
        embed_us: answer.embedding.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
        shards: answer.shards.iter().map(shard).collect(),
    })
}

fn shard(report: &ShardReport) -> explain::ShardExplanation {
    let parts = report.explanation.as_ref().map_or(&[][..], |explanation| &explanation.parts);
    explain::ShardExplanation {
        shard_id: report.shard.get(),
        index_name: report.index_name.clone(),
        status: status(&report.outcome).into(),
        latency_ms: millis(report.latency),
        parts: parts.iter().map(part).collect(),
    }
}

fn part(one: &pinyon_core::PartExplanation) -> explain::PartExplanation {
    let (part, segment) = match one.place {
        PartPlace::Memtable => ("memtable", None),
        PartPlace::Sealing(segment) => ("sealing", Some(segment.get())),
        PartPlace::Segment(segment) => ("segment", Some(segment.get())),
    };
    explain::PartExplanation {
        part: part.into(),
        segment,
        ways: one.ways.iter().map(|way: &Way| way.name().into()).collect(),
        rows: one.rows,
        dead_rows: one.dead_rows,
        rows_passed: one.rows_passed,
        ef: one.ef.map(|ef| ef as u64),
        deviations: one.deviations.filter(|_| one.work.sign_distances > 0).map(f64::from),
        recall: one.recall.as_ref().map(recall::estimate),
        reasons: one.reasons.iter().map(|reason| reason.name().into()).collect(),
        scored: explain::Scored {
            by_vectors: one.work.distances,
            by_bytes: one.work.code_distances,
            by_bits: one.work.sign_distances,
        },
        bytes_read: explain::BytesRead {
            vectors: one.bytes_read.vectors,
            bytes: one.bytes_read.bytes,
            bits: one.bytes_read.bits,
        },
        hops: one.work.hops,
        graph_walks: one.work.graph_walks,
        postings: one.work.postings,
        filter_us: one.filter_us,
        total_us: one.total_us,
    }
}
