//! Pinecone's data plane as protobuf, made from `proto/vector_service.proto`.

#![allow(missing_docs, clippy::all, clippy::pedantic)] // generated

tonic::include_proto!("_");
