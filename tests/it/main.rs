//! Tests that need more than one crate: the real binary under load and killed, its HTTP bodies, and what the example
//! data must find.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // tests

mod amplify;
mod answers;
mod auth;
mod bodies;
mod contract;
mod damage;
mod doctor;
mod effort;
mod elsewhere;
mod empties;
mod erase;
mod examples;
mod foreign;
mod frames;
mod full;
mod ingest;
mod kill;
mod load;
mod memory;
mod modes;
mod moves;
mod older;
mod overload;
mod pinecone;
mod pipes;
mod recall;
mod rotation;
mod scrub;
mod server;
mod single;
mod sockets;
mod stored;
mod strangers;
mod tenants_index;
mod tls;
mod twins;
mod verbs;
mod windows;
mod work;
