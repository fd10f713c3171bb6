//! `pinyon serve`.

use crate::{
    access,
    arguments::{Serve, SettingFlags},
    exit::Outcome,
    log, output,
};
use pinyon_server::{
    Listening, Reloadable, ServeOptions,
    config::{self, Partial, Settings},
};
use tokio::sync::mpsc;

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Settings, the address, or the data.
pub fn run(command: Serve) -> anyhow::Result<Outcome> {
    let Serve { data_dir, listen, ops_listen, single_index, tls, settings: flags, json } = command;
    let place = Partial { data_dir, listen, ops_listen, single_index, tls, ..Partial::default() };
    let settings = config::resolve_for_data(access::layers(&flags)?.into_iter().chain([place.clone()]))?;
    log::set(&settings.log)?;
    let shown = settings.shown.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = stop_signal()?;
        let ready = move |listening: Listening| announce(&listening, &shown, json);
        let reloads = reloads(move || resolve_again(&flags, &place))?;
        pinyon_server::serve(settings, ServeOptions { ready, stop, reloads }).await?;
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

/// The settings as their layers are now. Those of the data are left out: they do not change, and the data are open.
fn resolve_again(flags: &SettingFlags, place: &Partial) -> anyhow::Result<Settings> {
    let settings = config::resolve(access::layers(flags)?.into_iter().chain([place.clone()]))?;
    log::set(&settings.log)?;
    Ok(settings)
}

/// Reads the settings again at every SIGHUP. Settings that make no sense are said in the log and change nothing.
fn reloads(
    resolve: impl Fn() -> anyhow::Result<Settings> + Send + 'static,
) -> anyhow::Result<mpsc::Receiver<Reloadable>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hang_up = signal(SignalKind::hangup())?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            match resolve() {
                Ok(settings) => {
                    // A server that ends takes nothing anew.
                    let _ = sender.send(settings.reloadable()).await;
                }
                Err(error) => {
                    tracing::error!(error = %error, "settings not read again; those that were there stay");
                }
            }
        }
    });
    Ok(receiver)
}
