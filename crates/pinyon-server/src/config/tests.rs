//! Tests of the settings' layers.

use super::*;
use crate::{pinecone::SingleIndex, tls::TlsSettings};
use pinyon_core::FileAccess;

fn environment(pairs: &[(&str, &str)]) -> Result<Partial, ConfigError> {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Environment::new(pairs).into_partial()
}

#[test]
fn later_layers_win_and_defaults_are_the_modules() {
    let file = Partial::from_toml("num_shards = 2\nmetric = \"euclidean\"", "pinyon.toml").unwrap();
    let variables = environment(&[("NUM_SHARDS", "8"), ("PINYON_LISTEN", "127.0.0.1:1234")]).unwrap();
    let flags = Partial { listen: Some("127.0.0.1:0".into()), ..Partial::default() };
    let settings = resolve([file, variables, flags]).unwrap();
    assert_eq!((settings.engine.shards, settings.engine.metric), (8, Metric::Euclidean));
    assert_eq!(settings.listen.port(), 0);
    let defaults = resolve([]).unwrap().engine;
    assert_eq!(
        (defaults.shards, defaults.dim.get(), defaults.shard_prefix.as_str()),
        (4, 1536, "tenant-shard")
    );
    assert_eq!(defaults.thresholds, Thresholds::module());
}

#[test]
fn unknown_keys_are_refused_in_every_layer() {
    let refused = Partial::from_toml("num_shard = 2", "pinyon.toml").unwrap_err();
    assert!(refused.0.contains("pinyon.toml") && refused.0.contains("num_shard"), "{refused}");
    let refused = environment(&[("PINYON_SHARDS", "2")]).unwrap_err();
    assert!(refused.0.contains("PINYON_SHARDS is not a setting"), "{refused}");
    assert!(environment(&[("PATH", "x"), ("PINYON_SERVER", "y"), ("PINYON_METRIC", "")]).is_ok());
}

#[test]
fn wrong_values_name_their_setting() {
    for (name, value) in [("NUM_SHARDS", "x"), ("PINYON_NUM_SHARDS", "x"), ("OFFLINE", "perhaps")] {
        let refused = environment(&[(name, value)]).unwrap_err().0;
        assert!(refused.starts_with(&format!("environment variable {name}: ")), "{refused}");
        assert!(refused.ends_with(&format!("it is {value:?}")), "{refused}");
    }
    for (partial, named) in [
        (Partial { num_shards: Some(0), ..Partial::default() }, "setting num_shards: must be 1 to 256, is 0"),
        (Partial { vector_dimension: Some(0), ..Partial::default() }, "vector_dimension"),
        (Partial { metric: Some("l2".into()), ..Partial::default() }, "metric"),
        (Partial { listen: Some("here".into()), ..Partial::default() }, "listen"),
        (Partial { embedder: Some("magic".into()), ..Partial::default() }, "embedder"),
        (Partial { api_keys: Some(vec!["short".into()]), ..Partial::default() }, "api_keys"),
        (Partial { search_threads: Some(0), ..Partial::default() }, "search_threads"),
        (Partial { seal_kib: Some(0), ..Partial::default() }, "seal_kib"),
        (
            Partial { scan_factor: Some(5.0), ..Partial::default() },
            "setting scan_factor: must be 0.5 to 4, is 5",
        ),
        (
            Partial { recall_min: Some(1.01), ..Partial::default() },
            "setting recall_min: must be 0.5 to 1, is 1.01",
        ),
        (Partial { seal_kib: Some(usize::MAX), ..Partial::default() }, "seal_kib"),
    ] {
        assert!(resolve([partial]).unwrap_err().0.contains(named));
    }
}

#[test]
fn nine_tenths_of_the_namespaces_are_warned_of_whatever_their_number() {
    for (number, warned) in
        [(20, 18), (19, 17), (5, 4), (1, 0), (0, 0), (u64::MAX, 16_602_069_666_338_596_453)]
    {
        let layer = environment(&[("MAX_NAMESPACES_PER_SHARD", &number.to_string())]).unwrap();
        let thresholds =
            resolve([layer]).map(|settings| settings.engine.thresholds.namespaces_per_shard_warn);
        assert_eq!(thresholds.ok(), Some(warned), "{number}");
    }
}

#[test]
fn memtables_are_sealed_at_the_size_that_is_set() {
    let options = |layer: Partial| resolve([layer]).unwrap().engine.shard_options;
    let size = |layer: Partial| (options(layer.clone()).seal_bytes, options(layer).backlog_bytes_max);
    assert_eq!(size(Partial::default()), (16 << 20, 256 << 20));
    assert_eq!(size(environment(&[("PINYON_SEAL_KIB", "32")]).unwrap()), (32 << 10, 256 << 20));
    let large = Partial::from_toml("seal_kib = 1048576", "pinyon.toml").unwrap();
    assert_eq!(size(large.clone()), (1 << 30, 4 << 30));
    let shown = resolve([large]).unwrap().shown;
    assert!(shown.contains(&("seal_kib", "1048576".into())), "{shown:?}");
}

#[test]
fn graphs_are_ours_or_those_of_hnsw_rs() {
    let resolved = |pairs: &[(&str, &str)]| resolve([environment(pairs).unwrap()]);
    let chosen = |pairs: &[(&str, &str)]| resolved(pairs).map(|settings| settings.engine.shard_options.graph);
    assert_eq!(chosen(&[]), Ok(GraphEngine::Codes));
    assert_eq!(chosen(&[("PINYON_GRAPH", "codes")]), Ok(GraphEngine::Codes));
    let both = [("PINYON_GRAPH", "hnsw_rs"), ("PINYON_SEAL_KIB", "32")];
    assert_eq!(chosen(&both), Ok(GraphEngine::HnswRs));
    let settings = resolved(&both).unwrap();
    assert_eq!(settings.engine.shard_options.seal_bytes, 32 << 10);
    assert!(settings.shown.contains(&("graph", "hnsw_rs".into())));
    assert!(settings.shown.contains(&("missing_fields", "exclude".into())));
    let effort = [
        ("PINYON_SCAN_FACTOR", "2.5"),
        ("PINYON_RECALL_MIN", "0.98"),
        ("PINYON_MEMORY_MIB", "512"),
        ("PINYON_GRAPH", "hnsw_rs"),
    ];
    let engine = resolved(&effort).unwrap().engine;
    assert_eq!((engine.scan_factor, engine.shard_options.recall_min), (2.5, 0.98));
    assert_eq!(engine.shard_options.memory.unwrap().bytes_max(), 512 << 20);
    let default = resolved(&[("PINYON_MEMORY_MIB", "0")]).unwrap().engine;
    assert!(default.scan_factor == 1.0 && default.shard_options.memory.is_none());
    let refused = chosen(&[("PINYON_GRAPH", "HNSW")]).unwrap_err();
    assert!(refused.0.contains("codes or hnsw_rs") && refused.0.contains("HNSW"), "{refused}");
}

#[test]
fn beyond_loopback_needs_keys() {
    let open = Partial { listen: Some("0.0.0.0:5080".into()), ..Partial::default() };
    assert!(resolve([open.clone()]).unwrap_err().0.contains("PINYON_API_KEYS"));
    let keyed = environment(&[("PINYON_API_KEYS", "long-enough-key, another-key")]).unwrap();
    let settings = resolve([open, keyed]).unwrap();
    assert!(settings.keys.admits(Some("another-key")) && !settings.keys.admits(None));
    assert!(!format!("{:?}", settings.shown).contains("another-key"));
}

#[test]
fn the_images_names_mean_something_in_single_index_mode_only() {
    let nonsense = environment(&[("PORT", "http"), ("DIMENSION", "wide"), ("METRIC", "feet")]).unwrap();
    let settings = resolve([nonsense]).unwrap();
    assert_eq!((settings.listen.port(), settings.pinecone.single_index), (5080, None));
    let image = [("PORT", "5081"), ("DIMENSION", "3"), ("METRIC", "euclidean"), ("INDEX_TYPE", "pod")];
    let on = Partial { single_index: Some("movies".into()), ..Partial::default() };
    let settings = resolve([environment(&image).unwrap(), on.clone()]).unwrap();
    assert_eq!(settings.listen, "127.0.0.1:5081".parse().unwrap());
    let expected = SingleIndex {
        name: "movies".into(),
        dimension: Some(3),
        metric: Some("euclidean".into()),
        index_type: Some("pod"),
        vector_type: None,
    };
    assert_eq!(settings.pinecone.single_index, Some(expected));
    let elsewhere = Partial { listen: Some("127.0.0.1:7000".into()), ..on.clone() };
    assert_eq!(resolve([environment(&image).unwrap(), elsewhere]).unwrap().listen.port(), 7000);
    for (name, value) in
        [("PORT", "http"), ("DIMENSION", "wide"), ("INDEX_TYPE", "bare"), ("VECTOR_TYPE", "thick")]
    {
        let refused = resolve([environment(&[(name, value)]).unwrap(), on.clone()]).unwrap_err();
        assert!(refused.0.contains(name) && refused.0.contains(value), "{refused}");
    }
}

#[test]
fn tls_is_off_local_or_given_by_two_files() {
    let tls = |pairs: &[(&str, &str)]| resolve([environment(pairs).unwrap()]).map(|settings| settings.tls);
    let files = TlsSettings::Files { certificate: "c.pem".into(), key: "k.pem".into() };
    let (cert, key) = (("PINYON_TLS_CERT", "c.pem"), ("PINYON_TLS_KEY", "k.pem"));
    assert_eq!(tls(&[]), Ok(TlsSettings::Off));
    assert_eq!(tls(&[("PINYON_TLS", "local")]), Ok(TlsSettings::Local));
    assert_eq!(tls(&[cert, key]), Ok(files));
    assert_eq!(tls(&[cert, key, ("PINYON_TLS", "off")]), Ok(TlsSettings::Off));
    for (pairs, problem) in [
        (vec![("PINYON_TLS", "yes")], "off or local"),
        (vec![cert], "needs tls_key"),
        (vec![key], "needs tls_cert"),
        (vec![cert, key, ("PINYON_TLS", "local")], "choose one"),
    ] {
        assert!(tls(&pairs).unwrap_err().0.contains(problem));
    }
}

#[test]
fn an_openai_key_alone_makes_no_call_and_offline_forbids_asking_for_one() {
    let keyed = environment(&[("OPENAI_API_KEY", "sk-x"), ("OFFLINE", "true")]).unwrap();
    assert!(!resolve([keyed.clone()]).unwrap().engine.embedder.is_remote());
    let asked = Partial { embedder: Some("openai".into()), ..Partial::default() };
    assert!(resolve([keyed, asked.clone()]).unwrap_err().0.contains("choose one"));
    assert!(resolve([asked]).unwrap().engine.embedder.is_remote());
}

#[test]
fn dotenv_files_are_read_as_people_write_them() {
    let text = "# comment\n\nNUM_SHARDS=3\nexport SHARD_PREFIX=\"my shard\"\nEMPTY=\nQUOTED='a=b'\n";
    let pairs = read_dotenv(text).unwrap();
    let pairs: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(pairs, [("NUM_SHARDS", "3"), ("SHARD_PREFIX", "my shard"), ("EMPTY", ""), ("QUOTED", "a=b")]);
    assert!(read_dotenv("NUM_SHARDS").unwrap_err().0.contains("line 1"));
}

#[test]
fn keys_with_an_empty_one_among_them_are_refused_not_left_out() {
    for keys in
        [",", ",,", " ", "long-enough-key-1,", ",long-enough-key-1", "long-enough-key-1,,long-enough-key-2"]
    {
        let refused = resolve([environment(&[("PINYON_API_KEYS", keys)]).unwrap()]).unwrap_err();
        assert!(
            refused.0.starts_with("setting api_keys: key ") && refused.0.contains("is empty"),
            "{refused}"
        );
    }
    let missing = resolve([environment(&[("PINYON_API_KEYS_FILE", "no/such/file")]).unwrap()]).unwrap_err();
    assert!(missing.0.contains("api_keys_file: no/such/file: there is no such file"), "{missing}");
}

#[test]
fn demands_on_connections_need_tls_and_clients_certificates_end_plain_text() {
    let demands = |pairs: &[(&str, &str)]| resolve([environment(pairs).unwrap()]).map(|one| one.tls_demands);
    let (local, only, ca) =
        (("PINYON_TLS", "local"), ("PINYON_TLS_ONLY", "true"), ("PINYON_TLS_CLIENT_CA", "ca.pem"));
    for pairs in [vec![only], vec![ca], vec![only, ("PINYON_TLS", "off")]] {
        assert!(demands(&pairs).unwrap_err().0.contains("needs TLS"));
    }
    assert!(!demands(&[local]).unwrap().only && demands(&[local, only]).unwrap().only);
    assert!(
        demands(&[local, ca]).unwrap().only
            && demands(&[local, ca, ("PINYON_TLS_ONLY", "false")]).unwrap().only
    );
}

#[test]
fn data_are_the_owners_or_his_groups() {
    let access = |name: &str| resolve([environment(&[("PINYON_DATA_ACCESS", name)]).unwrap()]);
    assert_eq!(access("owner").unwrap().data_access, FileAccess::Owner);
    assert_eq!(access("group").unwrap().data_access, FileAccess::Group);
    assert!(access("world").unwrap_err().0.contains("owner or group"));
}

#[test]
fn connections_are_bounded_as_set_and_a_source_has_a_quarter() {
    let sockets = |pairs: &[(&str, &str)]| resolve([environment(pairs).unwrap()]).map(|all| all.sockets);
    let limits = |pairs: &[(&str, &str)]| {
        let set = sockets(pairs).unwrap();
        (set.connections_max(), set.per_source_max(), set.trusted.len())
    };
    assert_eq!(limits(&[]), (1024, 256, 0));
    assert_eq!(limits(&[("PINYON_CONNECTIONS_MAX", "100")]), (100, 25, 0));
    let all = [
        ("PINYON_CONNECTIONS_MAX", "100"),
        ("PINYON_CONNECTIONS_PER_SOURCE_MAX", "100"),
        ("PINYON_TRUSTED_PROXIES", "10.0.0.0/8, fd00::1"),
    ];
    assert_eq!(limits(&all), (100, 100, 2));
    for (name, value, said) in [
        ("PINYON_CONNECTIONS_MAX", "15", "setting connections_max: must be 16 to 1000000, is 15"),
        (
            "PINYON_CONNECTIONS_PER_SOURCE_MAX",
            "0",
            "setting connections_per_source_max: must be 1 to 1024, is 0",
        ),
        ("PINYON_CONNECTIONS_PER_SOURCE_MAX", "1025", "must be 1 to 1024, is 1025"),
        (
            "PINYON_TRUSTED_PROXIES",
            "proxy",
            "setting trusted_proxies: \"proxy\" is not an address or a range",
        ),
    ] {
        let refused = sockets(&[(name, value)]).unwrap_err().0;
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn the_port_for_health_and_metrics_is_guarded_like_the_other() {
    let ops = |pairs: &[(&str, &str)]| resolve([environment(pairs).unwrap()]).map(|all| all.ops_listen);
    assert_eq!(ops(&[]), Ok(None));
    assert_eq!(ops(&[("PINYON_OPS_LISTEN", "127.0.0.1:5079")]).unwrap().unwrap().port(), 5079);
    let beyond = ("PINYON_OPS_LISTEN", "0.0.0.0:5079");
    let refused = ops(&[beyond]).unwrap_err().0;
    assert!(
        refused.contains("listening on 0.0.0.0:5079") && refused.contains("PINYON_API_KEYS"),
        "{refused}"
    );
    assert!(ops(&[beyond, ("PINYON_API_KEYS", "long-enough-for-a-key")]).is_ok());
    assert!(ops(&[("PINYON_OPS_LISTEN", "5079")]).unwrap_err().0.contains("like 127.0.0.1:5079"));
}
