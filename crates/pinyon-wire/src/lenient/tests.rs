//! The reader against its rules.

use super::*;
use crate::{
    object::{Object, fields_of},
    vectors::{DeleteRequest, FetchByMetadataRequest, QueryRequest, UpdateRequest, UpsertRequest},
};

fn proto<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    let read = read::<Object<T>>(text.as_bytes(), Reading::Proto3);
    read.map(|Object(read)| read).map_err(|error| error.to_string())
}

/// Both texts mean the same.
fn same<T: serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(given: &str, plain: &str) {
    assert_eq!(proto::<T>(given).unwrap(), serde_json::from_str(plain).unwrap(), "{given}");
}

#[test]
fn null_in_every_field_of_every_request_means_unset() {
    macro_rules! all_null {
        ($($kind:ty,)*) => {
            $(for field in fields_of::<$kind>() {
                same::<$kind>(&format!(r#"{{"{field}": null}}"#), "{}");
            })*
        };
    }
    all_null! { UpsertRequest, QueryRequest, UpdateRequest, DeleteRequest, FetchByMetadataRequest, }
    same::<UpsertRequest>(
        r#"{"vectors": [{"id": "a", "values": null, "sparseValues": null, "metadata": null}], "namespace": null}"#,
        r#"{"vectors": [{"id": "a"}]}"#,
    );
    assert!(fields_of::<DeleteRequest>().contains(&"deleteAll"), "{:?}", fields_of::<DeleteRequest>());
    assert!(fields_of::<DeleteRequest>().contains(&"delete_all"));
}

#[test]
fn null_that_is_data_stays_what_it_is() {
    let read: DeleteRequest = proto(r#"{"filter": {"a": null}, "ids": null}"#).unwrap();
    assert_eq!(read.filter, Some(serde_json::json!({"a": null}).into()));
    assert!(proto::<UpsertRequest>(r#"{"vectors": [{"values": [1, null]}]}"#).is_err());
    assert!(proto::<DeleteRequest>(r#"{"ids": ["a", null]}"#).is_err());
    assert!(proto::<UpsertRequest>(r#"{"vectors": [null]}"#).is_err());
}

#[test]
fn whole_numbers_have_many_spellings() {
    for spelling in ["10", "10.0", "1e1", "1E+1", r#""10""#, r#""10.0""#, r#""1e1""#, "100e-1"] {
        let text =
            format!(r#"{{"topK": {spelling}, "sparseVector": {{"indices": [{spelling}], "values": [1]}}}}"#);
        let read: QueryRequest = proto(&text).unwrap();
        assert_eq!((read.top_k, read.sparse_vector.unwrap().indices), (Some(10), vec![10]), "{spelling}");
    }
    for wrong in
        ["10.5", "true", "[]", "{}", r#""""#, r#"" 10""#, r#""ten""#, r#""10.5""#, "1e300", r#""0x1""#]
    {
        assert!(proto::<QueryRequest>(&format!(r#"{{"topK": {wrong}}}"#)).is_err(), "{wrong}");
    }
    for wrong in ["-1", "4294967296", "4294967296.0", r#""-1""#, "0.5"] {
        let text = format!(r#"{{"sparseVector": {{"indices": [{wrong}], "values": [1]}}}}"#);
        assert!(proto::<QueryRequest>(&text).is_err(), "{wrong}");
    }
}

#[test]
fn floats_may_be_texts() {
    let read: QueryRequest =
        proto(r#"{"vector": ["1.5", "-2e-1", "NaN", "-Infinity", 3], "scanFactor": "2"}"#).unwrap();
    assert_eq!(
        (read.vector[..2].to_vec(), read.vector[4], read.scan_factor),
        (vec![1.5, -0.2], 3.0, Some(2.0))
    );
    assert!(read.vector[2].is_nan() && read.vector[3] == f32::NEG_INFINITY);
    for wrong in [r#""nan""#, r#""+1""#, r#""1.""#, r#"" 1""#, r#""""#, "true"] {
        assert!(proto::<QueryRequest>(&format!(r#"{{"vector": [{wrong}]}}"#)).is_err(), "{wrong}");
    }
}

#[test]
fn a_field_that_is_null_and_comes_again_is_given_twice() {
    for text in
        [r#"{"ids": null, "ids": ["a"]}"#, r#"{"ids": ["a"], "ids": null}"#, r#"{"ids": null, "ids": null}"#]
    {
        let refused = proto::<DeleteRequest>(text).unwrap_err();
        assert!(refused.starts_with("duplicate field `ids`"), "{text}: {refused}");
    }
}

#[test]
fn without_proto3_numbers_are_numbers_only() {
    let strict = |text: &str| read::<Object<QueryRequest>>(text.as_bytes(), Reading::NullIsUnset);
    assert!(strict(r#"{"topK": 10, "namespace": null}"#).is_ok());
    assert!(strict(r#"{"topK": "10"}"#).is_err() && strict(r#"{"topK": 10.0}"#).is_err());
}

#[test]
fn fields_that_are_missing_unknown_or_given_twice_are_still_refused() {
    use crate::tenant::IngestRequest;
    let refused = |text: &str| {
        read::<Object<IngestRequest>>(text.as_bytes(), Reading::NullIsUnset)
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    assert!(refused(r#"{"tenant_id": null, "documents": []}"#).starts_with("missing field `tenant_id`"));
    assert!(
        refused(r#"{"tenant_id": "t", "documents": [{"id": "a", "text": null}]}"#)
            .starts_with("missing field `text`")
    );
    assert!(
        refused(r#"{"tenant_id": "t", "documents": [], "tenantid": null}"#)
            .starts_with("unknown field `tenantid`")
    );
    assert!(
        refused(r#"{"tenant_id": "t", "documents": [], "documents": []}"#)
            .starts_with("duplicate field `documents`")
    );
    assert!(refused(r#"{"tenant_id": "t", "documents": []} x"#).starts_with("trailing characters"));
}
