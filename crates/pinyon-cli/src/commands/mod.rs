//! The verbs.

pub mod advise;
pub mod bench;
pub mod delete;
pub mod demo;
pub mod doctor;
pub mod explain;
pub mod fetch;
pub mod health;
pub mod indexes;
pub mod ingest;
pub mod inspect;
pub mod query;
pub mod serve;
pub mod settings;
pub mod shards;
pub mod tenants;
