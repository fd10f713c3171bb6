//! `pinyon indexes`.

use crate::{access::Client, arguments::Indexes, exit::Outcome, output};
use pinyon_wire::admin::{IndexInfo, IndexList, IndexSettings};

/// Lists indexes, or changes one.
///
/// # Errors
/// What the server says.
pub fn run(command: &Indexes) -> anyhow::Result<Outcome> {
    let server = Client::new(&command.host);
    let list = match (&command.configure, command.scan_factor) {
        (Some(name), Some(factor)) => {
            let changed = server.configure_index(name, &IndexSettings { scan_factor: factor.0 })?;
            IndexList { indexes: vec![changed] }
        }
        _ => server.indexes()?,
    };
    if command.json {
        output::json(&list)?;
        return Ok(Outcome::Good);
    }
    let rows: Vec<Vec<String>> = list.indexes.iter().map(row).collect();
    output::table(&["index", "dimension", "metric", "port", "scan factor"], &rows)?;
    Ok(Outcome::Good)
}

fn row(index: &IndexInfo) -> Vec<String> {
    let source = if index.scan_factor.is_some() { "" } else { " (default)" };
    vec![
        index.name.clone(),
        index.dimension.to_string(),
        index.metric.clone(),
        index.port.to_string(),
        format!("{}{source}", index.effective_scan_factor),
    ]
}
