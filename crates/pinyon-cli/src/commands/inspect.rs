//! `pinyon inspect`: a look at files without changing them.

use crate::{
    arguments::Inspect,
    exit::{Outcome, Usage},
    output,
};
use pinyon_core::{DerivedBytes, KeptCodes, KeptTest, MappedBytes, PartRecall, Recall};
use pinyon_storage::{
    io::{Io, RealIo, SharedIo},
    manifest,
    segment::SegmentFile,
    wal,
};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc};

/// Shows a file, or every file of a shard's directory; exit code 3 when one does not read back.
///
/// # Errors
/// A path that is none of ours.
pub fn run(command: &Inspect) -> anyhow::Result<Outcome> {
    let path = &command.path;
    let reports: Vec<Value> = if path.is_dir() {
        let names = RealIo.list(path)?;
        let files = names.iter().filter_map(|name| inspect(&path.join(name)));
        let codes = if command.no_recall { Vec::new() } else { inspect_codes(path) };
        files.chain(codes).collect()
    } else {
        inspect(path).into_iter().collect()
    };
    if reports.is_empty() {
        return Err(
            Usage(format!("{} is no log, segment, manifest or shard directory", path.display())).into()
        );
    }
    let is_whole = |report: &Value| report.get("error").is_none();
    let good = reports.iter().all(is_whole);
    for report in &reports {
        if command.json {
            output::json(report)?;
        } else {
            println!("{}", serde_json::to_string_pretty(report)?);
        }
    }
    Ok(if good { Outcome::Good } else { Outcome::Bad })
}

/// `None` for files that are not ours.
fn inspect(path: &Path) -> Option<Value> {
    let name = path.file_name()?.to_str()?;
    let report = match name {
        manifest::MANIFEST_FILE_NAME => inspect_manifest(path),
        name if name.ends_with(".log") => inspect_log(path),
        name if name.ends_with(".seg") => inspect_segment(path),
        name if name.ends_with(".graph") => inspect_graph(path),
        name if name.ends_with(".bits") => inspect_kept_codes(path),
        _ => return None,
    };
    let mut report = report.unwrap_or_else(|error| json!({"error": error}));
    report["file"] = Value::from(path.display().to_string());
    Some(report)
}

fn inspect_manifest(path: &Path) -> Result<Value, String> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    let found = manifest::load(&RealIo, dir).map_err(|error| error.to_string())?;
    let manifest = found.ok_or("it is empty")?;
    let segments = manifest.segments.iter().map(|segment| {
        json!({"segment": segment.id, "rows": segment.rows, "bytes": segment.bytes, "checksum": segment.checksum})
    });
    Ok(json!({
        "kind": "manifest",
        "shard": manifest.owner.number,
        "index_id": manifest.owner.index.to_string(),
        "shard_id": manifest.owner.shard.to_string(),
        "generation": manifest.generation,
        "dimension": manifest.dim,
        "metric": manifest.metric,
        "log_floor": manifest.log_floor,
        "next_segment": manifest.next_segment,
        "epoch_seen": manifest.epoch_seen,
        "segments": segments.collect::<Vec<_>>(),
        "logs": manifest.logs.iter().map(|log| log.first_seq).collect::<Vec<u64>>(),
    }))
}

fn inspect_log(path: &Path) -> Result<Value, String> {
    let report = wal::inspect(&RealIo, path).map_err(|error| error.to_string())?;
    let payload: usize = report.frames.iter().map(|frame| frame.payload_bytes).sum();
    let end = format!("{:?}", report.end).to_lowercase();
    let mut shown = json!({
        "kind": "log",
        "shard": report.owner.number,
        "index_id": report.owner.index.to_string(),
        "shard_id": report.owner.shard.to_string(),
        "first_seq": report.first_seq.get(),
        "last_seq": report.frames.last().map(|frame| frame.seq.get()),
        "entries": report.frames.len(),
        "payload_bytes": payload,
        "bytes": report.bytes,
        "end": end,
    });
    if end == "damaged" {
        shown["error"] = Value::from("acknowledged entries do not read back");
    }
    Ok(shown)
}

/// Codes are in no file: what they find is found out here, as a start does.
fn inspect_codes(dir: &Path) -> Vec<Value> {
    let io: SharedIo = Arc::new(RealIo);
    match PartRecall::of_codes_in(&io, dir) {
        Ok(parts) => parts.iter().map(codes_of).collect(),
        Err(error) => vec![json!({"kind": "part", "error": error.to_string()})],
    }
}

fn codes_of(part: &PartRecall) -> Value {
    let namespace = part.namespace.as_ref().map(|name| name.as_str());
    let mut shown = json!({
        "kind": "part", "segment": part.segment.get(), "namespace": namespace, "rows": part.rows,
        "tier": part.tier.name(), "cost_rows": part.cost,
    });
    if let Some(deviations) = part.deviations {
        shown["deviations"] = json!(deviations);
    }
    if let Some(recall) = part.recall {
        shown["recall"] = found(recall, part.target, part.is_enough);
    }
    shown
}

fn found(recall: Recall, target: f64, is_enough: bool) -> Value {
    let Recall { mean, lower, upper, queries, asked } = recall;
    json!({
        "recall": mean, "lower": lower, "upper": upper, "queries": queries, "asked": asked.name(),
        "target": target, "meets_target": is_enough,
    })
}

/// A graph that is kept beside its segment; damage to it costs only the time to build it again.
fn inspect_graph(path: &Path) -> Result<Value, String> {
    let io: SharedIo = Arc::new(RealIo);
    let (file, head) = SegmentFile::open_any(&io, path).map_err(|error| error.to_string())?;
    let (shard, segment) = (head.owner.number, head.segment.get());
    let mut shown = json!({"kind": "graph", "shard": shard, "segment": segment, "bytes": file.bytes()});
    // Of another version nobody knows what it says.
    if let Ok(kept) = KeptTest::of(&file) {
        let KeptTest { namespace, rows, target, test, since_us } = kept;
        shown["namespace_number"] = json!(namespace);
        shown["rows"] = json!(rows);
        shown["tier"] = json!("graph");
        shown["ef"] = json!(test.ef);
        shown["recall"] = found(test.recall, target, test.is_enough);
        shown["recall"]["since"] = json!(since_us / 1_000_000);
    }
    Ok(shown)
}

/// Codes that are kept beside their segment; damage to them costs only the time to make them again.
fn inspect_kept_codes(path: &Path) -> Result<Value, String> {
    let io: SharedIo = Arc::new(RealIo);
    let (file, head) = SegmentFile::open_any(&io, path).map_err(|error| error.to_string())?;
    let (shard, segment) = (head.owner.number, head.segment.get());
    let mut shown = json!({"kind": "codes", "shard": shard, "segment": segment, "bytes": file.bytes()});
    // Of another version nobody knows what it says.
    if let Ok(KeptCodes { namespace, rows, recall, since_us }) = KeptCodes::of(&file) {
        shown["namespace_number"] = json!(namespace);
        shown["rows"] = json!(rows);
        shown["tier"] = json!("codes");
        shown["recall"] = json!({
            "recall": recall.mean, "lower": recall.lower, "upper": recall.upper, "queries": recall.queries,
            "asked": recall.asked.name(), "since": since_us / 1_000_000,
        });
    }
    Ok(shown)
}

fn inspect_segment(path: &Path) -> Result<Value, String> {
    let io: SharedIo = Arc::new(RealIo);
    let (file, head) = SegmentFile::open_any(&io, path).map_err(|error| error.to_string())?;
    let sections: Vec<Value> =
        file.sections().map(|(tag, bytes)| json!({"tag": tag, "bytes": bytes})).collect();
    let MappedBytes { vectors, sparse, records, rest } = MappedBytes::of(&file);
    let mut shown = json!({
        "kind": "segment",
        "shard": head.owner.number,
        "index_id": head.owner.index.to_string(),
        "shard_id": head.owner.shard.to_string(),
        "segment": head.segment.get(),
        "bytes": file.bytes(),
        "checksum": file.checksum(),
        "mapped_bytes": {"vectors": vectors, "sparse": sparse, "records": records, "rest": rest},
        "sections": sections,
    });
    // Without the manifest beside it nobody knows how its vectors are compared.
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    if let Ok(Some(manifest)) = manifest::load(&RealIo, dir) {
        let DerivedBytes { byte_codes, bit_codes, graphs, .. } = DerivedBytes::at_most(&file, &manifest)?;
        shown["resident_bytes_at_most"] =
            json!({"byte_codes": byte_codes, "bit_codes": bit_codes, "graphs": graphs});
    }
    Ok(shown)
}
