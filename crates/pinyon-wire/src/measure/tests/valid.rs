//! Whatever the decoder accepts the walk does, and it never makes more of it than was said.

use super::{heap_of::Heap, *};
use proptest::{collection::vec, option, prelude::*};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-zé]{0,40}"]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value { kind: None }),
        Just(value(ValueKind::NullValue(0))),
        any::<f64>().prop_map(|number| value(ValueKind::NumberValue(number))),
        any::<bool>().prop_map(|flag| value(ValueKind::BoolValue(flag))),
        text().prop_map(|text| value(ValueKind::StringValue(text))),
    ];
    leaf.prop_recursive(4, 40, 12, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..12).prop_map(list),
            vec((text(), inner), 0..30).prop_map(|members| value(ValueKind::StructValue(object(members)))),
        ]
    })
}

fn filter() -> impl Strategy<Value = Option<Struct>> {
    option::of(vec((text(), any_value()), 0..30).prop_map(object))
}

/// What a record can have: values and lists of texts, many of them.
fn metadata() -> impl Strategy<Value = Option<Struct>> {
    let texts = vec(text(), 0..40)
        .prop_map(|texts| list(texts.into_iter().map(|text| value(ValueKind::StringValue(text))).collect()));
    let field = prop_oneof![
        text().prop_map(|text| value(ValueKind::StringValue(text))),
        any::<f64>().prop_map(|number| value(ValueKind::NumberValue(number))),
        texts,
    ];
    option::of(vec((text(), field), 0..60).prop_map(object))
}

fn sparse() -> impl Strategy<Value = Option<grpc::SparseValues>> {
    let values = (vec(any::<u32>(), 0..40), vec(any::<f32>(), 0..40));
    option::of(values.prop_map(|(indices, values)| grpc::SparseValues { indices, values }))
}

fn vector() -> impl Strategy<Value = grpc::Vector> {
    (text(), vec(any::<f32>(), 0..70), metadata(), sparse()).prop_map(
        |(id, values, metadata, sparse_values)| grpc::Vector { id, values, metadata, sparse_values },
    )
}

fn upsert() -> impl Strategy<Value = grpc::UpsertRequest> {
    (vec(vector(), 0..20), text()).prop_map(|(vectors, namespace)| grpc::UpsertRequest { vectors, namespace })
}

fn query() -> impl Strategy<Value = grpc::QueryRequest> {
    (text(), any::<u32>(), filter(), vec(any::<f32>(), 0..70), sparse()).prop_map(
        |(namespace, top_k, filter, vector, sparse_vector)| grpc::QueryRequest {
            namespace,
            top_k,
            filter,
            vector,
            sparse_vector,
            ..Default::default()
        },
    )
}

fn update() -> impl Strategy<Value = grpc::UpdateRequest> {
    (text(), metadata(), sparse(), filter(), option::of(any::<bool>())).prop_map(
        |(id, set_metadata, sparse_values, filter, dry_run)| grpc::UpdateRequest {
            id,
            set_metadata,
            sparse_values,
            filter,
            dry_run,
            ..Default::default()
        },
    )
}

fn schema() -> impl Strategy<Value = grpc::CreateNamespaceRequest> {
    let fields = proptest::collection::hash_map(text(), any::<bool>(), 0..60);
    (text(), option::of(fields)).prop_map(|(name, fields)| {
        let property = |(name, filterable)| (name, grpc::MetadataFieldProperties { filterable });
        let schema =
            fields.map(|fields| grpc::MetadataSchema { fields: fields.into_iter().map(property).collect() });
        grpc::CreateNamespaceRequest { name, schema }
    })
}

/// The walk accepts what is accepted, and says no less than what is made of it.
fn check<T: Read + Heap>(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(decoded) = T::decode(bytes) else {
        // Nothing is asked of the walk but that it ends.
        let _ = measure(rows::<T>(), bytes);
        return Ok(());
    };
    match measure(rows::<T>(), bytes) {
        Ok(made) => prop_assert!(made >= decoded.heap(), "{made} of {}", decoded.heap()),
        Err(Unfit::TooMuch { .. }) => {}
        Err(Unfit::Unreadable(error)) => return Err(TestCaseError::fail(error.to_string())),
    }
    Ok(())
}

/// The same for a message that clients may send.
fn check_valid<T: Read + Heap>(message: &T) -> Result<(), TestCaseError> {
    let bytes = message.encode_to_vec();
    if let Err(unfit) = measure(rows::<T>(), &bytes) {
        return Err(TestCaseError::fail(unfit.to_string()));
    }
    check::<T>(&bytes)?;
    // A message behind a message is merged with it.
    check::<T>(&[bytes.as_slice(), &bytes].concat())
}

/// The same, with bytes changed, cut and put in front.
fn check_mutated<T: Read + Heap>(
    message: &T,
    changes: &[(usize, u8)],
    cut: Option<usize>,
    front: &[u8],
) -> Result<(), TestCaseError> {
    let mut bytes = [front, &message.encode_to_vec()].concat();
    for (at, byte) in changes {
        let length = bytes.len().max(1);
        if let Some(there) = bytes.get_mut(at % length) {
            *there = *byte;
        }
    }
    if let Some(cut) = cut {
        bytes.truncate(cut % (bytes.len() + 1));
    }
    check::<T>(&bytes)
}

#[test]
fn a_list_that_grows_in_a_message_that_comes_again_is_counted_as_it_grows() {
    let of = |count: usize| {
        let sparse_vector = Some(grpc::SparseValues { indices: vec![1; count], values: vec![1.0; count] });
        grpc::QueryRequest { sparse_vector, ..Default::default() }.encode_to_vec()
    };
    for counts in [vec![64, 1], vec![1, 64, 1], vec![512, 1, 512, 1], vec![2; 100]] {
        let bytes: Vec<u8> = counts.iter().flat_map(|count| of(*count)).collect();
        check::<grpc::QueryRequest>(&bytes).unwrap();
    }
}

proptest! {
    #[test]
    fn messages_that_clients_send_are_accepted_and_make_no_more_than_was_said(
        upsert in upsert(), query in query(), update in update(), schema in schema(), ids in vec(text(), 0..40),
    ) {
        check_valid(&upsert)?;
        check_valid(&query)?;
        check_valid(&update)?;
        check_valid(&schema)?;
        check_valid(&grpc::DeleteRequest { ids, ..Default::default() })?;
    }

    #[test]
    fn bytes_that_were_changed_make_no_more_than_was_said(
        upsert in upsert(), query in query(), update in update(),
        changes in vec((any::<usize>(), any::<u8>()), 0..6), cut in option::of(any::<usize>()),
        front in vec(any::<u8>(), 0..6),
    ) {
        check_mutated(&upsert, &changes, cut, &front)?;
        check_mutated(&query, &changes, cut, &front)?;
        check_mutated(&update, &changes, cut, &front)?;
    }

    #[test]
    fn any_bytes_end_the_walk(bytes in vec(any::<u8>(), 0..400)) {
        for rows in requests() {
            let _ = measure(rows, &bytes);
        }
        check::<grpc::UpsertRequest>(&bytes)?;
    }
}
