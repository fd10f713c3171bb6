//! Compressed bodies, byte order marks, URLs that are too long, messages that are none.

use super::{
    LEGACY, Place, connect, post,
    raw::{Answer, send},
};
use crate::server::{Server, scratch};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use pinyon_wire::grpc;
use serde_json::{Value, json};
use std::io::{Read, Write};
use tonic::codec::CompressionEncoding;

const GZIP: (&str, &str) = ("content-encoding", "gzip");
/// A body of the server's own limit, in bytes.
const BODY_BYTES_MAX: usize = 64 << 20;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn movies(name: &str) -> Place {
    Place::new(name, &json!({"name": "movies", "dimension": 2}))
}

/// Records whose listing is long enough to be compressed.
fn many() -> Vec<u8> {
    let records = (0..100).map(|number| json!({"id": format!("record-{number:03}"), "values": [1, number]}));
    json!({"vectors": records.collect::<Vec<_>>()}).to_string().into_bytes()
}

#[test]
fn every_route_takes_gzip() {
    let place = movies("gzip-in");
    let embed = json!({"model": "multilingual-e5-large", "field_map": {"text": "t"}});
    let texts = json!({"name": "texts", "cloud": "aws", "region": "us-east-1", "embed": embed});
    let document = json!({"tenant_id": "t", "documents": [{"id": "a", "text": "Dark beer"}]});
    let control = place.server.url.as_str();
    let lines = b"{\"_id\": \"a\", \"t\": \"x\"}\n{\"_id\": \"b\", \"t\": \"y\"}\n".to_vec();
    for (base, path, body, status) in [
        (place.host.as_str(), "/vectors/upsert", many(), 200),
        (place.host.as_str(), "/query", b"{\"topK\": 1, \"vector\": [1, 2]}".to_vec(), 200),
        (control, "/indexes/movies/query", b"{\"topK\": 1, \"id\": \"record-000\"}".to_vec(), 200),
        (control, "/indexes/create-for-model", texts.to_string().into_bytes(), 201),
        (control, "/indexes/texts/records/namespaces/n/upsert", lines, 201),
        (control, "/ingest", document.to_string().into_bytes(), 200),
        (control, "/admin/v1/advise", b"{}".to_vec(), 200),
    ] {
        for encoding in ["gzip", "GZIP", "x-gzip"] {
            if status == 201 && path.starts_with("/indexes/create") && encoding != "gzip" {
                continue;
            }
            let answer = post(base, path, &[("content-encoding", encoding)], &gzip(&body));
            assert_eq!(answer.status, status, "{path}: {answer}");
        }
        let broken = post(base, path, &[GZIP], &body);
        assert!(broken.status == 400 && broken.to_string().contains("is not gzip"), "{path}: {broken}");
        let unknown = post(base, path, &[("content-encoding", "br")], &body);
        assert!(unknown.status == 415 && unknown.to_string().contains("gzip"), "{path}: {unknown}");
        assert!(!unknown.message().is_empty(), "{path}");
    }
    let namespaces = post(&place.host, "/describe_index_stats", &[GZIP], b"");
    assert_eq!((namespaces.status, &namespaces.json()["totalVectorCount"]), (200, &json!(100)));
    place.end();
}

#[test]
fn bombs_are_refused_and_the_limit_is_that_of_plain_bodies() {
    let place = movies("gzip-bomb");
    let padded = |bytes: usize| {
        let mut body = b"{\"topK\": 1, \"vector\": [1, 2]}".to_vec();
        body.resize(bytes, b' ');
        gzip(&body)
    };
    for (base, path) in
        [(place.host.as_str(), "/query"), (place.server.url.as_str(), "/indexes/movies/query")]
    {
        assert_eq!(post(base, path, &[GZIP], &padded(BODY_BYTES_MAX)).status, 200, "{path}");
        let bomb = padded(BODY_BYTES_MAX + 1);
        assert!(bomb.len() < 1 << 20);
        let refused = post(base, path, &[GZIP], &bomb);
        assert!(refused.status == 413 && refused.message().contains("67108864"), "{path}: {refused}");
    }
    let refused = post(&place.server.url, "/ingest", &[GZIP], &gzip(&vec![b' '; 2 * BODY_BYTES_MAX]));
    assert_eq!(refused.status, 413, "{refused}");
    place.end();
}

fn decompressed(answer: &Answer) -> Value {
    assert!(
        answer.has_header("content-encoding: gzip") && answer.has_header("vary: accept-encoding"),
        "{}",
        answer.head
    );
    assert!(answer.has_header(&format!("content-length: {}", answer.bytes.len())), "{}", answer.head);
    let mut text = String::new();
    GzDecoder::new(answer.bytes.as_slice()).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn long_answers_are_compressed_for_who_asks() {
    let place = movies("gzip-out");
    assert_eq!(post(&place.host, "/vectors/upsert", &[], &many()).status, 200);
    let accept = |value: &'static str| [("accept-encoding", value)];
    for (base, path) in [
        (place.host.as_str(), "/vectors/list"),
        (place.server.url.as_str(), "/indexes/movies/vectors/list"),
        (place.server.url.as_str(), "/openapi.json"),
    ] {
        let plain = send(base, "GET", path, &[], b"");
        assert!(!plain.head.contains("content-encoding"), "{}", plain.head);
        let squeezed = send(base, "GET", path, &accept("gzip, deflate"), b"");
        assert!(squeezed.bytes.len() < plain.bytes.len() / 2, "{path}");
        assert_eq!(decompressed(&squeezed), plain.json(), "{path}");
        for no in ["identity", "gzip;q=0", "br"] {
            assert!(
                !send(base, "GET", path, &accept(no), b"").head.contains("content-encoding"),
                "{path} {no}"
            );
        }
    }
    let short = send(&place.host, "GET", "/describe_index_stats", &accept("gzip"), b"");
    assert!(!short.head.contains("content-encoding"), "{}", short.head);
    let head = send(&place.host, "HEAD", "/vectors/list", &accept("gzip"), b"");
    assert!(head.status == 200 && head.bytes.is_empty(), "{head}");
    place.end();
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let place = movies("mark");
    let marked = |text: &str| [b"\xef\xbb\xbf".as_slice(), text.as_bytes()].concat();
    let upsert = "{\"vectors\": [{\"id\": \"a\", \"values\": [1, 2]}]}";
    let embed = json!({"model": "multilingual-e5-large", "field_map": {"text": "t"}});
    let texts = json!({"name": "texts", "cloud": "aws", "region": "us-east-1", "embed": embed}).to_string();
    let document = "{\"tenant_id\": \"t\", \"documents\": [{\"id\": \"a\", \"text\": \"x\"}]}";
    let control = place.server.url.as_str();
    for (base, path, body, status) in [
        (place.host.as_str(), "/vectors/upsert", upsert, 200),
        (place.host.as_str(), "/query", "{\"topK\": 1, \"vector\": [1, 2]}", 200),
        (place.host.as_str(), "/describe_index_stats", "", 200),
        (control, "/indexes/create-for-model", &texts, 201),
        (control, "/indexes/texts/records/namespaces/n/upsert", "{\"_id\": \"a\", \"t\": \"x\"}", 201),
        (control, "/ingest", document, 200),
    ] {
        let answer = post(base, path, &[], &marked(body));
        assert_eq!(answer.status, status, "{path}: {answer}");
    }
    let squeezed = post(&place.host, "/vectors/upsert", &[GZIP], &gzip(&marked(upsert)));
    assert_eq!(squeezed.status, 200, "{squeezed}");
    place.end();
}

#[test]
fn a_url_that_is_too_long_gets_a_body_that_says_what_to_do() {
    let place = movies("long-url");
    assert_eq!(post(&place.host, "/vectors/upsert", &[], &many()).status, 200);
    let of = |count: usize, length: usize| {
        let ids: Vec<String> = (0..count).map(|number| format!("ids={number:0>length$}")).collect();
        format!("/vectors/fetch?{}", ids.join("&"))
    };
    let short = send(&place.host, "GET", &of(100, 512), &[], b"");
    assert_eq!(short.status, 200, "{short}");
    for (base, prefix) in [(place.host.as_str(), ""), (place.server.url.as_str(), "/indexes/movies")] {
        for (count, length) in [(200, 512), (1_000, 512), (1_000, 1_536)] {
            let refused = send(base, "GET", &format!("{prefix}{}", of(count, length)), &[], b"");
            assert!(matches!(refused.status, 414 | 431), "{}", refused.head);
            assert!(refused.message().contains("fewer ids"), "{refused}");
            assert!(refused.has_header("content-type: application/json"), "{}", refused.head);
        }
    }
    let headers: Vec<(&str, &str)> = (0..120).map(|_| ("x-more", "1")).collect();
    let refused = send(&place.host, "GET", "/vectors/list", &headers, b"");
    assert!(refused.status == 431 && !refused.message().is_empty(), "{refused}");
    let unreadable = send(&place.host, "G\u{1}ET", "/vectors/list", &[], b"");
    assert!(unreadable.status == 400 && !unreadable.message().is_empty(), "{unreadable}");
    place.end();
}

#[test]
fn grpc_is_compressed_both_ways_and_malformed_messages_are_the_callers_mistake() {
    let place = movies("grpc-encodings");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let plain = connect(&place.host).await;
        let mut client =
            plain.send_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Gzip);
        let vectors = (0..200).map(|number| grpc::Vector {
            id: format!("record-{number:03}"),
            values: vec![1.0, number as f32],
            ..Default::default()
        });
        let upsert = grpc::UpsertRequest { vectors: vectors.collect(), namespace: String::new() };
        assert_eq!(client.upsert(upsert).await.unwrap().into_inner().upserted_count, 200);
        let page = client.list(grpc::ListRequest::default()).await.unwrap();
        assert_eq!(
            page.metadata().get("grpc-encoding").map(|name| name.as_bytes()),
            Some(b"gzip".as_slice())
        );
        assert_eq!(page.into_inner().vectors.len(), 100);
        let mut plain = connect(&place.host).await;
        let page = plain.list(grpc::ListRequest::default()).await.unwrap();
        assert!(page.metadata().get("grpc-encoding").is_none() && page.into_inner().vectors.len() == 100);
    });
    assert_eq!(runtime.block_on(malformed(&place.host)), tonic::Code::InvalidArgument);
    place.end();
}

/// What an upsert gets whose bytes are no message.
async fn malformed(host: &str) -> tonic::Code {
    let channel = tonic::transport::Endpoint::from_shared(host.to_owned()).unwrap().connect().await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    // A text where the service wants a record, whose bytes are none.
    let message = grpc::DescribeNamespaceRequest { namespace: "\u{1}".repeat(9) };
    let codec = tonic_prost::ProstCodec::<grpc::DescribeNamespaceRequest, grpc::UpsertResponse>::default();
    let path = "/VectorService/Upsert".parse().unwrap();
    let request = tonic::Request::new(message);
    match client.unary(request, path, codec).await {
        Ok(_) => tonic::Code::Ok,
        Err(status) => status.code(),
    }
}

#[test]
fn the_one_port_of_single_index_mode_compresses_too() {
    let dir = scratch("gzip-single");
    let environment = [("PINYON_SINGLE_INDEX", "one"), ("DIMENSION", "2")];
    let server = Server::start_with(&dir, &["--vector-dimension", "8"], &environment);
    assert_eq!(
        post(&server.url, "/vectors/upsert", &[GZIP, ("x-pinecone-api-version", LEGACY)], &gzip(&many()))
            .status,
        200
    );
    let listed = send(&server.url, "GET", "/vectors/list", &[("accept-encoding", "gzip")], b"");
    assert_eq!(decompressed(&listed)["vectors"].as_array().unwrap().len(), 100);
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}
