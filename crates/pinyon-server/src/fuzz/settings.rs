//! Settings: a file, a `.env` and variables that somebody mangled are refused with a reason, or make settings.

use crate::config::{Environment, Partial, SETTINGS, read_dotenv, resolve};
use pinyon_fuzz::{Seen, Target, bytes};

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

/// Values that some setting takes.
const VALUES: [&str; 14] = [
    "0",
    "1",
    "8",
    "-1",
    "1.5",
    "true",
    "\"\"",
    "\"cosine\"",
    "\"127.0.0.1:0\"",
    "\"x\"",
    "[\"a\", \"b\"]",
    "18446744073709551615",
    "nan",
    "1e999",
];

fn seeds(is_file: bool) -> Vec<Vec<u8>> {
    let line = |(at, setting): (usize, &crate::config::Setting)| {
        let value = VALUES[at % VALUES.len()];
        let name = if is_file { setting.name.to_owned() } else { setting.variable() };
        format!("{name} = {value}\n")
    };
    let lines: Vec<String> = SETTINGS.iter().enumerate().map(line).collect();
    let good = ["num_shards = 4\n", "metric = \"cosine\"\n", "vector_dimension = 3\n", "scan_factor = 1.5\n"];
    let good = good
        .map(|line| if is_file { line.to_owned() } else { format!("PINYON_{}", line.to_ascii_uppercase()) });
    let quoted = "export PINYON_METRIC='euclidean'\n# a remark\n\nNUM_SHARDS=2\n".to_owned();
    let mut seeds: Vec<String> = lines.chunks(3).map(<[String]>::concat).collect();
    seeds.extend([good.concat(), good[..2].concat(), if is_file { String::new() } else { quoted }]);
    seeds.into_iter().map(String::into_bytes).collect()
}

/// Without what names files: those of this machine are not meant.
fn without_files(partial: Partial) -> Partial {
    Partial { api_keys_file: None, tls: None, tls_client_ca: None, data_dir: None, ..partial }
}

fn check(read: Result<Partial, crate::config::ConfigError>) -> Seen {
    let settings = read.and_then(|partial| resolve([without_files(partial)]));
    if let Err(refused) = &settings {
        assert!(refused.0.len() > 10, "{refused}");
    }
    Seen::of(&settings)
}

#[test]
fn fuzz_settings_file() {
    let seeds = seeds(true);
    let target =
        Target { name: "settings file", cases: 60_000, bytes_per_byte: 2_000, bytes_besides: 1 << 20 };
    target.run(
        |rng| bytes::changed(rng, &seeds),
        |input| {
            let read = Partial::from_toml(&text(input), "pinyon.toml");
            if let Err(refused) = &read {
                assert!(refused.0.starts_with("pinyon.toml: "), "{refused}");
            }
            check(read)
        },
    );
}

#[test]
fn fuzz_environment() {
    let seeds = seeds(false);
    let target = Target { name: "environment", cases: 60_000, bytes_per_byte: 2_000, bytes_besides: 1 << 20 };
    target.run(
        |rng| bytes::changed(rng, &seeds),
        |input| {
            check(read_dotenv(&text(input)).and_then(|variables| Environment::new(variables).into_partial()))
        },
    );
}
