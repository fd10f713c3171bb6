//! `pinyon serve`.

use crate::{access, arguments::Serve, exit::Outcome, output};
use pinyon_server::{
    Listening, ServeOptions,
    config::{self, Partial},
};

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Settings, the address, or the data.
pub fn run(command: Serve) -> anyhow::Result<Outcome> {
    let Serve { data_dir, listen, ops_listen, single_index, tls, settings: flags, json } = command;
    let place = Partial { data_dir, listen, ops_listen, single_index, tls, ..Partial::default() };
    let settings = config::resolve_for_data(access::layers(&flags)?.into_iter().chain([place]))?;
    let shown = settings.shown.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = stop_signal()?;
        let ready = move |listening: Listening| announce(&listening, &shown, json);
        pinyon_server::serve(settings, ServeOptions { ready, stop }).await?;
        anyhow::Ok(())
    })?;
    Ok(Outcome::Good)
}

/// Says once where it listens and what it was started with. Whoever started the server may have closed its output; that is
/// no reason to stop.
fn announce(listening: &Listening, shown: &[(&'static str, String)], json: bool) {
    let Listening { address, ops, index, authority } = listening;
    if json {
        let settings: serde_json::Map<String, serde_json::Value> =
            shown.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
        let _ = output::json(&serde_json::json!({
            "url": format!("http://{address}"), "ops_url": ops.map(|ops| format!("http://{ops}")), "ca": authority,
            "settings": settings,
        }));
        return;
    }
    let mut lines = vec![match index {
        Some(index) => format!("pinyon serves the index {index} on http://{address}"),
        None => format!("pinyon listens on http://{address} (docs at http://{address}/docs)"),
    }];
    lines.extend(ops.map(|ops| format!("health and metrics are also on http://{ops}")));
    let trusted = authority.as_ref().map(|authority| authority.display());
    lines.extend(trusted.map(|file| format!("TLS is spoken on the same ports; clients trust {file}")));
    lines.extend(shown.iter().map(|(name, value)| format!("  {name} = {value}")));
    let _ = output::line(&lines.join("\n"));
}

/// Done at the first SIGTERM or SIGINT.
pub(super) fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + use<>> {
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
