//! How a verb reaches the data: through a server's API, or by opening the directory itself. Both answer in wire shapes,
//! so verbs need not know which it is.

mod moving;

pub use moving::Assigned;

use crate::{
    arguments::{Host, SettingFlags, Target},
    exit::Usage,
};
use anyhow::{Context, anyhow};
use pinyon_core::Engine;
use pinyon_server::{
    ApiError,
    config::{self, Environment, Partial, Settings},
    convert::{documents, recall, reports, tenant},
};
use pinyon_wire::{
    admin,
    documents::{DeleteRequest, DeleteResponse, FetchRequest, FetchResponse},
    tenant as wire,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{path::Path, time::Duration};

/// A server or an engine.
pub enum Access {
    /// Over HTTP.
    Remote(Client),
    /// In this process.
    Local(Box<Engine>),
}

/// An HTTP client for the control port.
pub struct Client {
    agent: ureq::Agent,
    server: String,
    api_key: Option<String>,
}

impl Access {
    /// Connects, or opens data that are there: a verb that reads makes none.
    ///
    /// # Errors
    /// Settings that make no sense, a directory without data, or data that cannot be opened.
    pub fn to(target: &Target) -> anyhow::Result<Self> {
        if let Some(dir) = &target.data_dir {
            refuse_without_data(dir)?;
        }
        Self::to_fill(target)
    }

    /// Connects, or opens a directory, which is made if need be.
    ///
    /// # Errors
    /// Settings that make no sense, or data that cannot be opened.
    pub fn to_fill(target: &Target) -> anyhow::Result<Self> {
        match &target.data_dir {
            None => Ok(Self::Remote(Client::new(&target.host))),
            Some(dir) => {
                let settings = local_settings(dir, &target.settings)?;
                Ok(Self::Local(Box::new(Engine::open(dir, settings.engine)?)))
            }
        }
    }

    /// Embeds and keeps documents.
    ///
    /// # Errors
    /// What the engine or the server says.
    pub fn ingest(&self, request: wire::IngestRequest) -> anyhow::Result<wire::IngestResponse> {
        match self {
            Self::Remote(client) => client.send("POST", "/ingest", &request),
            Self::Local(engine) => {
                let (tenant_id, documents) = tenant::documents(request).map_err(local)?;
                Ok(tenant::ingested(engine.ingest(&tenant_id, documents)?))
            }
        }
    }

    /// Finds what is near.
    ///
    /// # Errors
    /// What the engine or the server says.
    pub fn query(&self, request: wire::QueryRequest) -> anyhow::Result<wire::QueryResponse> {
        let engine = match self {
            Self::Remote(client) => return client.send("POST", "/query", &request),
            Self::Local(engine) => engine,
        };
        tenant::answer(engine, request, |_| Ok(())).map_err(local)
    }

    /// Reads documents.
    ///
    /// # Errors
    /// What the engine or the server says.
    pub fn fetch(&self, request: &FetchRequest) -> anyhow::Result<FetchResponse> {
        match self {
            Self::Remote(client) => client.send("POST", "/fetch", request),
            Self::Local(engine) => documents::fetch(engine, request, usize::MAX, |_| Ok(())).map_err(local),
        }
    }

    /// Removes documents.
    ///
    /// # Errors
    /// What the engine or the server says.
    pub fn delete(&self, request: &DeleteRequest) -> anyhow::Result<DeleteResponse> {
        match self {
            Self::Remote(client) => client.send("POST", "/delete", request),
            Self::Local(engine) => documents::delete(engine, request).map_err(local),
        }
    }

    /// Every tenant.
    ///
    /// # Errors
    /// What the server says.
    pub fn tenants(&self) -> anyhow::Result<admin::TenantList> {
        match self {
            Self::Remote(client) => client.get("/admin/v1/tenants"),
            Self::Local(engine) => Ok(reports::tenants(engine)),
        }
    }

    /// Whether a server is asked.
    pub const fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }

    /// Erases a tenant, of the tenants' index if no other is named.
    ///
    /// # Errors
    /// What the engine or the server says.
    pub fn erase(&self, tenant_id: &str, index: Option<&str>) -> anyhow::Result<admin::ErasedTenant> {
        match self {
            Self::Remote(client) => {
                let index = index.map_or_else(String::new, |index| format!("?index={}", escape(index)));
                client.send("POST", &format!("/admin/v1/tenants/{}/erase{index}", escape(tenant_id)), &())
            }
            Self::Local(engine) => {
                let names = (tenant_id.to_owned(), config::TENANTS_INDEX.to_owned());
                Ok(reports::erased(names, engine.erase(tenant_id)?, None))
            }
        }
    }

    /// Every shard.
    ///
    /// # Errors
    /// What the server says.
    pub fn shards(&self) -> anyhow::Result<admin::ShardList> {
        match self {
            Self::Remote(client) => client.get("/admin/v1/shards"),
            Self::Local(engine) => Ok(reports::shards(engine)),
        }
    }

    /// Distribution, health and thresholds.
    ///
    /// # Errors
    /// What the server says.
    pub fn metrics(&self) -> anyhow::Result<wire::MetricsResponse> {
        match self {
            Self::Remote(client) => client.get("/metrics"),
            Self::Local(engine) => {
                Ok(reports::metrics(engine, recall::of_index(config::TENANTS_INDEX, engine).0))
            }
        }
    }

    /// Advice; what the request leaves open comes from the system.
    ///
    /// # Errors
    /// What the server says.
    pub fn advise(&self, request: admin::AdviceRequest) -> anyhow::Result<admin::AdviceResponse> {
        match self {
            Self::Remote(client) => client.send("POST", "/admin/v1/advise", &request),
            Self::Local(engine) => {
                reports::check_advice(&request).map_err(local)?;
                Ok(reports::advice(engine.advise_on(&reports::given_numbers(request))))
            }
        }
    }

    /// Compares routing with the shards.
    ///
    /// # Errors
    /// What the server says.
    pub fn doctor(&self) -> anyhow::Result<admin::DoctorResponse> {
        match self {
            Self::Remote(client) => client.get("/admin/v1/doctor"),
            Self::Local(engine) => {
                Ok(reports::diagnosis(vec![(config::TENANTS_INDEX.to_owned(), engine.diagnose())]))
            }
        }
    }

    /// Ends cleanly what was opened here.
    ///
    /// # Errors
    /// The disk's.
    pub fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Remote(_) => Ok(()),
            Self::Local(engine) => Ok(engine.close()?),
        }
    }
}

fn local(error: ApiError) -> anyhow::Error {
    refusal(error.body)
}

/// What was refused because of what was asked is the caller's to mend.
fn refusal(body: wire::ErrorBody) -> anyhow::Error {
    match body.error.code.as_str() {
        "INVALID_ARGUMENT" => Usage(body.error.message).into(),
        _ => anyhow!(body.error.message),
    }
}

/// An empty engine in place of the data that were meant would report that all is well.
///
/// # Errors
/// A directory that is not there, or holds no data.
pub fn refuse_without_data(dir: &Path) -> anyhow::Result<()> {
    if Engine::holds_data(dir)? {
        return Ok(());
    }
    let problem = if dir.exists() { "holds no data of Pinyon" } else { "does not exist" };
    let message = format!(
        "--data-dir {}: {problem}; is the path right? (`pinyon serve` and `pinyon ingest` make new data)",
        dir.display()
    );
    Err(Usage(message).into())
}

/// Settings for data that are opened here: those they were made with, file, `.env`, environment, flags.
///
/// # Errors
/// A layer that makes no sense.
pub fn local_settings(data_dir: &Path, flags: &SettingFlags) -> anyhow::Result<Settings> {
    let listen = Some("127.0.0.1:0".to_owned());
    let place = Partial { data_dir: Some(data_dir.to_owned()), listen, ..Partial::default() };
    Ok(config::resolve_for_data(layers(flags)?.into_iter().chain([place]))?)
}

/// The layers of settings, lowest first.
///
/// # Errors
/// A file that cannot be read, or a layer that makes no sense.
pub fn layers(flags: &SettingFlags) -> anyhow::Result<Vec<Partial>> {
    let mut layers = Vec::new();
    if let Some(file) = &flags.config {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        layers.push(Partial::from_toml(&text, &file.display().to_string())?);
    }
    let mut variables: Vec<(String, String)> = Vec::new();
    if let Ok(text) = std::fs::read_to_string(".env") {
        variables.extend(config::read_dotenv(&text)?);
    }
    // A variable of the process wins over the same one in `.env`.
    let process = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let process: Vec<(String, String)> = process.collect();
    layers.push(Environment::new(variables).into_partial()?);
    layers.push(Environment::new(process).into_partial()?);
    layers.push(Partial {
        num_shards: flags.num_shards,
        vector_dimension: flags.vector_dimension,
        metric: flags.metric.clone(),
        placement: flags.placement.clone(),
        catalog: flags.catalog.clone(),
        embedder: flags.embedder.clone(),
        ..Partial::default()
    });
    Ok(layers)
}

impl Client {
    /// To a server.
    pub fn new(host: &Host) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_global(Some(Duration::from_secs(300)))
            .http_status_as_error(false);
        let server = host.server.trim_end_matches('/').to_owned();
        Self { agent: config.build().into(), server, api_key: host.api_key.clone() }
    }

    /// Every index.
    ///
    /// # Errors
    /// What the server says.
    pub fn indexes(&self) -> anyhow::Result<admin::IndexList> {
        self.get("/admin/v1/indexes")
    }

    /// Changes an index's settings.
    ///
    /// # Errors
    /// What the server says.
    pub fn configure_index(
        &self,
        name: &str,
        settings: &admin::IndexSettings,
    ) -> anyhow::Result<admin::IndexInfo> {
        self.send("PUT", &format!("/admin/v1/indexes/{}", escape(name)), settings)
    }

    fn delete<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let mut request =
            self.agent.delete(format!("{}{path}", self.server)).header("accept", "application/json");
        if let Some(key) = &self.api_key {
            request = request.header("api-key", key);
        }
        self.read(request.call())
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let mut request =
            self.agent.get(format!("{}{path}", self.server)).header("accept", "application/json");
        if let Some(key) = &self.api_key {
            request = request.header("api-key", key);
        }
        self.read(request.call())
    }

    fn send<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let url = format!("{}{path}", self.server);
        let mut request = if method == "PUT" { self.agent.put(url) } else { self.agent.post(url) };
        request = request.header("content-type", "application/json");
        if let Some(key) = &self.api_key {
            request = request.header("api-key", key);
        }
        self.read(request.send(serde_json::to_vec(body)?))
    }

    fn read<T: DeserializeOwned>(
        &self,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> anyhow::Result<T> {
        let mut response = response.with_context(|| {
            format!(
                "no answer from {}; is `pinyon serve` running? (--data-dir works without it)",
                self.server
            )
        })?;
        let status = response.status();
        let text = response.body_mut().with_config().limit(256 << 20).read_to_string()?;
        if !status.is_success() {
            let body: Option<wire::ErrorBody> = serde_json::from_str(&text).ok();
            return Err(body.map_or_else(|| anyhow!("{status}: {text}"), refusal));
        }
        serde_json::from_str(&text).context("the server's answer is not what this version of pinyon expects")
    }
}

/// Percent-encodes a path segment.
fn escape(segment: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escaped = segment
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn path_segments_are_escaped() {
        assert_eq!(escape("acme-corp/ü?"), "acme-corp%2F%C3%BC%3F");
    }
}
