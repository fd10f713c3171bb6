//! `pinyon explain`: a query, and how it was answered.

use super::query;
use crate::{access::Access, arguments::Query, exit::Outcome, output};
use pinyon_wire::{
    explain::{PartExplanation, QueryExplanation, ShardExplanation},
    tenant::QueryRequest,
};

const HEADINGS: [&str; 10] =
    ["part", "answered by", "rows", "dead", "passed", "effort", "scored", "read", "filter ms", "total ms"];

/// Prints how a query is answered; exit code as of `pinyon query`.
///
/// # Errors
/// A filter that is no JSON, or what the engine says.
pub fn run(command: &Query) -> anyhow::Result<Outcome> {
    let request = QueryRequest { explain: true, ..query::request(command)? };
    let access = Access::to(&command.target)?;
    let response = access.query(request)?;
    access.close()?;
    let outcome = query::outcome(command, &response);
    if command.target.json {
        output::json(&response)?;
        return Ok(outcome);
    }
    if let Some(explanation) = &response.explain {
        print(explanation)?;
    }
    println!("{} results in {:.2} ms", response.results.len(), response.latency_ms);
    Ok(outcome)
}

fn print(explanation: &QueryExplanation) -> anyhow::Result<()> {
    if let Some(embed_us) = explanation.embed_us {
        println!("text to vector: {} ms", ms(embed_us));
    }
    let cap = explanation.max_candidates.map(|most| format!(", at most {most} candidates a part"));
    println!("effort: {}{}", explanation.scan_factor, cap.unwrap_or_default());
    for shard in &explanation.shards {
        println!();
        println!("{}: {}, {:.2} ms{}", shard.index_name, shard.status, shard.latency_ms, nothing(shard));
        if !shard.parts.is_empty() {
            let rows: Vec<Vec<String>> = shard.parts.iter().map(row).collect();
            output::table(&HEADINGS, &rows)?;
            shard.parts.iter().for_each(say_reasons);
        }
    }
    println!();
    Ok(())
}

/// Why a graph did not answer, or did in spite of its test.
fn say_reasons(part: &PartExplanation) {
    let name = part.segment.map_or_else(|| part.part.clone(), |segment| format!("{} {segment}", part.part));
    for reason in &part.reasons {
        println!("{name}: {}", reason.replace('_', " "));
    }
}

fn nothing(shard: &ShardExplanation) -> &'static str {
    if shard.parts.is_empty() { "; it holds no rows to look at" } else { "" }
}

fn row(part: &PartExplanation) -> Vec<String> {
    let name = part.segment.map_or_else(|| part.part.clone(), |segment| format!("{} {segment}", part.part));
    let ways: Vec<String> = part.ways.iter().map(|way| way.replace('_', " ")).collect();
    let read = part.bytes_read.vectors + part.bytes_read.bytes + part.bytes_read.bits;
    vec![
        name,
        ways.join(", "),
        part.rows.to_string(),
        part.dead_rows.to_string(),
        part.rows_passed.map_or_else(|| "-".into(), |rows| rows.to_string()),
        effort(part),
        scored(part),
        output::bytes(read),
        ms(part.filter_us),
        ms(part.total_us),
    ]
}

/// How hard it tried: `ef 96` of a walk, `2.5 deviations` of a scan of bits; and the recall@10 that this was found to have.
fn effort(part: &PartExplanation) -> String {
    let ef = part.ef.map(|ef| format!("ef {ef}"));
    let deviations = part.deviations.map(|deviations| format!("{deviations} deviations"));
    let recall = part.recall.as_ref().map(|found| format!("recall {:.4}", found.recall));
    let said: Vec<String> = [ef, deviations, recall].into_iter().flatten().collect();
    if said.is_empty() { "-".into() } else { said.join(", ") }
}

fn scored(part: &PartExplanation) -> String {
    let scored = part.scored;
    named(
        [
            ("hops", part.hops),
            ("bits", scored.by_bits),
            ("bytes", scored.by_bytes),
            ("vectors", scored.by_vectors),
            ("postings", part.postings),
        ]
        .map(|(name, count)| (name, Some(count).filter(|count| *count > 0))),
    )
}

fn named<const N: usize>(counts: [(&str, Option<u64>); N]) -> String {
    let given = counts.into_iter().filter_map(|(name, count)| Some(format!("{name} {}", count?)));
    let given: Vec<String> = given.collect();
    if given.is_empty() { "-".into() } else { given.join(", ") }
}

fn ms(us: u64) -> String {
    format!("{:.3}", us as f64 / 1000.0)
}
