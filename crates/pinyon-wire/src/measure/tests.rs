//! The table against the protobuf description; the walk against the decoder, and against hostile bytes.

use super::{
    table::{Field, Kind, Message as Rows, ROWS_MAX, STRUCT, Times},
    walk::{Unfit, measure},
};
use crate::{codec::Read, grpc};
use prost::Message;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, ListValue, Struct, Value,
    field_descriptor_proto::{Label, Type},
    value::Kind as ValueKind,
};
use std::collections::{BTreeMap, BTreeSet};

mod heap_of;
mod hostile;
mod valid;

/// Every message of the description by its name, nested ones too.
fn described() -> BTreeMap<String, DescriptorProto> {
    fn add(package: &str, message: &DescriptorProto, all: &mut BTreeMap<String, DescriptorProto>) {
        let name = format!("{package}{}", message.name());
        for inner in &message.nested_type {
            add(&format!("{name}."), inner, all);
        }
        all.insert(name, message.clone());
    }
    let files = protox::compile(["proto/vector_service.proto"], ["proto"]).unwrap();
    let mut all = BTreeMap::new();
    for file in &files.file {
        let package = if file.package().is_empty() { String::new() } else { format!("{}.", file.package()) };
        for message in &file.message_type {
            add(&package, message, &mut all);
        }
    }
    all
}

/// Names of the messages that methods are asked with.
fn asked() -> BTreeSet<String> {
    let files = protox::compile(["proto/vector_service.proto"], ["proto"]).unwrap();
    let services = files.file.iter().flat_map(|file| &file.service);
    services
        .flat_map(|service| &service.method)
        .map(|method| method.input_type().trim_start_matches('.').to_owned())
        .collect()
}

/// The table of a message, as the codec knows it.
fn rows<T: Read>() -> &'static Rows {
    T::REQUEST.unwrap().0
}

fn requests() -> [&'static Rows; 12] {
    [
        rows::<grpc::UpsertRequest>(),
        rows::<grpc::DeleteRequest>(),
        rows::<grpc::FetchRequest>(),
        rows::<grpc::FetchByMetadataRequest>(),
        rows::<grpc::ListRequest>(),
        rows::<grpc::QueryRequest>(),
        rows::<grpc::UpdateRequest>(),
        rows::<grpc::DescribeIndexStatsRequest>(),
        rows::<grpc::ListNamespacesRequest>(),
        rows::<grpc::DescribeNamespaceRequest>(),
        rows::<grpc::DeleteNamespaceRequest>(),
        rows::<grpc::CreateNamespaceRequest>(),
    ]
}

#[test]
fn every_message_that_a_method_is_asked_with_is_measured() {
    let known: BTreeSet<String> = requests().iter().map(|rows| rows.name.to_owned()).collect();
    assert_eq!(known, asked());
}

#[test]
fn every_field_of_the_description_has_a_row_of_its_kind_and_no_row_is_of_nothing() {
    let described = described();
    let mut seen = BTreeSet::new();
    let mut waiting: Vec<&'static Rows> = requests().to_vec();
    while let Some(rows) = waiting.pop() {
        if !seen.insert(rows.name) {
            continue;
        }
        let message = &described[rows.name];
        assert!(rows.fields.len() <= ROWS_MAX, "{}", rows.name);
        assert_eq!(rows.fields.len(), message.field.len(), "{}", rows.name);
        for field in &message.field {
            let row = rows.fields.iter().find(|row| i32::try_from(row.number) == Ok(field.number()));
            let row = row.unwrap_or_else(|| panic!("{}.{} has no row", rows.name, field.name()));
            check_row(row, field, &described);
            match row.kind {
                Kind::Message(inner) => waiting.push(inner),
                Kind::Object(_) => waiting.push(&STRUCT),
                _ => {}
            }
        }
    }
    assert!(seen.len() >= 20 && seen.contains("google.protobuf.ListValue"), "{seen:?}");
}

fn check_row(row: &Field, field: &FieldDescriptorProto, described: &BTreeMap<String, DescriptorProto>) {
    let name = field.name();
    assert_eq!(row.name, name);
    let type_name = field.type_name().trim_start_matches('.');
    let is_right = match (field.r#type(), row.kind) {
        (Type::Bool | Type::Uint32 | Type::Int32 | Type::Enum, Kind::Varint)
        | (Type::Float, Kind::Fixed32)
        | (Type::Double, Kind::Fixed64)
        | (Type::String, Kind::Text) => true,
        (Type::Message, Kind::Message(inner)) => inner.name == type_name,
        (Type::Message, Kind::Object(_)) => type_name == STRUCT.name,
        _ => false,
    };
    assert!(is_right, "{name}: {row:?} {field:?}");
    let is_map = || described[type_name].options.as_ref().is_some_and(|options| options.map_entry());
    let is_right = match (field.label(), row.times) {
        (Label::Repeated, Times::Listed { bytes, .. }) => bytes > 0 && (type_name.is_empty() || !is_map()),
        (Label::Repeated, Times::Sorted { bytes, .. } | Times::Hashed { bytes, .. }) => bytes > 0 && is_map(),
        (Label::Optional | Label::Required, Times::Once) => true,
        _ => false,
    };
    assert!(is_right, "{name}: {:?}", row.times);
}

fn refusal<T: Read>(bytes: &[u8]) -> String {
    match measure(rows::<T>(), bytes) {
        Ok(made) => panic!("accepted, and would make {made} bytes"),
        Err(unfit) => unfit.to_string(),
    }
}

fn value(kind: ValueKind) -> Value {
    Value { kind: Some(kind) }
}

fn object(members: impl IntoIterator<Item = (String, Value)>) -> Struct {
    Struct { fields: members.into_iter().collect() }
}

fn list(values: Vec<Value>) -> Value {
    value(ValueKind::ListValue(ListValue { values }))
}
