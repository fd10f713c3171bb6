//! JSON bodies: read fast; when that fails read leniently, because clients send null for what they leave open; and when that
//! fails read once more with the path of what is wrong, so that the refusal names field and limit. Names of our structs and
//! number types never show.

use super::gate::Ticket;
use pinyon_types::limits;
use pinyon_wire::{
    bounded::{self, Lender, NO_ROOM},
    lenient::{self, Lenient, Reading},
    object::{EXPECTED, Object},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_path_to_error::Track;
use std::sync::Arc;

/// Longest piece of a request that a refusal repeats.
const SHOWN_CHARS_MAX: usize = 100;

/// Room that every body has: what is made of a short one.
const OWN_BYTES: usize = 64 << 10;

/// Deepest nesting that the parser reads.
const PARSER_DEPTH_MAX: usize = 127;

/// What is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadBody {
    /// Where, if that can be told: `documents[3].id`.
    pub(crate) field: Option<String>,
    /// What, without the field.
    pub(crate) problem: String,
    /// The parser's own sentence, where it is one that Pinecone's service answers with word for word.
    pub(crate) said: Option<String>,
}

impl BadBody {
    /// Whether there is nothing wrong with it but that it has no room now.
    pub(crate) fn has_no_room(&self) -> bool {
        self.problem.ends_with(NO_ROOM)
    }
}

impl std::fmt::Display for BadBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

/// Reads a struct from a JSON object; null in an optional field means unset.
///
/// # Errors
/// Anything else.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadBody> {
    read_as(bytes, Reading::NullIsUnset)
}

/// As [`read`], with numbers in every spelling that proto3's JSON mapping has.
///
/// # Errors
/// Anything else.
pub(crate) fn read_proto<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadBody> {
    read_as(bytes, Reading::Proto3)
}

/// Reads with room for as much again as the body has, which was charged with it, and what the request's ticket lends.
fn read_as<T: DeserializeOwned>(bytes: &[u8], reading: Reading) -> Result<T, BadBody> {
    let lender = Ticket::current().map(|ticket| ticket as Arc<dyn Lender>);
    bounded::within(bytes.len() + OWN_BYTES, lender, || read_within(bytes, reading))
}

fn read_within<T: DeserializeOwned>(bytes: &[u8], reading: Reading) -> Result<T, BadBody> {
    let strict = match serde_json::from_slice(bytes) {
        Ok(Object(read)) => return Ok(read),
        // Nothing is wrong with it, so nobody needs to find out what.
        Err(error) if error.to_string().starts_with(NO_ROOM) => {
            return Err(bad(None, format!("the body {NO_ROOM}"), None));
        }
        Err(error) => error,
    };
    if let Some(member) = lenient::too_deep(bytes, PARSER_DEPTH_MAX) {
        // A filter's own limit is met long before that of the parser.
        let most = if member == "filter" { limits::FILTER_DEPTH_MAX } else { PARSER_DEPTH_MAX };
        let field = Some(member.to_owned()).filter(|member| !member.is_empty());
        let the_body = if field.is_none() { "the body " } else { "" };
        return Err(bad(field, format!("{the_body}must be nested at most {most} deep"), None));
    }
    match lenient::read(bytes, reading) {
        Ok(Object(read)) => Ok(read),
        Err(_) => Err(explain::<T>(bytes, reading).unwrap_or_else(|| not_json(&strict))),
    }
}

/// Reads again with the path; nothing if that finds nothing wrong.
fn explain<T: DeserializeOwned>(bytes: &[u8], reading: Reading) -> Option<BadBody> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(Lenient::new(&mut reader, reading), &mut track);
    let error = Object::<T>::deserialize(tracked).err()?;
    let path = track.path();
    let said = error.to_string();
    let is_about_a_value = error.is_data() || said.starts_with("number out of range");
    Some(if is_about_a_value { in_words(&path.to_string(), &said) } else { not_json(&error) })
}

fn not_json(error: &serde_json::Error) -> BadBody {
    let problem = if error.is_eof() && error.column() == 0 {
        "the body is empty; it must be a JSON object".into()
    } else {
        format!("the body is not JSON: {error}")
    };
    bad(None, problem, None)
}

fn bad(field: Option<String>, problem: String, said: Option<String>) -> BadBody {
    BadBody { field: field.map(|field| shortened(&field)), problem, said }
}

/// Puts serde's sentence about the value at `path` into words of the API.
fn in_words(path: &str, said: &str) -> BadBody {
    // What is said of a field before its value is looked at has no name in the path yet.
    let path = path.strip_suffix('?').map_or(path, |known| known.trim_end_matches('.'));
    let parent = Some(path).filter(|path| !["", "."].contains(path));
    let sentence = said.rsplit_once(" at line ").map_or(said, |(sentence, _)| sentence);
    let child = |name: &str| match parent {
        Some(parent) if parent == name || parent.ends_with(&format!(".{name}")) => parent.to_owned(),
        Some(parent) => format!("{parent}.{name}"),
        None => name.to_owned(),
    };
    if let Some(name) = quoted(sentence, "missing field ") {
        return bad(Some(child(name)), "is missing".into(), Some(said.into()));
    }
    if let Some(name) = quoted(sentence, "duplicate field ") {
        return bad(Some(child(name)), "is given twice".into(), None);
    }
    if let Some(name) = quoted(sentence, "unknown field ") {
        let known = sentence.split_once("`, expected ").map_or("", |(_, known)| known);
        let known = known.trim_start_matches("one of ").replace('`', "");
        let said = (said.len() <= SHOWN_CHARS_MAX * 4).then(|| said.to_owned());
        return bad(Some(child(name)), format!("is not known; known are {known}"), said);
    }
    let problem = match sentence.rsplit_once(", expected ") {
        Some((found, expected)) => {
            format!("must be {}, is {}", wanted(parent.unwrap_or_default(), expected), shown(found))
        }
        None => shortened(sentence),
    };
    match parent {
        Some(_) => bad(parent.map(str::to_owned), problem, None),
        None => bad(None, format!("the body {problem}"), None),
    }
}

fn quoted<'a>(sentence: &'a str, begin: &str) -> Option<&'a str> {
    sentence.strip_prefix(begin)?.strip_prefix('`')?.split_once('`').map(|(name, _)| name)
}

/// What a value must be: serde's word for its type in our words, with the limit that the field has.
fn wanted(path: &str, expected: &str) -> String {
    let name = path.rsplit('.').next().unwrap_or(path);
    let name = name.split_once('[').map_or(name, |(name, _)| name);
    match expected {
        "a string" | "a borrowed string" | "a string or map" => text(name),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "a list".into(),
        "a map" | EXPECTED => "an object".into(),
        number if number.starts_with(['u', 'i']) && number[1..].parse::<u8>().is_ok() => whole(name, number),
        "usize" => whole(name, "u64"),
        other if other.starts_with("struct ") => "an object".into(),
        other => other.into(),
    }
}

fn text(name: &str) -> String {
    match name {
        "tenant_id" | "tenant_ids" | "tenants" | "namespace" => {
            format!("a text of at most {} bytes", limits::TENANT_BYTES_MAX)
        }
        "id" | "_id" | "ids" => format!("a text of 1 to {} bytes", limits::ID_BYTES_MAX),
        _ => "a text".into(),
    }
}

fn whole(name: &str, number: &str) -> String {
    let range = |from: u32, to: u64| format!("a whole number from {from} to {to}");
    match (name, number) {
        ("top_k" | "topK", _) => range(1, u64::from(limits::TOP_K_MAX)),
        ("timeout_ms", _) => range(1, crate::convert::tenant::TIMEOUT_MS_MAX),
        ("dimension", _) => range(limits::DIM_MIN, u64::from(limits::DIM_MAX)),
        (_, "u8" | "u16" | "u32") => range(0, u64::from(u32::MAX)),
        (_, "u64") => "a whole number from 0 up".into(),
        _ => "a whole number".into(),
    }
}

/// The value that was found, as it stood in the body if it is short.
fn shown(found: &str) -> String {
    let found = found.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
    match found {
        "sequence" => "a list".into(),
        "map" => "an object".into(),
        "null" | "unit value" => "null".into(),
        _ => {
            let kinds = ["integer ", "floating point ", "boolean ", "string "];
            let value = kinds.iter().find_map(|kind| found.strip_prefix(kind)).unwrap_or(found);
            shortened(value.trim_matches('`'))
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_wire::{
        control::CreateRequest,
        tenant::{IngestRequest, QueryRequest},
        vectors::UpsertRequest,
    };

    fn check<T: DeserializeOwned>(body: &str, field: &str, problem: &str) {
        let bad = read::<T>(body.as_bytes()).map(drop).unwrap_err();
        assert_eq!(
            (bad.field.as_deref().unwrap_or_default(), bad.problem.as_str()),
            (field, problem),
            "{body}"
        );
    }

    /// Found by `fuzz_refusals`: what the strict reader minds is not what is wrong.
    #[test]
    fn what_is_no_json_is_refused_for_that_and_not_for_a_null_before_it() {
        let body = format!(r#"{{"top_k": null, "query_text": "{}", "filter": ["#, "x".repeat(9_000));
        let said = read::<QueryRequest>(body.as_bytes()).map(drop).unwrap_err().to_string();
        assert!(said.starts_with("the body is not JSON: EOF") && said.len() < 100, "{said}");
        let body = r#"{"topK": "10", "vector": [1], }"#;
        let said = read_proto::<pinyon_wire::vectors::QueryRequest>(body.as_bytes()).map(drop).unwrap_err();
        assert!(said.to_string().starts_with("the body is not JSON: trailing comma"), "{said}");
    }

    #[test]
    fn refusals_name_field_limit_and_what_was_found() {
        let top_k = |value: &str| format!(r#"{{"query_text": "x", "tenant_id": "t", "top_k": {value}}}"#);
        for (value, shown) in [("-1", "-1"), ("1.5", "1.5"), (r#""5""#, r#""5""#), ("true", "true")] {
            let problem = format!("must be a whole number from 1 to 10000, is {shown}");
            check::<QueryRequest>(&top_k(value), "top_k", &problem);
        }
        check::<QueryRequest>(r#"{"vector": [1, "a"]}"#, "vector[1]", r#"must be a number, is "a""#);
        check::<QueryRequest>(r#"{"vector": 7}"#, "vector", "must be a list, is 7");
        check::<QueryRequest>(r#"{"vector": [1e999]}"#, "vector[0]", "number out of range");
        check::<QueryRequest>(r#"{"cross_shard": 1}"#, "cross_shard", "must be true or false, is 1");
        check::<QueryRequest>(
            r#"{"timeout_ms": -1}"#,
            "timeout_ms",
            "must be a whole number from 1 to 60000, is -1",
        );
        check::<IngestRequest>(
            r#"{"tenant_id": 5, "documents": []}"#,
            "tenant_id",
            "must be a text of at most 512 bytes, is 5",
        );
        check::<IngestRequest>(r#"{"tenant_id": "t"}"#, "documents", "is missing");
        let documents = |document: &str| format!(r#"{{"tenant_id": "t", "documents": [{document}]}}"#);
        check::<IngestRequest>(&documents(r#"{"id": "a"}"#), "documents[0].text", "is missing");
        check::<IngestRequest>(&documents(r#"["a", "x"]"#), "documents[0]", "must be an object, is a list");
        check::<IngestRequest>(&documents(r#"{"id": "a", "id": "b"}"#), "documents[0].id", "is given twice");
        check::<IngestRequest>(
            &documents(r#"{"id": "a", "txt": "b"}"#),
            "documents[0].txt",
            "is not known; known are id, text, metadata",
        );
        check::<UpsertRequest>(
            r#"{"vectors": [{"sparseValues": {"indices": [-1], "values": []}}]}"#,
            "vectors[0].sparseValues.indices[0]",
            "must be a whole number from 0 to 4294967295, is -1",
        );
        check::<CreateRequest>(r#"{"schema": []}"#, "schema", "must be an object, is a list");
    }

    #[test]
    fn what_is_no_object_or_no_json_is_told_apart() {
        check::<IngestRequest>(r#"["t", [["a", "x", {}]]]"#, "", "the body must be an object, is a list");
        check::<IngestRequest>("5", "", "the body must be an object, is 5");
        check::<IngestRequest>("", "", "the body is empty; it must be a JSON object");
        let cut = read::<IngestRequest>(br#"{"tenant_id": "t", "#).map(drop).unwrap_err();
        assert!(cut.field.is_none() && cut.problem.contains("the body is not JSON: EOF"), "{cut}");
        let more = read::<QueryRequest>(b"{} {}").map(drop).unwrap_err();
        assert!(more.field.is_none() && more.problem.contains("trailing characters"), "{more}");
    }

    #[test]
    fn deep_and_long_input_is_named_and_not_repeated() {
        let deep = format!(r#"{{"filter": {}1{}}}"#, r#"{"$and": ["#.repeat(200), "]}".repeat(200));
        check::<QueryRequest>(&deep, "filter", "must be nested at most 16 deep");
        check::<QueryRequest>(&"[".repeat(1_000), "", "the body must be nested at most 127 deep");
        check::<QueryRequest>(
            &format!(r#"{{"top_k": null, "vector": {}"#, "[".repeat(128)),
            "vector",
            "must be nested at most 127 deep",
        );
        let long = "y".repeat(1_000_000);
        for body in [format!(r#"{{"top_k": "{long}"}}"#), format!(r#"{{"{long}": 1}}"#)] {
            let bad = read::<QueryRequest>(body.as_bytes()).map(drop).unwrap_err();
            assert!(bad.to_string().len() < 1_000 && bad.said.is_none(), "{}", bad.to_string().len());
        }
    }
}
