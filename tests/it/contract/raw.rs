//! HTTP as bytes, so that nothing is compressed, decompressed or retried unseen.

use serde_json::Value;
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// An answer as it came.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) bytes: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("not JSON: {self}"))
    }

    /// The message of either envelope.
    pub(super) fn message(&self) -> String {
        let body = self.json();
        let message = body["message"].as_str().or_else(|| body["error"]["message"].as_str());
        message.unwrap_or_else(|| panic!("no message: {self}")).to_owned()
    }

    pub(super) fn has_header(&self, line: &str) -> bool {
        self.head.lines().any(|given| given == line)
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.head, String::from_utf8_lossy(&self.bytes))
    }
}

pub(super) fn post(base: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    send(base, "POST", path, headers, body)
}

pub(super) fn send(base: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let host = base.strip_prefix("http://").unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").expect("no head");
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    Answer { status: head[9..12].parse().unwrap(), head, bytes: all.split_off(end + 4) }
}
