//! Protobuf messages that somebody changed: refused, or read as what is written of them again.

use crate::{codec::Read, grpc};
use pinyon_fuzz::{SeededRng, Seen, Target, bytes, protobuf};
use prost::Message;
use prost_types::{ListValue, Struct, Value, value::Kind};

/// A message: valid ones, and its reader.
struct Kept {
    seeds: Vec<Vec<u8>>,
    read: fn(&[u8]) -> Seen,
}

impl Kept {
    fn of<T: Read + PartialEq>(seeds: &[T]) -> Self {
        Self { seeds: seeds.iter().map(Message::encode_to_vec).collect(), read: read::<T> }
    }
}

fn read<T: Read>(input: &[u8]) -> Seen {
    let read = T::read(input);
    assert_eq!(read.is_ok(), T::decode(input).is_ok(), "both readers take it, or none");
    if let Ok(read) = &read {
        let written = read.encode_to_vec();
        // Bytes and not messages: a number that is none equals nothing.
        assert!(T::decode(input).unwrap().encode_to_vec() == written, "both readers read the same");
        assert!(T::read(&written).unwrap().encode_to_vec() == written, "what is written reads as it was");
    }
    Seen::of(&read)
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn fields() -> Option<Struct> {
    let list = value(Kind::ListValue(ListValue { values: vec![value(Kind::StringValue("x".into()))] }));
    let inner = Struct { fields: [("$in".to_owned(), list)].into() };
    let fields = [
        ("a", value(Kind::StructValue(inner))),
        ("b", value(Kind::NumberValue(-0.5))),
        ("c", value(Kind::BoolValue(true))),
        ("d", value(Kind::NullValue(0))),
    ];
    Some(Struct { fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect() })
}

fn sparse() -> Option<grpc::SparseValues> {
    Some(grpc::SparseValues { indices: vec![1, u32::MAX], values: vec![0.5, -1.0] })
}

fn vector() -> grpc::Vector {
    let (metadata, sparse_values) = (fields(), sparse());
    grpc::Vector { id: "a".into(), values: vec![1.0, f32::MIN_POSITIVE, -3.5], metadata, sparse_values }
}

fn writes() -> Vec<Kept> {
    let upsert = grpc::UpsertRequest { vectors: vec![vector(), vector()], namespace: "n".into() };
    let delete =
        grpc::DeleteRequest { ids: vec!["a".into(), "b".into()], filter: fields(), ..Default::default() };
    let update = grpc::UpdateRequest {
        id: "a".into(),
        values: vec![1.0],
        set_metadata: fields(),
        sparse_values: sparse(),
        ..Default::default()
    };
    let name = || "n".to_owned();
    vec![
        Kept::of(&[upsert]),
        Kept::of(&[delete]),
        Kept::of(&[update]),
        Kept::of(&[grpc::CreateNamespaceRequest { name: name(), ..Default::default() }]),
        Kept::of(&[grpc::DeleteNamespaceRequest { namespace: name() }]),
    ]
}

fn reads() -> Vec<Kept> {
    let query = grpc::QueryRequest {
        top_k: 3,
        vector: vec![1.5, -2.0, f32::MAX],
        filter: fields(),
        sparse_vector: sparse(),
        id: "i".into(),
        ..Default::default()
    };
    let by_metadata = grpc::FetchByMetadataRequest { filter: fields(), limit: Some(3), ..Default::default() };
    let list = grpc::ListRequest {
        prefix: Some("a".into()),
        pagination_token: Some("00".into()),
        ..Default::default()
    };
    vec![
        Kept::of(&[query]),
        Kept::of(&[grpc::FetchRequest { ids: vec!["a".into(), "b".into()], namespace: "n".into() }]),
        Kept::of(&[by_metadata]),
        Kept::of(&[list]),
        Kept::of(&[grpc::DescribeIndexStatsRequest { filter: fields() }]),
        Kept::of(&[grpc::ListNamespacesRequest { limit: Some(1), ..Default::default() }]),
        Kept::of(&[grpc::DescribeNamespaceRequest { namespace: "n".into() }]),
    ]
}

fn make(rng: &mut SeededRng, messages: &[Kept]) -> Vec<u8> {
    let at = bytes::below(rng, messages.len());
    let mut input = vec![at as u8];
    input.extend(protobuf::changed(rng, &messages[at].seeds));
    input
}

#[test]
fn fuzz_protobuf() {
    let messages: Vec<Kept> = writes().into_iter().chain(reads()).collect();
    // An empty vector is two bytes, and 144 in memory, which double as the list grows; both readers' are held at once.
    let target = Target { name: "protobuf", cases: 50_000, bytes_per_byte: 450, bytes_besides: 64 << 10 };
    target.run(|rng| make(rng, &messages), |input| (messages[usize::from(input[0])].read)(&input[1..]));
}
