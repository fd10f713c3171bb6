//! Pinecone's API: the control plane, and the data plane of one index. Shapes and messages are the vendor's, so that the
//! official clients read them as they are.

mod attributes;
mod collections;
mod configure;
mod control;
mod control_body;
mod convert;
mod create;
mod data;
mod data_exchange;
mod envelope;
mod grpc;
mod hosts;
mod index_json;
mod inference;
mod inference_models;
mod listed_index;
mod namespaces;
mod operations;
mod paging;
mod position;
mod record_vectors;
mod records;
mod single;
mod single_index;
mod stats_filter;
mod tokens;
mod vectors;
mod version;

pub(crate) use control::router as control_router;
pub(crate) use data::{Named, by_name, by_path, router as data_router};
pub(crate) use envelope::{control_refusal, data_refusal, unauthenticated_control, unauthenticated_data};
pub(crate) use grpc::{guard as grpc_guard, nothing_there, service as grpc_service};
pub(crate) use hosts::{HostFormat, Hosts};
pub(crate) use single::router as single_control_router;
pub(crate) use single_index::SingleIndex;
pub(crate) use stats_filter::StatsFilter;
