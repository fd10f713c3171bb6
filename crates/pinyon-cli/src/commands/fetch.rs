//! `pinyon fetch`.

use super::query::{filter_json, nobody_knows};
use crate::{access::Access, arguments::Fetch, exit::Outcome, output};
use pinyon_wire::documents::{FetchRequest, StoredDocument};

/// Characters of a text that people are shown.
const TEXT_SHOWN: usize = 60;

/// Prints documents as they are kept, page after page; exit code 3 when the tenant, or one of the ids, is not there.
///
/// # Errors
/// A filter that is no JSON, or what the engine says.
pub fn run(command: &Fetch) -> anyhow::Result<Outcome> {
    let mut request = FetchRequest {
        tenant_id: command.tenant.clone(),
        ids: (!command.ids.is_empty()).then(|| command.ids.clone()),
        filter: filter_json(command.filter.as_deref())?,
        include_vectors: command.vectors,
        ..FetchRequest::default()
    };
    let access = Access::to(&command.target)?;
    let mut found = 0;
    let is_known = loop {
        let page = access.fetch(&request)?;
        found += page.documents.len();
        show(&page.documents, command.target.json)?;
        match page.next {
            Some(next) => request.after = Some(next),
            None => break page.tenant_known,
        }
    };
    access.close()?;
    if !is_known {
        eprintln!("{}", nobody_knows(&command.tenant));
    } else if found < command.ids.len() {
        eprintln!("{} of {} ids are there", found, command.ids.len());
    }
    Ok(if is_known && found >= command.ids.len() { Outcome::Good } else { Outcome::Bad })
}

/// One line a document: JSON as `pinyon ingest` reads it, or its id and the begin of its text.
fn show(documents: &[StoredDocument], as_json: bool) -> anyhow::Result<()> {
    for document in documents {
        if as_json {
            output::json(document)?;
            continue;
        }
        let text: String = document.text.chars().take(TEXT_SHOWN).collect();
        let more = if document.text.chars().count() > TEXT_SHOWN { "…" } else { "" };
        output::line(&format!("{}  {text}{more}", document.id))?;
    }
    Ok(())
}
