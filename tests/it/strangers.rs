//! Who is refused by a server without keys, and what pages are told by one with keys: each row of the tables is sent as bytes to
//! the control port, below an index's path, to an index by its host name, to an index's own port, and over gRPC.

use crate::server::{Server, scratch};
use pinyon_wire::grpc::{DescribeIndexStatsRequest, vector_service_client::VectorServiceClient};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    time::Duration,
};
use tonic::{
    Code, Request,
    metadata::{MetadataKey, MetadataValue},
    transport::Endpoint,
};

type Header = (&'static str, &'static str);

const OWN: &str = "localhost:PORT";

/// Hosts, and whether a server without keys that listens on 127.0.0.1 answers to them.
const HOSTS: [(&str, bool); 30] = [
    ("localhost", true),
    (OWN, true),
    ("localhost.", true),
    ("LOCALHOST.:PORT", true),
    ("LocalHost:1", true),
    ("songs.localhost:PORT", true),
    ("a.b.localhost", true),
    ("127.0.0.1:PORT", true),
    ("127.8.9.10", true),
    ("[::1]:PORT", true),
    ("[::1]", true),
    ("host.docker.internal:PORT", true),
    ("gateway.docker.internal", true),
    ("Host.Containers.Internal", true),
    ("evil.com", false),
    ("evil.com:PORT", false),
    ("localhost.evil.com", false),
    ("evil-localhost", false),
    ("evillocalhost", false),
    ("127.0.0.1.evil.com", false),
    ("127.0.0.1.nip.io:PORT", false),
    ("localhost..", false),
    (".localhost", false),
    ("localhost:5080:80", false),
    ("user@localhost", false),
    ("x.host.docker.internal", false),
    ("10.0.0.1", false),
    ("0.0.0.0:PORT", false),
    ("[::2]:PORT", false),
    ("pinyon:PORT", false),
];

/// What browsers say of where a request comes from, and whether it is let in: with GET and with POST.
const SENDERS: [(&[Header], bool, bool); 24] = [
    (&[], true, true),
    (&[("sec-fetch-mode", "cors"), ("accept-language", "*")], true, true),
    (&[("sec-fetch-site", "same-origin")], true, true),
    (&[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")], true, true),
    (&[("sec-fetch-site", "same-origin"), ("origin", "https://hub.example.com")], true, true),
    (&[("sec-fetch-site", "same-site"), ("origin", "http://localhost:3000")], false, false),
    (&[("sec-fetch-site", "cross-site")], false, false),
    (&[("sec-fetch-site", "cross-site"), ("origin", "http://localhost:PORT")], false, false),
    (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], false, false),
    (&[("sec-fetch-site", "Same-Origin")], false, false),
    (&[("sec-fetch-site", "")], false, false),
    (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false, false),
    (&[("sec-fetch-site", "cross-site"), ("origin", "https://app.example.com")], true, true),
    (&[("origin", "http://localhost:PORT")], true, true),
    (&[("origin", "http://LOCALHOST:PORT")], true, true),
    (&[("origin", "https://app.example.com")], true, true),
    (&[("origin", "http://localhost:3000")], false, false),
    (&[("origin", "http://localhost")], false, false),
    (&[("origin", "https://evil.com")], false, false),
    (&[("origin", "null")], false, false),
    (&[("origin", "http://localhost:PORT"), ("origin", "https://evil.com")], false, false),
    (&[("referer", "http://localhost:PORT/docs")], true, true),
    (&[("referer", "https://evil.com/page?x")], true, false),
    (&[("referer", "http://localhost:PORT.evil.com/")], true, false),
];

/// Types of bodies, with what else is sent, and whether they are read.
const TYPES: [(&[Header], bool); 18] = [
    (&[], true),
    (&[("content-type", "application/json")], true),
    (&[("content-type", "Application/JSON; charset=utf-8")], true),
    (&[("content-type", "application/vnd.api+json")], true),
    (&[("content-type", "application/x-ndjson")], true),
    (&[("content-type", "application/x-www-form-urlencoded")], true),
    (&[("content-type", "application/x-www-form-urlencoded"), ("origin", "http://localhost:PORT")], false),
    (&[("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "none")], false),
    (&[("content-type", "application/x-www-form-urlencoded"), ("referer", "http://localhost:PORT/")], false),
    (&[("content-type", "application/x-www-form-urlencoded"), ("cookie", "a=b")], false),
    (&[("content-type", "text/plain")], false),
    (&[("content-type", "text/plain;charset=UTF-8")], false),
    (&[("content-type", "text/json")], false),
    (&[("content-type", "multipart/form-data; boundary=x")], false),
    (&[("content-type", "application/octet-stream")], false),
    (&[("content-type", "application/jsonx")], false),
    (&[("content-type", "application/json"), ("content-type", "text/plain")], false),
    (&[("content-type", "text/plain, application/json")], false),
];

/// A way to a router: who is connected to, the host that is asked, and requests that are answered with 200.
struct Place {
    name: &'static str,
    base: String,
    host: &'static str,
    get: &'static str,
    post: (&'static str, &'static str),
}

struct Setup {
    dir: PathBuf,
    server: Server,
    index: String,
}

impl Setup {
    fn start(name: &str, environment: &[(&str, &str)], key: Option<&str>) -> Self {
        let dir = scratch(name);
        let server = Server::start_with(&dir, &["--vector-dimension", "8"], environment);
        let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
        let body = json!({"name": "movies", "dimension": 2, "spec": spec}).to_string();
        let request = server.agent().post(format!("{}/indexes", server.url));
        let request =
            request.header("content-type", "application/json").header("api-key", key.unwrap_or("any"));
        let text = request.send(body).unwrap().body_mut().read_to_string().unwrap();
        let made: Value = serde_json::from_str(&text).unwrap();
        let index = made["host"].as_str().unwrap().to_owned();
        Self { dir, server, index }
    }

    fn places(&self) -> [Place; 4] {
        let stats = ("/describe_index_stats", "{}");
        let below = ("/indexes/movies/describe_index_stats", "{}");
        let query = ("/query", r#"{"cross_shard": true, "query_text": "x"}"#);
        let control = || self.server.url.clone();
        let index = self.index.clone();
        [
            Place { name: "control port", base: control(), host: OWN, get: "/indexes", post: query },
            Place {
                name: "path",
                base: control(),
                host: OWN,
                get: "/indexes/movies/namespaces",
                post: below,
            },
            Place {
                name: "host",
                base: control(),
                host: "movies.localhost:PORT",
                get: "/namespaces",
                post: stats,
            },
            Place { name: "index port", base: index, host: OWN, get: "/namespaces", post: stats },
        ]
    }

    fn end(self) {
        drop(self.server);
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}

/// Status and the rest of the answer.
fn send(place: &Place, method: &str, path: &str, host: Option<&str>, headers: &[Header]) -> (u16, String) {
    let address = place.base.strip_prefix("http://").unwrap();
    let port = address.rsplit_once(':').unwrap().1;
    let body = if method == "POST" { place.post.1 } else { "" };
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in host.map(|host| ("host", host)).iter().chain(headers) {
        head += &format!("{name}: {}\r\n", value.replace("PORT", port));
    }
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    (text.get(9..12).unwrap_or_else(|| panic!("{head}: {text:?}")).parse().unwrap(), text)
}

fn post(place: &Place, host: Option<&str>, headers: &[Header]) -> (u16, String) {
    send(place, "POST", place.post.0, host, headers)
}

#[test]
fn a_keyless_server_answers_to_its_own_hosts_only() {
    let setup = Setup::start("strangers-hosts", &[], None);
    for place in setup.places() {
        for (host, is_known) in HOSTS {
            // The name of an index is the way to one of the places; the other names lead to the control plane.
            let (status, text) = post(&place, Some(host), &[("content-type", "application/json")]);
            let is_let_in = status != 403;
            assert_eq!(is_let_in, is_known, "{}: {host}: {text}", place.name);
            assert!(is_known || text.contains("PINYON_ALLOWED_HOSTS"), "{host}: {text}");
        }
        assert_eq!(post(&place, None, &[]).0, 400, "{}: no host", place.name);
        assert_eq!(post(&place, Some(""), &[]).0, 400, "{}: an empty host", place.name);
        let twice = post(&place, Some("localhost"), &[("host", "localhost")]);
        assert_eq!(twice.0, 400, "{}: two hosts", place.name);
        let absolute = format!("http://evil.com{}", place.post.0);
        assert_eq!(send(&place, "POST", &absolute, Some(OWN), &[]).0, 403, "{}: absolute form", place.name);
        assert_eq!(send(&place, "GET", place.get, Some("evil.com"), &[]).0, 403, "{}: GET", place.name);
    }
    setup.end();
}

#[test]
fn a_keyless_server_answers_no_page_of_another_origin() {
    let allowed = [("PINYON_ALLOWED_ORIGINS", "https://app.example.com")];
    let setup = Setup::start("strangers-senders", &allowed, None);
    for place in setup.places() {
        for (headers, may_read, may_write) in SENDERS {
            // An origin is held against the host that is asked.
            let host = if place.name == "host" { "localhost:PORT" } else { place.host };
            let is_let_in = |(status, text): (u16, String)| {
                assert!(status != 403 || text.contains("PINYON_ALLOWED_ORIGINS"), "{text}");
                status != 403
            };
            assert_eq!(
                is_let_in(send(&place, "GET", place.get, Some(host), headers)),
                may_read,
                "{} {headers:?}",
                place.name
            );
            assert_eq!(is_let_in(post(&place, Some(host), headers)), may_write, "{} {headers:?}", place.name);
            assert_eq!(
                is_let_in(send(&place, "DELETE", place.get, Some(host), headers)),
                may_write,
                "DELETE {headers:?}"
            );
        }
    }
    let [control, ..] = setup.places();
    let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
    assert_eq!(send(&control, "GET", "/docs", Some(OWN), &link).0, 200, "a link to the description");
    assert_eq!(send(&control, "POST", "/docs", Some(OWN), &link).0, 403);
    assert_eq!(send(&control, "GET", "/docs", Some(OWN), &[("sec-fetch-site", "cross-site")]).0, 403);
    setup.end();
}

#[test]
fn a_keyless_server_reads_no_body_that_pages_can_send_unasked() {
    let setup = Setup::start("strangers-types", &[], None);
    for place in setup.places() {
        for (headers, is_read) in TYPES {
            // The page's own origin, where one is sent, so that only the type decides.
            let own = if place.name == "host" { "localhost:PORT" } else { place.host };
            let host = if headers.iter().any(|(name, _)| ["origin", "referer"].contains(name)) {
                own
            } else {
                place.host
            };
            let (status, text) = post(&place, Some(host), headers);
            assert_eq!(status, if is_read { 200 } else { 415 }, "{} {headers:?}: {text}", place.name);
        }
    }
    setup.end();
}

#[test]
fn preflights_are_answered_for_allowed_origins_only_with_and_without_keys() {
    const KEY: &str = "a-key-of-twenty-bytes";
    let allowed = ("PINYON_ALLOWED_ORIGINS", "https://app.example.com");
    for (name, environment, key) in [
        ("strangers-preflight-open", vec![allowed], None),
        ("strangers-preflight-keyed", vec![allowed, ("PINYON_API_KEYS", KEY)], Some(KEY)),
    ] {
        let setup = Setup::start(name, &environment, key);
        for place in setup.places() {
            let ask = |origin| send(&place, "OPTIONS", place.post.0, Some(place.host), &[("origin", origin)]);
            let (status, text) = ask("https://app.example.com");
            assert!(
                status == 204 && text.contains("access-control-allow-origin: https://app.example.com"),
                "{text}"
            );
            for origin in ["https://evil.com", "null", "http://localhost:3000"] {
                let (status, text) = ask(origin);
                assert!(status == 403 && !text.contains("access-control"), "{text}");
            }
            let (_, text) =
                post(&place, Some(place.host), &[("api-key", KEY), ("content-type", "application/json")]);
            for line in [
                "HTTP/1.1 200",
                "x-content-type-options: nosniff",
                "cross-origin-resource-policy: same-origin",
            ] {
                assert!(text.contains(line), "{}: {line}: {text}", place.name);
            }
            assert!(!text.contains("access-control"), "{text}");
        }
        setup.end();
    }
}

#[test]
fn a_key_decides_alone_where_there_are_keys() {
    const KEY: &str = "a-key-of-twenty-bytes";
    let setup = Setup::start("strangers-keyed", &[("PINYON_API_KEYS", KEY)], Some(KEY));
    let hostile: [Header; 4] = [
        ("origin", "https://evil.com"),
        ("sec-fetch-site", "cross-site"),
        ("content-type", "text/plain"),
        ("api-key", KEY),
    ];
    for place in setup.places().into_iter().filter(|place| place.name != "host") {
        assert_eq!(post(&place, Some("pinyon.example.com"), &hostile).0, 200, "{}", place.name);
        assert_eq!(post(&place, Some("pinyon.example.com"), &hostile[..3]).0, 401, "{}", place.name);
    }
    setup.end();
}

#[test]
fn grpc_is_held_to_the_same_tables() {
    let allowed = [("PINYON_ALLOWED_ORIGINS", "https://app.example.com")];
    let setup = Setup::start("strangers-grpc", &allowed, None);
    let port = setup.index.rsplit_once(':').unwrap().1.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let call = |authority: &str, headers: &[Header]| {
        runtime.block_on(stats(&setup.index, &authority.replace("PORT", &port), headers, &port))
    };
    for (host, is_known) in HOSTS {
        // Names that no client can put into a request of HTTP/2 never leave it.
        let Some(code) = call(host, &[]) else { continue };
        assert_eq!(code, if is_known { Code::Ok } else { Code::PermissionDenied }, "{host}");
    }
    for (headers, _, may_write) in SENDERS {
        let code = call(OWN, headers).unwrap();
        assert_eq!(code, if may_write { Code::Ok } else { Code::PermissionDenied }, "{headers:?}");
    }
    setup.end();
}

/// What a call ends with; nothing where the authority is none.
async fn stats(index: &str, authority: &str, headers: &[Header], port: &str) -> Option<Code> {
    let origin = format!("http://{authority}").parse().ok()?;
    let channel = Endpoint::from_shared(index.to_owned()).unwrap().origin(origin).connect().await.unwrap();
    let mut request = Request::new(DescribeIndexStatsRequest::default());
    for (name, value) in headers {
        let value = MetadataValue::try_from(value.replace("PORT", port)).unwrap();
        request.metadata_mut().append(MetadataKey::from_static(name), value);
    }
    let answer = VectorServiceClient::new(channel).describe_index_stats(request).await;
    Some(answer.map_or_else(|status| status.code(), |_| Code::Ok))
}

#[test]
fn refusals_are_counted_by_reason() {
    let setup = Setup::start("strangers-counted", &[], None);
    let [control, ..] = setup.places();
    assert_eq!(post(&control, Some("evil.com"), &[]).0, 403);
    assert_eq!(post(&control, Some(OWN), &[("content-type", "text/plain")]).0, 415);
    let (_, text) = send(&control, "GET", "/metrics", Some(OWN), &[]);
    for line in [
        r#"pinyon_requests_refused_total{reason="host"} 1"#,
        r#"pinyon_requests_refused_total{reason="content_type"} 1"#,
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    setup.end();
}
