//! A client for the embeddings endpoint of OpenAI and everything that imitates it. Never made unless somebody asked for
//! it in words: an API key in the environment is not asking.

mod answer;
mod pause;
#[cfg(test)]
mod tests;

pub use pause::{Pause, ThreadPause};

use crate::{EmbedError, Embedder, InputKind};
use pinyon_types::Dim;
use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Texts in one request: below the limits of the endpoints in use.
const BATCH_TEXTS_MAX: usize = 96;
/// Bytes of text in one request.
const BATCH_BYTES_MAX: usize = 200_000;
const ATTEMPTS_MAX: u32 = 5;
/// Bytes of an answer: 96 vectors of 20,000 components as text.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// An endpoint that asks for more patience than this is treated as down.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// A secret: shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Wraps a key.
    pub const fn new(key: String) -> Self {
        Self(key)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

/// Where to send texts, and as whom.
#[derive(Debug, Clone)]
pub struct OpenAiSettings {
    /// Up to and including the version: `https://api.openai.com/v1`.
    pub base_url: String,
    /// The model's name.
    pub model: String,
    /// Components to ask for.
    pub dim: Dim,
    /// The key; endpoints on the own machine often need none.
    pub key: Option<ApiKey>,
}

/// Embeds through an endpoint.
#[derive(Debug)]
pub struct OpenAiEmbedder {
    settings: OpenAiSettings,
    url: String,
    model_id: String,
    agent: ureq::Agent,
    pause: Box<dyn Pause>,
    /// Whether the last call succeeded; before the first, whether one could.
    is_working: AtomicBool,
}

/// How one attempt ended.
enum Attempt {
    Done(Vec<Vec<f32>>),
    Again { reason: String, after: Option<Duration> },
    Failed(EmbedError),
}

impl OpenAiEmbedder {
    /// A client that waits by `pause` between attempts.
    pub fn new(settings: OpenAiSettings, pause: Box<dyn Pause>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(CALL_TIMEOUT))
            .http_status_as_error(false);
        Self {
            url: format!("{}/embeddings", settings.base_url.trim_end_matches('/')),
            model_id: format!("openai:{}/{}", settings.model, settings.dim),
            agent: config.build().into(),
            is_working: is_plausible(&settings).into(),
            settings,
            pause,
        }
    }

    fn embed_batch(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut last = String::new();
        for attempt in 0..ATTEMPTS_MAX {
            match self.attempt(texts) {
                Attempt::Done(vectors) => return Ok(vectors),
                Attempt::Failed(error) => return Err(error),
                Attempt::Again { reason, after } => {
                    last = reason;
                    if attempt + 1 < ATTEMPTS_MAX {
                        let backoff = Duration::from_millis(500 << attempt);
                        self.pause.pause(after.map_or(backoff, |after| after.min(RETRY_AFTER_MAX)));
                    }
                }
            }
        }
        Err(EmbedError::Unreachable { url: self.url.clone(), attempts: ATTEMPTS_MAX, reason: last })
    }

    fn attempt(&self, texts: &[&str]) -> Attempt {
        let mut request = self.agent.post(&self.url).header("content-type", "application/json");
        if let Some(key) = &self.settings.key {
            request = request.header("authorization", format!("Bearer {}", key.0));
        }
        let body = serde_json::json!({
            "model": self.settings.model,
            "input": texts,
            "dimensions": self.settings.dim.get(),
            "encoding_format": "float",
        });
        let mut response = match request.send(body.to_string()) {
            Ok(response) => response,
            Err(error) => return Attempt::Again { reason: error.to_string(), after: None },
        };
        let status = response.status().as_u16();
        let after = retry_after(&response);
        let text = match response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string() {
            Ok(text) => text,
            Err(error) => return Attempt::Again { reason: error.to_string(), after: None },
        };
        self.judge(status, after, &text, texts.len())
    }

    fn judge(&self, status: u16, after: Option<Duration>, text: &str, count: usize) -> Attempt {
        match status {
            200..=299 => match answer::read(text, count, self.settings.dim) {
                Ok(vectors) => Attempt::Done(vectors),
                Err(problem) => Attempt::Failed(EmbedError::BadAnswer { url: self.url.clone(), problem }),
            },
            408 | 429 | 500..=599 => Attempt::Again { reason: format!("status {status}"), after },
            _ => {
                let message = text.chars().take(300).collect();
                Attempt::Failed(EmbedError::Refused { url: self.url.clone(), status, message })
            }
        }
    }
}

fn retry_after(response: &ureq::http::Response<ureq::Body>) -> Option<Duration> {
    let seconds = response.headers().get("retry-after")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

impl Embedder for OpenAiEmbedder {
    fn model_id(&self) -> &str {
        &self.model_id
    }

    fn dim(&self) -> Dim {
        self.settings.dim
    }

    fn embed(&self, texts: &[&str], _kind: InputKind) -> Result<Vec<Vec<f32>>, EmbedError> {
        let embedded = self.embed_all(texts);
        if !texts.is_empty() {
            self.is_working.store(embedded.is_ok(), Ordering::Relaxed);
        }
        embedded
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn is_working(&self) -> bool {
        self.is_working.load(Ordering::Relaxed)
    }
}

impl OpenAiEmbedder {
    fn embed_all(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut vectors = Vec::with_capacity(texts.len());
        let mut rest = texts;
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(batch_length(rest));
            vectors.extend(self.embed_batch(batch)?);
            rest = after;
        }
        Ok(vectors)
    }
}

/// Whether a call could succeed, as far as the settings tell: an address of HTTP, and a key where OpenAI itself is asked.
fn is_plausible(settings: &OpenAiSettings) -> bool {
    let Ok(address) = settings.base_url.parse::<ureq::http::Uri>() else { return false };
    let is_http = matches!(address.scheme_str(), Some("http" | "https"));
    let needs_key = address.host() == Some("api.openai.com");
    is_http && address.host().is_some() && (settings.key.is_some() || !needs_key)
}

/// How many texts go into the next request: at least one.
fn batch_length(texts: &[&str]) -> usize {
    let mut bytes = 0;
    let fitting = texts.iter().take(BATCH_TEXTS_MAX).take_while(|text| {
        bytes += text.len();
        bytes <= BATCH_BYTES_MAX
    });
    fitting.count().max(1)
}
