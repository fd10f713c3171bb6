//! `pinyon serve`.

use crate::{access, arguments::Serve, exit::Outcome, output};
use pinyon_server::{
    ServeOptions,
    config::{self, Partial},
};
use std::net::SocketAddr;

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Settings, the address, or the data.
pub fn run(command: Serve) -> anyhow::Result<Outcome> {
    let Serve { data_dir, listen, settings: flags, json } = command;
    let place = Partial { data_dir, listen, ..Partial::default() };
    let settings = config::resolve(access::layers(&flags)?.into_iter().chain([place]))?;
    let shown = settings.shown.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = stop_signal()?;
        let ready = move |address| announce(address, &shown, json);
        pinyon_server::serve(settings, ServeOptions { ready, stop }).await?;
        anyhow::Ok(())
    })?;
    Ok(Outcome::Good)
}

/// Says once where it listens and what it was started with.
fn announce(address: SocketAddr, shown: &[(&'static str, String)], json: bool) {
    if json {
        let settings: serde_json::Map<String, serde_json::Value> =
            shown.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
        // Whoever started the server may have closed its output; that is no reason to stop.
        let _ = output::json(&serde_json::json!({"url": format!("http://{address}"), "settings": settings}));
        return;
    }
    println!("pinyon listens on http://{address} (docs at http://{address}/docs)");
    for (name, value) in shown {
        println!("  {name} = {value}");
    }
}

fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
