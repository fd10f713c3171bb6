//! Tenants on their way from shard to shard, beside everything else.

use crate::server::Connection;
use pinyon_types::SeededRng;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SHARDS: u64 = 4;
const MOVES: &str = "/admin/v1/moves";

/// Moves tenants until a request is not answered; says how many moves were begun.
pub fn move_until_dead(tenants: &[&str], server: &Connection, seed: u64) -> u64 {
    let (mut rng, mut begun) = (SeededRng::new(seed), 0);
    loop {
        let tenant = tenants[rng.below(tenants.len() as u64) as usize];
        let asked = json!({"tenant_id": tenant, "shard_id": rng.below(SHARDS)});
        match server.post(MOVES, &asked) {
            Some((202, _)) => begun += 1,
            // Not placed yet; there already, or on its way.
            Some((404 | 409, _)) => {}
            Some((status, body)) => panic!("a move was refused: {status} {body}"),
            None => return begun,
        }
        std::thread::sleep(Duration::from_millis(rng.below(8)));
    }
}

/// Waits until nothing moves any more; none may have failed.
pub fn end(server: &Connection) {
    let began = Instant::now();
    loop {
        let (_, list) = server.get(MOVES, &[]).expect("an answer");
        let moves = list["moves"].as_array().unwrap();
        let is_in = |one: &&Value, phases: &[&str]| phases.contains(&one["phase"].as_str().unwrap());
        let failed: Vec<_> =
            moves.iter().filter(|one| is_in(one, &["failing", "failed", "stopped"])).collect();
        assert!(failed.is_empty(), "{failed:?}");
        if moves.iter().all(|one| is_in(&one, &["done", "aborted"])) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{list}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
