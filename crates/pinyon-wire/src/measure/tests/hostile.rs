//! Bodies that are made to cost much.

use super::*;

/// A field of bytes.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    prost::encoding::encode_varint(value.len() as u64, &mut bytes);
    bytes.extend_from_slice(value);
    bytes
}

fn many(count: usize, one: &[u8]) -> Vec<u8> {
    one.repeat(count)
}

#[test]
fn a_million_empty_records_are_refused_at_the_first_that_is_too_many() {
    let empties = many(1_000_000, &field(1, &[]));
    assert_eq!(
        refusal::<grpc::UpsertRequest>(&empties),
        "vectors: must have at most 1000 elements, has more"
    );
    assert!(measure(rows::<grpc::UpsertRequest>(), &empties[..2_000]).is_ok());
    assert_eq!(refusal::<grpc::DeleteRequest>(&empties), "ids: must have at most 1000 elements, has more");
    assert!(refusal::<grpc::FetchRequest>(&empties).starts_with("ids: must have at most 10000"));
    let queries = many(1_000, &field(6, &[]));
    assert_eq!(refusal::<grpc::QueryRequest>(&queries), "queries: must have at most 10 elements, has more");
}

#[test]
fn what_is_not_known_hides_nothing_behind_it() {
    let empties = many(1_001, &field(1, &[]));
    let group = [0x9b, 0x06, 0x08, 0x01, 0x12, 0x01, 0xff, 0x9c, 0x06];
    let inner = [[0x9b, 0x06].as_slice(), &[0xa3, 0x06, 0xa4, 0x06], &[0x9c, 0x06]].concat();
    let unknown = [0x98, 0x06, 0x01];
    for hiding in [group.as_slice(), &inner, &unknown, &field(15, b"x")] {
        for bytes in [[hiding, &empties].concat(), [&empties[..1_000], hiding, &empties[1_000..]].concat()] {
            let refused = refusal::<grpc::UpsertRequest>(&bytes);
            assert_eq!(refused, "vectors: must have at most 1000 elements, has more", "{hiding:?}");
        }
        let few = [hiding, &empties[..4], hiding].concat();
        assert_eq!(grpc::UpsertRequest::decode(&*few).unwrap().vectors.len(), 2, "{hiding:?}");
        let alone = measure(rows::<grpc::UpsertRequest>(), &empties[..4]).unwrap();
        assert_eq!(measure(rows::<grpc::UpsertRequest>(), &few).unwrap(), alone, "{hiding:?}");
    }
}

#[test]
fn unknown_fields_and_groups_are_work_and_no_memory() {
    for unknown in [&[0x98, 0x06, 0x01][..], &[0x9b, 0x06, 0x9c, 0x06], &field(15, b"xyz")] {
        let bytes = many(300_000, unknown);
        assert_eq!(measure(rows::<grpc::QueryRequest>(), &bytes).unwrap(), 0);
    }
    let deep = [many(1_000, &[0x9b, 0x06]), many(1_000, &[0x9c, 0x06])].concat();
    assert!(refusal::<grpc::QueryRequest>(&deep).contains("recursion limit"));
    for broken in [&[0x9b, 0x06][..], &[0x9c, 0x06], &[0x9b, 0x06, 0xa4, 0x06], &[0x0f], &[0x00]] {
        assert!(
            grpc::QueryRequest::decode(broken).is_err() && !refusal::<grpc::QueryRequest>(broken).is_empty()
        );
    }
}

#[test]
fn numbers_are_counted_packed_and_alone() {
    let dense = |bytes: &[u8]| field(1, &field(2, bytes));
    let refused = "vectors[0].values: must have at most 20000 elements, has more";
    assert_eq!(refusal::<grpc::UpsertRequest>(&dense(&[0; 80_004])), refused);
    let parts = many(3, &field(2, &[0; 40_000]));
    assert_eq!(refusal::<grpc::UpsertRequest>(&field(1, &parts)), refused);
    let alone = many(20_001, &[0x15, 0, 0, 0, 0]);
    assert_eq!(refusal::<grpc::UpsertRequest>(&field(1, &alone)), refused);
    let made = measure(rows::<grpc::UpsertRequest>(), &dense(&[0; 80_000])).unwrap();
    assert!((4 * 32_768..4 * 32_768 + 1_000).contains(&made), "{made}");
    // Sixty bytes on the wire, six numbers: overlong, but each ends somewhere.
    let overlong = field(1, &many(6, &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]));
    assert_eq!(grpc::SparseValues::decode(&*overlong).unwrap().indices, [0; 6]);
    let indices = field(9, &field(1, &[0; 2_049]));
    let refused = "sparse_vector.indices: must have at most 2048 elements, has more";
    assert_eq!(refusal::<grpc::QueryRequest>(&indices), refused);
    assert!(measure(rows::<grpc::QueryRequest>(), &field(9, &overlong)).is_ok());
}

#[test]
fn lengths_that_lie_are_refused() {
    let overlong = [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let huge = [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    for bytes in [&overlong[..], &huge, &[0x0a, 0x05, 0x00], &[0x0a], &[0x80]] {
        assert!(grpc::UpsertRequest::decode(bytes).is_err(), "{bytes:?}");
        assert!(
            matches!(measure(rows::<grpc::UpsertRequest>(), bytes), Err(Unfit::Unreadable(_))),
            "{bytes:?}"
        );
    }
}

/// A filter, or metadata, of objects in objects.
fn nested(levels: usize) -> Vec<u8> {
    (0..levels).fold(Vec::new(), |inner, _| field(1, &field(2, &field(5, &inner))))
}

#[test]
fn filters_are_held_to_depth_and_values() {
    let filter = |object: &[u8]| field(3, object);
    let deep = filter(&nested(200));
    assert_eq!(refusal::<grpc::QueryRequest>(&deep), "filter: must be nested at most 16 deep");
    assert!(measure(rows::<grpc::QueryRequest>(), &filter(&nested(30))).is_ok());
    // Objects of one member, which take a node of a tree each.
    let objects = many(13_000, &field(1, &field(5, &field(1, &[]))));
    let filter_of = |values: &[u8]| filter(&field(1, &field(2, &field(6, values))));
    assert_eq!(
        refusal::<grpc::QueryRequest>(&filter_of(&objects)),
        "filter: must have at most 24576 values, has more"
    );
    let made = measure(rows::<grpc::QueryRequest>(), &filter_of(&objects[..6 * 1_000])).unwrap();
    assert!(made > 1_000 * 1_200, "{made}");
    for (message, bytes) in [
        (rows::<grpc::DeleteRequest>(), field(4, &field(1, &field(2, &field(6, &objects))))),
        (rows::<grpc::FetchByMetadataRequest>(), field(2, &field(1, &field(2, &field(6, &objects))))),
        (rows::<grpc::DescribeIndexStatsRequest>(), field(1, &field(1, &field(2, &field(6, &objects))))),
        (rows::<grpc::UpdateRequest>(), field(6, &field(1, &field(2, &field(6, &objects))))),
    ] {
        let refused = measure(message, &bytes).unwrap_err().to_string();
        assert_eq!(refused, "filter: must have at most 24576 values, has more", "{}", message.name);
    }
    let queries = many(5, &field(6, &field(4, &field(1, &field(2, &field(6, &objects[..6 * 3_000]))))));
    let refused = refusal::<grpc::QueryRequest>(&queries);
    assert_eq!(refused, "queries[4].filter: must have at most 24576 values, has more");
}

#[test]
fn metadata_are_held_to_fields_and_texts_and_are_not_nested() {
    let record = |object: &[u8]| field(1, &field(3, object));
    let refused = |object: &[u8]| refusal::<grpc::UpsertRequest>(&record(object));
    let fields = many(4_097, &field(1, &[]));
    assert_eq!(refused(&fields), "vectors[0].metadata: must have at most 4096 fields, has more");
    let texts = field(1, &field(2, &field(6, &many(65_537, &field(1, &field(3, b""))))));
    assert_eq!(refused(&texts), "vectors[0].metadata: must have at most 65536 texts, has more");
    let many_objects = "vectors[0].metadata: must hold texts, numbers, true or false, and lists of texts; holds many objects or \
                        lists of lists";
    for nested in [field(5, &field(1, &[])), field(6, &field(1, &field(6, &[])))] {
        let field_of = |times| many(times, &field(1, &field(2, &nested)));
        assert_eq!(refused(&field_of(65)), many_objects);
        // The engine has better words for a few.
        assert!(measure(rows::<grpc::UpsertRequest>(), &record(&field_of(64))).is_ok());
    }
    let spread = many(65, &record(&field(1, &field(2, &field(5, &[])))));
    assert!(refusal::<grpc::UpsertRequest>(&spread).starts_with("vectors[64].metadata: must hold texts"));
    assert!(refused(&nested(80)).starts_with("vectors[0].metadata: "));
    let schema = field(2, &many(4_097, &field(1, &[])));
    let refused = "schema.fields: must have at most 4096 fields, has more";
    assert_eq!(refusal::<grpc::CreateNamespaceRequest>(&schema), refused);
    // Many small lists, as clients send them, are no lists of lists.
    let lists = many(4_000, &field(1, &field(2, &field(6, &field(1, &field(3, b"a"))))));
    assert!(measure(rows::<grpc::UpsertRequest>(), &record(&lists)).is_ok());
}
