//! Opens the engine in this process, ingests, queries one tenant and all, and closes. No server, no async runtime.

#![allow(clippy::print_stdout)] // an example that shows what it found

use pinyon_core::{Document, Engine, EngineSettings, TextQuery};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::temp_dir().join(format!("pinyon-example-{}", std::process::id()));
    let engine = Engine::open(&dir, EngineSettings::offline(4, 384)?)?;
    let brewery = vec![
        Document::new("stout", "Stout is brewed with roasted barley, which makes it dark and dry."),
        Document::new("lager", "Lager ferments slowly at low temperature for several weeks."),
    ];
    let railway = vec![Document::new("delay", "Passengers of delayed trains are refunded half of the fare.")];
    println!("{:?}", engine.ingest("brewery", brewery)?);
    println!("{:?}", engine.ingest("railway", railway)?);
    for query in [
        TextQuery::in_tenant("brewery", "why is stout dark", 1),
        TextQuery::everywhere("refund for a delayed train", 2),
    ] {
        let answer = engine.query_text(&query)?;
        for found in &answer.results {
            println!(
                "{:.3} {} of {}: {}",
                found.score.get(),
                found.id,
                found.tenant,
                found.text.as_deref().unwrap_or("")
            );
        }
        println!("{} shards asked, {:?}", answer.shards.len(), answer.latency);
    }
    engine.close()?;
    drop(engine);
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}
