//! Lines of a JSON Lines file, and the document that a line is. Whatever is wrong is said without the file's name and the
//! line's number, which the caller puts before it.

use super::encoding::{self, UTF8_MARK};
use anyhow::{Context, anyhow, bail};
use pinyon_types::{RecordId, TenantId, limits};
use pinyon_wire::{
    json::{MetadataFields, MetadataJson, refused},
    object::Object,
    tenant::Document,
};
use serde::Deserialize;
use serde_path_to_error::Track;
use std::{
    fs::File,
    io::{BufRead, BufReader, Cursor, Read},
    path::Path,
};

/// Most bytes of a line: a document at its limits in JSON that writes every byte as `\u00XX`, with room for its names.
const LINE_BYTES_MAX: usize = 8 * limits::METADATA_BYTES_MAX;

/// Bytes that tell what a file is.
const HEAD_BYTES: u64 = 4;

/// A line's document and whose it is.
#[derive(Debug)]
pub(super) struct Owned {
    pub(super) tenant_id: String,
    pub(super) document: Document,
    /// Bytes of the line.
    pub(super) bytes: usize,
}

/// The fields of a line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    tenant_id: Option<String>,
    id: String,
    text: String,
    #[serde(default, deserialize_with = "pinyon_wire::optional_metadata")]
    metadata: Option<MetadataFields>,
}

/// The lines of a file, with their numbers from 1 on.
pub(super) struct Lines {
    from: Box<dyn BufRead>,
    number: u64,
    line: Vec<u8>,
}

impl Lines {
    /// Opens a file, or standard input for `-`, and looks at what it begins with.
    ///
    /// # Errors
    /// A file that cannot be read, or is in another encoding, or packed.
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        let mut from: Box<dyn BufRead> = if file == Path::new("-") {
            Box::new(BufReader::new(std::io::stdin()))
        } else {
            let is_directory = std::fs::metadata(file)?.is_dir();
            if is_directory {
                bail!("is a directory: give a file of JSON Lines, or `-` for standard input");
            }
            Box::new(BufReader::with_capacity(1 << 20, File::open(file)?))
        };
        let mut head = Vec::new();
        from.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
        if let Some(problem) = encoding::refuse_head(&head, file) {
            bail!(problem);
        }
        if head.starts_with(UTF8_MARK) {
            head.drain(..UTF8_MARK.len());
        }
        Ok(Self { from: Box::new(Cursor::new(head).chain(from)), number: 0, line: Vec::new() })
    }

    /// Returns the number of the line that [`Lines::next_line`] read last.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Reads the next line, without its end; `None` at the end of the file.
    ///
    /// # Errors
    /// The system's, or a line that is longer than any document.
    pub(super) fn next_line(&mut self) -> anyhow::Result<Option<&[u8]>> {
        self.number += 1;
        self.line.clear();
        let most = LINE_BYTES_MAX as u64 + 1;
        self.from.by_ref().take(most).read_until(b'\n', &mut self.line)?;
        if self.line.is_empty() {
            return Ok(None);
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() > LINE_BYTES_MAX {
            bail!(
                "has more than {LINE_BYTES_MAX} bytes; text and metadata of a document have at most {} together: split it",
                limits::METADATA_BYTES_MAX
            );
        }
        Ok(Some(&self.line))
    }
}

/// Reads a line; `None` if it is blank.
///
/// # Errors
/// A line that is no document, or names a tenant or an id that cannot be.
pub(super) fn read(line: &[u8], file: &Path, default_tenant: Option<&str>) -> anyhow::Result<Option<Owned>> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    if let Some(problem) = encoding::refuse_line(line, file) {
        bail!(problem);
    }
    let Object(Line { tenant_id, id, text, metadata }) =
        serde_json::from_slice(line).map_err(|error| explain(line, &error))?;
    for (name, value) in metadata.iter().flatten() {
        if let MetadataJson::Other(json) = value {
            bail!("metadata.{name}: {}", refused(name, json));
        }
    }
    let tenant_id = tenant_id.or_else(|| default_tenant.map(str::to_owned));
    let tenant_id = tenant_id.context("names no tenant_id; add one, or give --tenant")?;
    TenantId::check(&tenant_id)?;
    RecordId::check_new(&id)?;
    Ok(Some(Owned { tenant_id, document: Document { id, text, metadata }, bytes: line.len() }))
}

/// Says what is wrong with a line's JSON: the field where there is one, and the column.
fn explain(line: &[u8], error: &serde_json::Error) -> anyhow::Error {
    let said = error.to_string();
    let problem = said.rsplit_once(" at line ").map_or(said.as_str(), |(problem, _)| problem);
    let column = error.column();
    if line.trim_ascii_start().starts_with(b"[") {
        return anyhow!("is a JSON array; write one object a line, as `jq -c '.[]'` does");
    }
    if error.is_eof() {
        return anyhow!("is not a whole JSON object ({problem}, column {column}); every line must be one");
    }
    if !error.is_data() {
        return anyhow!("is not JSON: {problem}, column {column}");
    }
    match path(line) {
        Some(path) => anyhow!("{path}: {problem}, column {column}"),
        None => anyhow!("{problem}, column {column}"),
    }
}

/// Reads again for the path of the value that is wrong; `None` if it is the whole line.
fn path(line: &[u8]) -> Option<String> {
    let mut reader = serde_json::Deserializer::from_slice(line);
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut reader, &mut track);
    Object::<Line>::deserialize(tracked).err()?;
    Some(track.path().to_string()).filter(|path| path != ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &[u8]) -> String {
        format!("{:#}", read(line, Path::new("f"), Some("t")).unwrap_err())
    }

    #[test]
    fn what_is_wrong_with_a_line_is_named() {
        for (line, part) in [
            (r#"{"id": 7, "text": "x"}"#, "id: invalid type: integer `7`, expected a string, column 8"),
            (r#"{"id": "a"}"#, "missing field `text`"),
            (r#"{"text": "a"}"#, "missing field `id`"),
            (r#"{"id": "a", "text": null}"#, "text: invalid type: null, expected a string"),
            (r#"{"id": "a", "text": "x", "txt": 1}"#, "unknown field `txt`"),
            (r#"{"id": "a", "id": "b", "text": "x"}"#, "duplicate field `id`"),
            (r#"{"id": "a", "text": "x", "metadata": []}"#, "metadata: invalid type"),
            (r#"{"id": "a", "text": "x", "metadata": {"a": 1, "a": 2}}"#, "metadata"),
            (
                r#"{"id": "a", "text": "x", "metadata": {"k": [1]}}"#,
                "metadata.k: Metadata value must be a string, number, boolean or list of strings, got '[1]'",
            ),
            (r#"{"id": "a", "text": "x"} {}"#, "is not JSON: trailing characters, column"),
            (r#"{"id": "a", "text": NaN}"#, "is not JSON: expected value, column"),
            (r#"{"id": "a","#, "is not a whole JSON object"),
            (r#"[{"id": "a"}]"#, "is a JSON array"),
            (r#""a""#, "invalid type: string \"a\", expected a JSON object"),
            (r#"{"id": "", "text": "x"}"#, "id: "),
            (r#"{"id": "a", "text": "x", "tenant_id": ""}"#, "tenant_id: "),
        ] {
            assert!(said(line.as_bytes()).contains(part), "{line}: {}", said(line.as_bytes()));
        }
        assert!(said(b"{\"id\": \"a\", \"text\": \"\xe9\"}").starts_with("byte 22 (0xE9) is not UTF-8"));
    }

    #[test]
    fn blank_lines_and_ends_of_all_kinds_are_read() {
        assert!(read(b" \t\r", Path::new("f"), None).unwrap().is_none());
        let line = b"{\"id\": \"a\", \"text\": \"x\", \"metadata\": null}\r";
        assert_eq!(read(line, Path::new("f"), Some("t")).unwrap().unwrap().tenant_id, "t");
    }
}
