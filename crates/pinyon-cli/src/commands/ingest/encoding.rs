//! Tells what a file is that is not UTF-8, from its first bytes or from a byte that does not belong there, and says how to
//! turn it into UTF-8.

use std::path::Path;

/// First bytes of files that are packed, and what unpacks them to standard output.
const PACKED: [(&[u8], &str, &str); 5] = [
    (&[0x1f, 0x8b], "gzip", "gzip -dc"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd", "zstd -dc"),
    (&[0xfd, b'7', b'z', b'X'], "xz", "xz -dc"),
    (b"BZh", "bzip2", "bzip2 -dc"),
    (&[b'P', b'K', 3, 4], "zip", "unzip -p"),
];

/// First bytes of texts in other encodings: marks of byte order, then the begin of a JSON object without one.
const ENCODED: [(&[u8], &str); 8] = [
    (&[0xff, 0xfe, 0, 0], "UTF-32LE"),
    (&[0, 0, 0xfe, 0xff], "UTF-32BE"),
    (&[b'{', 0, 0, 0], "UTF-32LE"),
    (&[0, 0, 0, b'{'], "UTF-32BE"),
    (&[0xff, 0xfe], "UTF-16LE"),
    (&[0xfe, 0xff], "UTF-16BE"),
    (&[b'{', 0], "UTF-16LE"),
    (&[0, b'{'], "UTF-16BE"),
];

/// The mark that some programs put before UTF-8; it says nothing and is skipped.
pub(super) const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// Returns what is wrong with a file that begins with these bytes, and what to do.
pub(super) fn refuse_head(head: &[u8], file: &Path) -> Option<String> {
    let begins = |mark: &[u8]| head.starts_with(mark);
    if let Some((_, name, unpack)) = PACKED.into_iter().find(|(mark, ..)| begins(mark)) {
        let problem = format!("line 1 begins with the bytes of a {name} file, not with a JSON object");
        let command = format!("{unpack} {}", file.display());
        return Some(format!("{problem}: unpack it: {}", ingest_from(&command)));
    }
    let (_, name) = ENCODED.into_iter().find(|(mark, _)| begins(mark))?;
    Some(format!("is {name} from line 1 on, and must be UTF-8: {}", convert(name, file)))
}

/// Returns what is wrong with a line, if it is not UTF-8. Its byte is counted from 1.
pub(super) fn refuse_line(line: &[u8], file: &Path) -> Option<String> {
    let error = std::str::from_utf8(line).err()?;
    let at = error.valid_up_to();
    let byte = line.get(at).copied().unwrap_or_default();
    let found = format!("byte {} (0x{byte:02X}) is not UTF-8", at + 1);
    let has_utf8 = line.get(..at).is_some_and(|before| !before.is_ascii());
    if has_utf8 || error.error_len().is_none() {
        return Some(format!("{found}, though what stands before it is: the line is damaged or cut off"));
    }
    // The bytes between are control characters in ISO-8859-1, and quotes, dashes and the euro in Windows-1252.
    let is_windows = line.iter().any(|byte| (0x80..0xa0).contains(byte));
    let name = if is_windows { "WINDOWS-1252" } else { "ISO-8859-1" };
    Some(format!("{found}; the file seems to be {name}: {}", convert(name, file)))
}

fn convert(name: &str, file: &Path) -> String {
    format!("convert it: {}", ingest_from(&format!("iconv -f {name} -t UTF-8 {}", file.display())))
}

/// The command that ingests what another one writes.
fn ingest_from(command: &str) -> String {
    format!("`{command} | pinyon ingest -`, with the same options")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_encodings_and_packed_files() {
        let said = |head: &[u8]| refuse_head(head, Path::new("docs.jsonl"));
        let utf16 =
            |bytes: fn(u16) -> [u8; 2]| "\u{feff}{\"".encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        for (head, name) in [
            (utf16(u16::to_le_bytes), "UTF-16LE"),
            (utf16(u16::to_be_bytes), "UTF-16BE"),
            (utf16(u16::to_le_bytes)[2..].to_vec(), "UTF-16LE"),
            (utf16(u16::to_be_bytes)[2..].to_vec(), "UTF-16BE"),
            (vec![0xff, 0xfe, 0, 0, b'{', 0, 0, 0], "UTF-32LE"),
            (vec![0, 0, 0, b'{'], "UTF-32BE"),
        ] {
            let command =
                format!("`iconv -f {name} -t UTF-8 docs.jsonl | pinyon ingest -`, with the same options");
            let expected = format!("convert it: {command}");
            assert!(said(&head).unwrap().ends_with(&expected), "{head:?}: {:?}", said(&head));
        }
        assert!(said(&[0x1f, 0x8b, 8, 0]).unwrap().contains("`gzip -dc docs.jsonl | pinyon ingest -`"));
        for fine in [b"{\"id\"".as_slice(), UTF8_MARK, b"", b"\n", b"{"] {
            assert_eq!(said(fine), None);
        }
    }

    #[test]
    fn a_byte_that_is_not_utf8_is_named_with_the_encoding_it_seems_to_be() {
        let said = |line: &[u8]| refuse_line(line, Path::new("docs.jsonl"));
        assert_eq!(said("Käse 日本".as_bytes()), None);
        let latin = said(b"K\xe4se").unwrap();
        assert!(latin.starts_with("byte 2 (0xE4) is not UTF-8") && latin.contains("ISO-8859-1"), "{latin}");
        assert!(said(b"\x93K\xe4se\x94").unwrap().contains("-f WINDOWS-1252"));
        let damaged = said("ä".repeat(3).as_bytes().split_last().unwrap().1).unwrap();
        assert!(damaged.starts_with("byte 5 (0xC3)") && damaged.ends_with("damaged or cut off"), "{damaged}");
    }
}
