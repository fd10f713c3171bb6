//! REST and gRPC are one API: the same random operations on two indexes, one spoken to over REST and the other over gRPC,
//! give the same answers, refusals included; and again after a kill and a restart. The seed is printed.

use crate::server::{Server, scratch};
use pinyon_types::SeededRng;
use pinyon_wire::grpc::{self, vector_service_client::VectorServiceClient};
use prost_types::{ListValue, Struct, Value as ProtoValue, value::Kind};
use serde_json::{Map, Value, json};
use tonic::{Status, transport::Channel};

type Client = VectorServiceClient<Channel>;

const OPERATIONS: usize = 400;
const IDS: u64 = 40;

/// One operation: its name and its request as REST has it in JSON.
struct Operation {
    name: &'static str,
    body: Value,
}

fn vector(rng: &mut SeededRng, length: usize) -> Value {
    (0..length).map(|_| json!((rng.below(9) as f64 - 4.0) / 4.0 + 0.125)).collect()
}

fn id(rng: &mut SeededRng) -> String {
    format!("id {}/%", rng.below(IDS))
}

fn metadata(rng: &mut SeededRng) -> Value {
    let mut fields = Map::new();
    if rng.below(4) > 0 {
        fields.insert("genre".into(), ["drama", "comedy", "crime"][rng.below(3) as usize].into());
    }
    if rng.below(3) > 0 {
        fields.insert("year".into(), json!(1990.0 + rng.below(30) as f64));
    }
    if rng.below(3) == 0 {
        fields.insert("tags".into(), json!(["x", ["y", "z"][rng.below(2) as usize]]));
    }
    if rng.below(20) == 0 {
        fields.insert("bad".into(), json!({"nested": [1.5]}));
    }
    Value::Object(fields)
}

fn filter(rng: &mut SeededRng) -> Value {
    match rng.below(7) {
        0 => json!({"genre": "drama"}),
        1 => json!({"year": {"$gte": 2005.0}}),
        2 => json!({"tags": {"$in": ["y", "w"]}}),
        3 => json!({"$or": [{"genre": {"$ne": "crime"}}, {"year": {"$lt": 1995.0}}]}),
        4 => json!({"genre": {"$exists": false}}),
        5 => json!({"genre": {"$like": "d"}}),
        _ => json!({}),
    }
}

fn operation(rng: &mut SeededRng) -> Operation {
    let namespace = ["", "n", "m"][rng.below(3) as usize];
    // One vector in fifteen has a wrong length: refusals must be the same too.
    let length = if rng.below(15) == 0 { 3 } else { 4 };
    let (name, mut body) = match rng.below(12) {
        0..=2 => {
            let count = 1 + rng.below(5);
            let records = (0..count)
                .map(|_| json!({"id": id(rng), "values": vector(rng, length), "metadata": metadata(rng)}));
            ("upsert", json!({"vectors": records.collect::<Vec<_>>()}))
        }
        3 => ("update", json!({"id": id(rng), "values": vector(rng, length), "setMetadata": metadata(rng)})),
        4 => (
            "update",
            json!({"filter": filter(rng), "setMetadata": metadata(rng), "dryRun": rng.below(2) == 0}),
        ),
        5 => match rng.below(4) {
            0 => ("delete", json!({"ids": [id(rng), id(rng)]})),
            1 => ("delete", json!({"filter": filter(rng)})),
            2 if rng.below(4) == 0 => ("delete", json!({"deleteAll": true})),
            _ => ("delete", json!({})),
        },
        6 | 7 => {
            let query = json!({"vector": vector(rng, length), "topK": rng.below(12), "includeValues": true, "includeMetadata": true});
            ("query", if rng.below(2) == 0 { query } else { with(query, "filter", filter(rng)) })
        }
        8 => ("query", json!({"id": id(rng), "topK": 5})),
        9 => ("fetch", json!({"ids": [id(rng), id(rng), id(rng)]})),
        10 => ("list", json!({"prefix": "id 1", "limit": 1 + rng.below(20)})),
        _ => ("stats", json!({})),
    };
    if name != "stats" {
        body = with(body, "namespace", namespace.into());
    }
    Operation { name, body }
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

fn over_rest(server: &Server, host: &str, operation: &Operation) -> Value {
    let body = &operation.body;
    let answer = match operation.name {
        "fetch" => {
            let ids = body["ids"].as_array().unwrap().iter();
            let pairs: Vec<String> = ids.map(|id| format!("ids={}", escaped(id))).collect();
            server
                .agent()
                .get(format!(
                    "{host}/vectors/fetch?{}&namespace={}",
                    pairs.join("&"),
                    text(body, "namespace")
                ))
                .call()
        }
        "list" => server
            .agent()
            .get(format!(
                "{host}/vectors/list?prefix={}&limit={}&namespace={}",
                escaped(&body["prefix"]),
                body["limit"],
                text(body, "namespace")
            ))
            .call(),
        name => {
            let path = match name {
                "query" => "query".to_owned(),
                "stats" => "describe_index_stats".to_owned(),
                name => format!("vectors/{name}"),
            };
            server
                .agent()
                .post(format!("{host}/{path}"))
                .header("content-type", "application/json")
                .send(body.to_string())
        }
    };
    let mut answer = answer.unwrap();
    let mut body: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    let fields = body.as_object_mut().unwrap();
    for gone in ["results", "details", "usage"] {
        fields.remove(gone);
    }
    body
}

fn escaped(value: &Value) -> String {
    value.as_str().unwrap().bytes().map(|byte| format!("%{byte:02x}")).collect()
}

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
fn record(id: &str, values: &[f32], metadata: Option<&Struct>, score: Option<f32>) -> Value {
    let mut json = json!({"id": id, "values": values});
    if let Some(score) = score {
        json["score"] = json!(score);
    }
    if let Some(metadata) = metadata {
        json["metadata"] = from_structure(metadata);
    }
    json
}

async fn over_grpc(client: &mut Client, operation: &Operation) -> Value {
    let answer = call(client, operation).await;
    answer.unwrap_or_else(|status| json!({"code": i32::from(status.code()), "message": status.message()}))
}

async fn call(client: &mut Client, Operation { name, body }: &Operation) -> Result<Value, Status> {
    let namespace = text(body, "namespace");
    Ok(match *name {
        "upsert" => {
            let vectors = body["vectors"].as_array().unwrap().iter().map(|one| grpc::Vector {
                id: text(one, "id"),
                values: floats(&one["values"]),
                metadata: Some(structure(&one["metadata"])),
                sparse_values: None,
            });
            let request = grpc::UpsertRequest { vectors: vectors.collect(), namespace };
            json!({"upsertedCount": client.upsert(request).await?.into_inner().upserted_count})
        }
        "update" => {
            let request = grpc::UpdateRequest {
                id: text(body, "id"),
                values: floats(&body["values"]),
                set_metadata: Some(structure(&body["setMetadata"])),
                namespace,
                sparse_values: None,
                filter: optional(&body["filter"]),
                dry_run: body["dryRun"].as_bool(),
            };
            let matched = client.update(request).await?.into_inner().matched_records;
            matched.map_or(json!({}), |matched| json!({"matchedRecords": matched}))
        }
        "delete" => {
            let delete_all = body["deleteAll"].as_bool().unwrap_or_default();
            let filter = optional(&body["filter"]);
            client
                .delete(grpc::DeleteRequest { ids: texts(&body["ids"]), delete_all, namespace, filter })
                .await?;
            json!({})
        }
        "query" => query(client, body, namespace).await?,
        "fetch" => {
            let request = grpc::FetchRequest { ids: texts(&body["ids"]), namespace };
            let found = client.fetch(request).await?.into_inner();
            let records = found
                .vectors
                .iter()
                .map(|(id, one)| (id.clone(), record(&one.id, &one.values, one.metadata.as_ref(), None)));
            json!({"vectors": records.collect::<Map<_, _>>(), "namespace": found.namespace})
        }
        "list" => {
            let request = grpc::ListRequest {
                prefix: Some(text(body, "prefix")),
                limit: body["limit"].as_u64().map(|limit| u32::try_from(limit).unwrap()),
                pagination_token: None,
                namespace,
            };
            let page = client.list(request).await?.into_inner();
            let items: Vec<Value> = page.vectors.iter().map(|item| json!({"id": item.id})).collect();
            let list = json!({"vectors": items, "namespace": page.namespace});
            page.pagination.map_or(list.clone(), |next| with(list, "pagination", json!({"next": next.next})))
        }
        _ => {
            let stats = client
                .describe_index_stats(grpc::DescribeIndexStatsRequest { filter: None })
                .await?
                .into_inner();
            let namespaces = stats
                .namespaces
                .iter()
                .map(|(name, one)| (name.clone(), json!({"vectorCount": one.vector_count})));
            json!({
                "namespaces": namespaces.collect::<Map<_, _>>(), "dimension": stats.dimension,
                "indexFullness": stats.index_fullness, "totalVectorCount": stats.total_vector_count,
                "metric": stats.metric, "vectorType": stats.vector_type,
            })
        }
    })
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
        ..Default::default()
    };
    let found = client.query(request).await?.into_inner();
    let matches = found.matches.iter();
    let matches = matches.map(|one| record(&one.id, &one.values, one.metadata.as_ref(), Some(one.score)));
    Ok(json!({"matches": matches.collect::<Vec<_>>(), "namespace": found.namespace}))
}

/// A missing number is 0 in protobuf: both sides refuse it, each in its words.
fn is_refused_for_no_top_k(answer: &Value) -> bool {
    answer["message"].as_str().is_some_and(|message| message.starts_with("top_k"))
}

async fn connect(host: &str) -> Client {
    let channel = tonic::transport::Endpoint::from_shared(host.to_owned()).unwrap().connect().await.unwrap();
    VectorServiceClient::new(channel)
}

#[test]
fn rest_and_grpc_give_the_same_answers_to_the_same_operations() {
    let seed = std::env::var("PINYON_TEST_SEED").ok().map_or(20_261_124, |seed| seed.parse().unwrap());
    println!("PINYON_TEST_SEED={seed}");
    let dir = scratch("twins");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut server = Server::start(&dir, &["--vector-dimension", "8"]);
    let make = |name: &str| {
        let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
        let body = json!({"name": name, "dimension": 4, "metric": "dotproduct", "spec": spec});
        let (status, made) = server.post("/indexes", &body).unwrap();
        assert_eq!(status, 201);
        made["host"].as_str().unwrap().to_owned()
    };
    let (rest_host, grpc_host) = (make("rest"), make("grpc"));
    let mut client = runtime.block_on(connect(&grpc_host));
    let mut rng = SeededRng::new(seed);
    let (mut refused, mut found) = (0, 0);
    for number in 0..OPERATIONS {
        let operation = operation(&mut rng);
        let rest = over_rest(&server, &rest_host, &operation);
        let grpc = runtime.block_on(over_grpc(&mut client, &operation));
        refused += usize::from(rest.get("code").is_some());
        found += rest["matches"].as_array().map_or(0, Vec::len);
        let same = rest == grpc || is_refused_for_no_top_k(&rest) && is_refused_for_no_top_k(&grpc);
        assert!(same, "operation {number}, {} {}:\nREST {rest}\ngRPC {grpc}", operation.name, operation.body);
        if number == OPERATIONS / 2 {
            server.kill();
            server = Server::start(&dir, &["--vector-dimension", "8"]);
            client = runtime.block_on(connect(&grpc_host));
        }
    }
    // Operations that all fail, or queries that find nothing, would compare nothing.
    assert!(refused > 20 && found > 200, "{refused} refused, {found} found");
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}
