//! Advice: whether sharding is worth its price at all, with reasons for and against.

/// What the advice is based on.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AdviceInput {
    /// Number of tenants.
    pub tenants: u64,
    /// Number of vectors.
    pub vectors: u64,
    /// 95th percentile of query latency in milliseconds.
    pub p95_ms: f64,
    /// Number of namespaces in one index.
    pub namespaces: u64,
    /// Share of all vectors that the ten largest tenants hold, if known.
    pub top_10_share: Option<f64>,
    /// Share of queries that cross tenants, if known.
    pub cross_tenant_share: Option<f64>,
}

/// The advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// Whether to shard.
    pub should_shard: bool,
    /// What speaks for it.
    pub reasons: Vec<String>,
    /// What speaks against it.
    pub against: Vec<String>,
    /// The conclusion in a sentence.
    pub summary: String,
}

const TENANTS_MAX: u64 = 80;
const VECTORS_MAX: u64 = 1_000_000;
const NAMESPACES_MAX: u64 = 80;
const P95_MS_MAX: f64 = 500.0;
const TOP_10_SHARE_MAX: f64 = 0.7;
const CROSS_TENANT_SHARE_MAX: f64 = 0.2;

/// Weighs the numbers: the reference module's limits speak for sharding; a few giants or many cross-tenant queries
/// speak against it, because neither gets faster by it.
pub fn advise(input: &AdviceInput) -> Advice {
    let mut reasons = Vec::new();
    let mut add = |holds: bool, reason: String| reasons.extend(holds.then_some(reason));
    add(input.tenants > TENANTS_MAX, format!("{} tenants are more than {TENANTS_MAX}", input.tenants));
    add(input.vectors > VECTORS_MAX, format!("{} vectors are more than {VECTORS_MAX}", input.vectors));
    add(
        input.p95_ms > P95_MS_MAX,
        format!("p95 latency of {:.0} ms is above {P95_MS_MAX:.0} ms", input.p95_ms),
    );
    add(
        input.namespaces > NAMESPACES_MAX,
        format!("{} namespaces in one index are more than {NAMESPACES_MAX}", input.namespaces),
    );
    let mut against = Vec::new();
    if let Some(share) = input.top_10_share.filter(|share| *share > TOP_10_SHARE_MAX && input.tenants > 10) {
        against.push(format!(
            "the ten largest tenants hold {:.0} % of the vectors (above {:.0} %): give those a shard of their own \
             instead of spreading everybody",
            share * 100.0,
            TOP_10_SHARE_MAX * 100.0
        ));
    }
    if let Some(share) = input.cross_tenant_share.filter(|share| *share > CROSS_TENANT_SHARE_MAX) {
        against.push(format!(
            "{:.0} % of the queries cross tenants (above {:.0} %): each of them waits for the slowest shard",
            share * 100.0,
            CROSS_TENANT_SHARE_MAX * 100.0
        ));
    }
    let should_shard = !reasons.is_empty() && against.is_empty();
    Advice { should_shard, summary: summarise(should_shard, &reasons, &against), reasons, against }
}

fn summarise(should_shard: bool, reasons: &[String], against: &[String]) -> String {
    match (should_shard, reasons.is_empty(), against.is_empty()) {
        (true, ..) => "shard: the limits of a single index are passed and nothing speaks against it".into(),
        (false, true, _) => {
            "do not shard: one index carries this load, and every shard adds latency to queries that cross tenants".into()
        }
        (false, false, false) => {
            "do not shard yet: limits are passed, but sharding alone would not help; see what speaks against it".into()
        }
        (false, false, true) => unreachable!("reasons without objections mean sharding"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_passed_only_above_its_value() {
        let at_limits = AdviceInput {
            tenants: 80,
            vectors: 1_000_000,
            p95_ms: 500.0,
            namespaces: 80,
            ..Default::default()
        };
        let advice = advise(&at_limits);
        assert!(!advice.should_shard && advice.reasons.is_empty());
        for above in [
            AdviceInput { tenants: 81, ..at_limits },
            AdviceInput { vectors: 1_000_001, ..at_limits },
            AdviceInput { p95_ms: 500.1, ..at_limits },
            AdviceInput { namespaces: 81, ..at_limits },
        ] {
            let advice = advise(&above);
            assert!(advice.should_shard && advice.reasons.len() == 1, "{above:?}");
        }
    }

    #[test]
    fn giants_and_cross_tenant_queries_speak_against_it() {
        let large = AdviceInput { tenants: 500, vectors: 5_000_000, ..Default::default() };
        let giants = advise(&AdviceInput { top_10_share: Some(0.71), ..large });
        assert!(!giants.should_shard && giants.against[0].contains("71 %"), "{giants:?}");
        let crossing = advise(&AdviceInput { cross_tenant_share: Some(0.21), ..large });
        assert!(!crossing.should_shard && crossing.against[0].contains("21 %"));
        let neither =
            advise(&AdviceInput { top_10_share: Some(0.7), cross_tenant_share: Some(0.2), ..large });
        assert!(neither.should_shard);
    }
}
