//! Drives a server through the official Rust SDK, as its users do: the control plane over REST, the data plane over gRPC.
//! usage: rust-conformance SERVER_URL API_KEY before|after      (see ../python/conformance.py)

use pinecone_sdk::{
    models::{Cloud, DeletionProtection, Kind, Metadata, Metric, Namespace, Value, Vector, WaitPolicy},
    pinecone::{data::Index, PineconeClient, PineconeClientConfig},
    utils::errors::PineconeError,
};
use std::{env, error::Error, process::ExitCode};

type Done = Result<(), Box<dyn Error>>;

const NAME: &str = "rust-0";
const KEPT: &str = "kept-by-rust-0";

fn client(server: &str, key: &str) -> Result<PineconeClient, PineconeError> {
    let config = PineconeClientConfig {
        api_key: Some(key.into()),
        control_plane_host: Some(server.into()),
        ..Default::default()
    };
    config.client()
}

async fn create(
    client: &PineconeClient,
    name: &str,
    dimension: i32,
    metric: Metric,
) -> Result<(), PineconeError> {
    let unprotected = DeletionProtection::Disabled;
    let wait = WaitPolicy::default();
    client
        .create_serverless_index(name, dimension, metric, Cloud::Aws, "us-east-1", unprotected, wait)
        .await?;
    Ok(())
}

async fn open(client: &PineconeClient, name: &str) -> Result<Index, PineconeError> {
    let host = client.describe_index(name).await?.host;
    client.index(&host).await
}

fn metadata(name: &str, kind: Kind) -> Metadata {
    Metadata { fields: [(name.to_owned(), Value { kind: Some(kind) })].into() }
}

fn text(text: &str) -> Kind {
    Kind::StringValue(text.into())
}

fn vector(id: &str, values: &[f32], metadata: Option<Metadata>) -> Vector {
    Vector { id: id.into(), values: values.to_vec(), sparse_values: None, metadata }
}

async fn indexes_are_created_listed_and_protected(client: &PineconeClient) -> Done {
    create(client, NAME, 3, Metric::Cosine).await?;
    let described = client.describe_index(NAME).await?;
    assert!(described.status.ready && described.dimension == 3 && described.metric == Metric::Cosine);
    let listed = client.list_indexes().await?.indexes.unwrap_or_default();
    assert!(listed.iter().any(|index| index.name == NAME));
    assert!(matches!(
        create(client, NAME, 3, Metric::Cosine).await,
        Err(PineconeError::ResourceAlreadyExistsError { .. })
    ));
    assert!(client.describe_index("nothing").await.is_err());
    client.configure_index(NAME, Some(DeletionProtection::Enabled), None, None).await?;
    assert!(client.delete_index(NAME).await.is_err());
    client.configure_index(NAME, Some(DeletionProtection::Disabled), None, None).await?;
    Ok(())
}

async fn vectors_are_upserted_queried_and_fetched(client: &PineconeClient) -> Done {
    let (mut index, n) = (open(client, NAME).await?, Namespace::from("n"));
    let vectors = [
        vector("a", &[0.1, 0.2, 0.3], Some(metadata("genre", text("drama")))),
        vector("b", &[0.3, 0.2, 0.1], Some(metadata("year", Kind::NumberValue(1994.0)))),
        vector("c d/%", &[1.0, 0.0, 0.0], None),
    ];
    assert_eq!(index.upsert(&vectors, &n).await?.upserted_count, 3);
    let found = index.query_by_value(vec![0.1, 0.2, 0.3], None, 2, &n, None, Some(true), Some(true)).await?;
    let ids: Vec<&str> = found.matches.iter().map(|found| found.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert!((found.matches[0].score - 1.0).abs() < 1e-4 && found.matches[0].values == [0.1, 0.2, 0.3]);
    assert_eq!(found.matches[0].metadata, vectors[0].metadata);
    let drama = Some(metadata("genre", text("drama")));
    let found = index.query_by_id("b", 9, &n, drama, None, None).await?;
    assert!(found.matches.len() == 1 && found.matches[0].id == "a" && found.namespace == "n");
    let fetched = index.fetch(&["c d/%", "zz"], &n).await?;
    assert!(fetched.vectors.len() == 1 && fetched.vectors.contains_key("c d/%"));
    Ok(())
}

async fn records_are_updated_listed_counted_and_deleted(client: &PineconeClient) -> Done {
    let (mut index, n) = (open(client, NAME).await?, Namespace::from("n"));
    index.update("b", vec![0.0, 0.0, 1.0], None, Some(metadata("genre", text("crime"))), &n).await?;
    let fetched = index.fetch(&["b"], &n).await?;
    let b = &fetched.vectors["b"];
    assert_eq!(b.values, [0.0, 0.0, 1.0]);
    assert_eq!(b.metadata.as_ref().map_or(0, |metadata| metadata.fields.len()), 2);
    let page = index.list(&n, None, Some(2), None).await?;
    let token = page.pagination.ok_or("a page after the first")?.next;
    let rest = index.list(&n, None, Some(2), Some(&token)).await?;
    assert!(page.vectors.len() == 2 && rest.vectors.len() == 1 && rest.pagination.is_none());
    let stats = index.describe_index_stats(None).await?;
    assert!(stats.total_vector_count == 3 && stats.dimension == 3 && stats.namespaces["n"].vector_count == 3);
    index.delete_by_id(&["a", "nobody"], &n).await?;
    index.delete_by_filter(metadata("genre", text("crime")), &n).await?;
    assert_eq!(index.describe_index_stats(None).await?.total_vector_count, 1);
    index.delete_all(&n).await?;
    assert_eq!(index.describe_index_stats(None).await?.total_vector_count, 0);
    Ok(())
}

async fn mistakes_are_named(client: &PineconeClient) -> Done {
    let mut index = open(client, NAME).await?;
    let error = index.upsert(&[vector("x", &[1.0], None)], &Namespace::default()).await;
    let said = error.err().ok_or("a vector of another length was taken")?.to_string();
    assert!(said.contains("Vector dimension 1 does not match the dimension of the index 3"), "{said}");
    Ok(())
}

async fn something_is_left_behind_for_after_the_restart(client: &PineconeClient) -> Done {
    create(client, KEPT, 2, Metric::Euclidean).await?;
    let kept = vector("near", &[3.0, 4.0], Some(metadata("k", text("v"))));
    open(client, KEPT).await?.upsert(&[kept], &Namespace::from("n")).await?;
    client.delete_index(NAME).await?;
    println!("host {}", client.describe_index(KEPT).await?.host);
    Ok(())
}

async fn everything_is_there_after_a_kill(client: &PineconeClient) -> Done {
    let mut kept = open(client, KEPT).await?;
    let n = Namespace::from("n");
    let found = kept.query_by_value(vec![0.0, 0.0], None, 5, &n, None, None, Some(true)).await?;
    assert!(found.matches.len() == 1 && found.matches[0].id == "near" && found.matches[0].score == 25.0);
    assert_eq!(found.matches[0].metadata, Some(metadata("k", text("v"))));
    println!("host {}", client.describe_index(KEPT).await?.host);
    Ok(())
}

async fn wrong_keys_are_refused(right: &PineconeClient, server: &str) -> Done {
    let stranger = client(server, "wrong-key-1")?;
    assert!(matches!(stranger.list_indexes().await, Err(PineconeError::UnauthorizedError { .. })));
    let host = right.describe_index(KEPT).await?.host;
    let said = stranger.index(&host).await?.describe_index_stats(None).await;
    let said = format!("{:?}", said.err().ok_or("a wrong key was taken")?);
    assert!(said.contains("Unauthenticated"), "{said}");
    right.delete_index(KEPT).await?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [server, key, phase] = arguments.as_slice() else {
        return Err("usage: SERVER_URL API_KEY PHASE".into());
    };
    let pc = client(server, key)?;
    let mut failed = 0;
    let mut tell = |name: &str, done: Done| match done {
        Ok(()) => println!("ok     {name}"),
        Err(error) => {
            failed += 1;
            println!("FAILED {name}: {error}");
        }
    };
    if phase == "before" {
        tell("indexes", indexes_are_created_listed_and_protected(&pc).await);
        tell("vectors", vectors_are_upserted_queried_and_fetched(&pc).await);
        tell("records", records_are_updated_listed_counted_and_deleted(&pc).await);
        tell("mistakes", mistakes_are_named(&pc).await);
        tell("leaving something behind", something_is_left_behind_for_after_the_restart(&pc).await);
    } else {
        tell("after the kill", everything_is_there_after_a_kill(&pc).await);
        tell("keys", wrong_keys_are_refused(&pc, server).await);
    }
    println!("pinecone-sdk 0.1.2 {phase}: {failed} checks failed");
    Ok(ExitCode::from(failed))
}
