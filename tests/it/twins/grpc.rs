//! Operations over gRPC, with answers as REST writes them.

use super::operations::{Operation, with};
use pinyon_wire::grpc::{self, vector_service_client::VectorServiceClient};
use prost_types::{ListValue, Struct, Value as ProtoValue, value::Kind};
use serde_json::{Map, Value, json};
use tonic::{Status, transport::Channel};

pub(super) type Client = VectorServiceClient<Channel>;

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_default().to_owned()
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().into_iter().flatten().map(|one| one.as_f64().unwrap() as f32).collect()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|one| one.as_str().unwrap().to_owned()).collect()
}

fn proto(value: &Value) -> ProtoValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(proto).collect() }),
        Value::Object(_) => Kind::StructValue(structure(value)),
    };
    ProtoValue { kind: Some(kind) }
}

fn structure(value: &Value) -> Struct {
    let fields = value.as_object().into_iter().flatten();
    Struct { fields: fields.map(|(name, field)| (name.clone(), proto(field))).collect() }
}

fn optional(value: &Value) -> Option<Struct> {
    (!value.is_null()).then(|| structure(value))
}

fn from_proto(value: &ProtoValue) -> Value {
    match value.kind.as_ref().unwrap() {
        Kind::NullValue(_) => Value::Null,
        Kind::BoolValue(flag) => json!(flag),
        Kind::NumberValue(number) => json!(number),
        Kind::StringValue(text) => json!(text),
        Kind::ListValue(list) => list.values.iter().map(from_proto).collect(),
        Kind::StructValue(fields) => from_structure(fields),
    }
}

fn from_structure(given: &Struct) -> Value {
    Value::Object(given.fields.iter().map(|(name, value)| (name.clone(), from_proto(value))).collect())
}

/// A record as REST writes it.
fn record(record: &grpc::Vector) -> Value {
    let mut json = json!({"id": record.id, "values": record.values});
    if let Some(metadata) = &record.metadata {
        json["metadata"] = from_structure(metadata);
    }
    if let Some(sparse) = &record.sparse_values {
        json["sparseValues"] = json!({"indices": sparse.indices, "values": sparse.values});
    }
    json
}

fn sparse(value: &Value) -> Option<grpc::SparseValues> {
    let indices =
        value["indices"].as_array()?.iter().map(|index| u32::try_from(index.as_u64().unwrap()).unwrap());
    Some(grpc::SparseValues { indices: indices.collect(), values: floats(&value["values"]) })
}

pub(super) async fn over_grpc(client: &mut Client, operation: &Operation) -> Value {
    let answer = call(client, operation).await;
    answer.unwrap_or_else(|status| json!({"code": i32::from(status.code()), "message": status.message()}))
}

async fn call(client: &mut Client, Operation { name, body }: &Operation) -> Result<Value, Status> {
    let namespace = text(body, "namespace");
    match *name {
        "upsert" => upsert(client, body, namespace).await,
        "update" => update(client, body, namespace).await,
        "delete" => {
            let delete_all = body["deleteAll"].as_bool().unwrap_or_default();
            let (ids, filter) = (texts(&body["ids"]), optional(&body["filter"]));
            client.delete(grpc::DeleteRequest { ids, delete_all, namespace, filter }).await?;
            Ok(json!({}))
        }
        "query" => query(client, body, namespace).await,
        "fetch" => fetch(client, body, namespace).await,
        "list" => list(client, body, namespace).await,
        _ => stats(client).await,
    }
}

async fn upsert(client: &mut Client, body: &Value, namespace: String) -> Result<Value, Status> {
    let vectors = body["vectors"].as_array().unwrap().iter().map(|one| grpc::Vector {
        id: text(one, "id"),
        values: floats(&one["values"]),
        metadata: Some(structure(&one["metadata"])),
        sparse_values: sparse(&one["sparseValues"]),
    });
    let request = grpc::UpsertRequest { vectors: vectors.collect(), namespace };
    Ok(json!({"upsertedCount": client.upsert(request).await?.into_inner().upserted_count}))
}

async fn update(client: &mut Client, body: &Value, namespace: String) -> Result<Value, Status> {
    let request = grpc::UpdateRequest {
        id: text(body, "id"),
        values: floats(&body["values"]),
        set_metadata: Some(structure(&body["setMetadata"])),
        namespace,
        sparse_values: sparse(&body["sparseValues"]),
        filter: optional(&body["filter"]),
        dry_run: body["dryRun"].as_bool(),
    };
    let matched = client.update(request).await?.into_inner().matched_records;
    Ok(matched.map_or(json!({}), |matched| json!({"matchedRecords": matched})))
}

async fn fetch(client: &mut Client, body: &Value, namespace: String) -> Result<Value, Status> {
    let request = grpc::FetchRequest { ids: texts(&body["ids"]), namespace };
    let found = client.fetch(request).await?.into_inner();
    let records = found.vectors.iter().map(|(id, one)| (id.clone(), record(one)));
    Ok(json!({"vectors": records.collect::<Map<_, _>>(), "namespace": found.namespace}))
}

async fn list(client: &mut Client, body: &Value, namespace: String) -> Result<Value, Status> {
    let limit = body["limit"].as_u64().map(|limit| u32::try_from(limit).unwrap());
    let prefix = Some(text(body, "prefix"));
    let request = grpc::ListRequest { prefix, limit, pagination_token: None, namespace };
    let page = client.list(request).await?.into_inner();
    let items: Vec<Value> = page.vectors.iter().map(|item| json!({"id": item.id})).collect();
    let list = json!({"vectors": items, "namespace": page.namespace});
    Ok(page.pagination.map_or(list.clone(), |next| with(list, "pagination", json!({"next": next.next}))))
}

async fn stats(client: &mut Client) -> Result<Value, Status> {
    let request = grpc::DescribeIndexStatsRequest { filter: None };
    let stats = client.describe_index_stats(request).await?.into_inner();
    let count = |one: &grpc::NamespaceSummary| json!({"vectorCount": one.vector_count});
    let namespaces = stats.namespaces.iter().map(|(name, one)| (name.clone(), count(one)));
    let told = json!({
        "namespaces": namespaces.collect::<Map<_, _>>(),
        "indexFullness": stats.index_fullness, "totalVectorCount": stats.total_vector_count,
        "metric": stats.metric, "vectorType": stats.vector_type,
    });
    Ok(stats.dimension.map_or(told.clone(), |dimension| with(told, "dimension", json!(dimension))))
}

async fn query(client: &mut Client, body: &Value, namespace: String) -> Result<Value, Status> {
    let request = grpc::QueryRequest {
        namespace,
        top_k: u32::try_from(body["topK"].as_u64().unwrap()).unwrap(),
        filter: optional(&body["filter"]),
        include_values: body["includeValues"].as_bool().unwrap_or_default(),
        include_metadata: body["includeMetadata"].as_bool().unwrap_or_default(),
        vector: floats(&body["vector"]),
        id: text(body, "id"),
        sparse_vector: sparse(&body["sparseVector"]),
        ..Default::default()
    };
    let found = client.query(request).await?.into_inner();
    let matches = found.matches.into_iter().map(|one| {
        let grpc::ScoredVector { id, score, values, metadata, sparse_values } = one;
        with(record(&grpc::Vector { id, values, metadata, sparse_values }), "score", json!(score))
    });
    Ok(json!({"matches": matches.collect::<Vec<_>>(), "namespace": found.namespace}))
}
