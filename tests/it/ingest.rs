//! What `pinyon ingest` says of records that are wrong, and of files that are no JSON Lines in UTF-8.

use crate::server::{Server, binary, scratch};
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A file, and a directory of data; both are removed at the end.
struct Place {
    file: PathBuf,
    data: PathBuf,
}

impl Place {
    fn new(name: &str, content: &[u8]) -> Self {
        let file = scratch(&format!("{name}.jsonl"));
        std::fs::write(&file, content).unwrap();
        Self { file, data: scratch(name) }
    }

    fn ingest(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command.arg("ingest").arg(&self.file).args(["--tenant", "t"]).args(arguments);
        if !arguments.contains(&"--server") {
            command.arg("--data-dir").arg(&self.data).args(["--vector-dimension", "16"]);
        }
        command.output().unwrap()
    }

    fn named(&self, line: u64) -> String {
        format!("{} line {line}: ", self.file.display())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn line(id: &str, text: &str) -> String {
    format!("{{\"id\": \"{id}\", \"text\": \"{text}\"}}\n")
}

/// Seven documents with a blank line among them, of which that in line 6 has a text that is refused by the engine alone.
fn bad_in_line_6() -> Vec<u8> {
    let large = "x".repeat(300 << 10);
    let documents = [("a", "x"), ("b", "x"), ("c", "x"), ("d", large.as_str()), ("e", "x"), ("f", "x")];
    let lines = documents.map(|(id, text)| line(id, text));
    [&lines[..2].concat(), "\n \r\n", &lines[2..].concat()].concat().into_bytes()
}

#[test]
fn a_refused_document_is_named_by_its_line_in_every_batch_and_place() {
    let place = Place::new("ingest-refused", &bad_in_line_6());
    let data = scratch("ingest-refused-server");
    let server = Server::start(&data, &["--vector-dimension", "16"]);
    for (batch, durable, next) in [("1", 3, 6), ("2", 2, 5), ("3", 3, 6), ("4", 0, 1), ("500", 0, 1)] {
        for place_arguments in [&["--server", server.url.as_str()][..], &[]] {
            let output = place.ingest(&[&["--batch", batch, "--json"], place_arguments].concat());
            assert_eq!(output.status.code(), Some(1), "{batch}: {}", said(&output));
            let begin =
                format!("pinyon: stopped with {durable} documents durable: {}metadata", place.named(6));
            assert!(said(&output).starts_with(&begin), "{batch}: {begin} in {}", said(&output));
            let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!((&json["documents"], &json["next_line"]), (&durable.into(), &next.into()), "{json}");
        }
    }
    drop(server);
    std::fs::remove_dir_all(&data).unwrap();
}

#[test]
fn lines_that_are_no_documents_are_named_and_what_stands_before_can_be_kept() {
    for (bad, problem) in [
        ("{\"id\": 7, \"text\": \"x\"}", "id: invalid type: integer `7`"),
        ("{\"id\": \"a\"", "is not a whole JSON object"),
        ("{\"id\": \"\u{fc}\", \"text\": \"x\"}", "id: "),
        ("[1]", "is a JSON array"),
        ("{\"id\": \"a\", \"text\": \"x\", \"tenant_id\": \"\"}", "tenant_id: "),
    ] {
        let place =
            Place::new("ingest-line", (line("a", "x") + "\n" + bad + "\n" + &line("b", "y")).as_bytes());
        let output = place.ingest(&["--batch", "1"]);
        let begin = format!("stopped with 1 documents durable: {}{problem}", place.named(3));
        assert!(
            output.status.code() == Some(1) && said(&output).contains(&begin),
            "{begin}: {}",
            said(&output)
        );
        assert!(
            said(&output).contains("`tail -n +2 ") || said(&output).contains("`tail -n +3 "),
            "{}",
            said(&output)
        );
    }
}

#[test]
fn other_encodings_are_named_with_the_command_that_converts_them() {
    let utf16 =
        |bytes: fn(u16) -> [u8; 2]| line("a", "Käse").encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let latin = b"{\"id\": \"a\", \"text\": \"x\"}\n{\"id\": \"b\", \"text\": \"K\xe4se\"}\n".to_vec();
    for (content, named) in [
        (utf16(u16::to_le_bytes), "UTF-16LE"),
        ([vec![0xff, 0xfe], utf16(u16::to_le_bytes)].concat(), "UTF-16LE"),
        ([vec![0xfe, 0xff], utf16(u16::to_be_bytes)].concat(), "UTF-16BE"),
        (latin, "line 2: byte 23 (0xE4) is not UTF-8; the file seems to be ISO-8859-1"),
        (vec![0x1f, 0x8b, 8, 0, 0], "gzip"),
    ] {
        let place = Place::new("ingest-encoding", &content);
        let output = place.ingest(&[]);
        let said = said(&output);
        assert!(output.status.code() == Some(1) && said.contains(named), "{named}: {said}");
        assert!(
            said.contains(&*place.file.to_string_lossy()) && said.contains("| pinyon ingest -`"),
            "{said}"
        );
    }
}

#[test]
fn marks_ends_of_lines_and_empty_files_are_no_matter() {
    let documents = "\u{feff}{\"id\": \"a\", \"text\": \"x\"}\r\n\r\n{\"id\": \"b\", \"text\": \"y\"}";
    for (content, count) in [(documents, 2), ("", 0), ("\n\n", 0), ("\u{feff}", 0)] {
        let place = Place::new("ingest-ends", content.as_bytes());
        let output = place.ingest(&["--json"]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert!(
            output.status.success() && json["documents"] == count,
            "{content:?}: {json} {}",
            said(&output)
        );
    }
}

#[test]
fn what_is_no_file_of_lines_is_refused_before_anything_is_made() {
    let place = Place::new("ingest-no-file", b"");
    let missing = place.file.with_extension("missing");
    let directory = std::env::temp_dir();
    for (file, problem) in [(missing.as_path(), "No such file"), (directory.as_path(), "is a directory")] {
        let output =
            Command::new(binary()).arg("ingest").arg(file).arg("--data-dir").arg(&place.data).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(&format!("{}: {problem}", file.display())), "{}", said(&output));
        assert!(!Path::new(&place.data).exists());
    }
}

#[test]
fn a_line_longer_than_any_document_is_refused_without_reading_it_whole() {
    let content = line("a", "x") + &line("b", &"x".repeat(3 << 20));
    let place = Place::new("ingest-long", content.as_bytes());
    let output = place.ingest(&[]);
    let begin = format!("{}has more than 2097152 bytes", place.named(2));
    assert!(output.status.code() == Some(1) && said(&output).contains(&begin), "{}", said(&output));
}
