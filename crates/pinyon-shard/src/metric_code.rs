//! The numbers under which files keep a metric.

use pinyon_types::Metric;

/// The number under which the manifest keeps a metric; never changed, only added to.
pub(crate) const fn metric_code(metric: Metric) -> u8 {
    match metric {
        Metric::Cosine => 1,
        Metric::DotProduct => 2,
        Metric::Euclidean => 3,
    }
}

pub(crate) fn metric_of(code: u8) -> Option<Metric> {
    let known = [Metric::Cosine, Metric::DotProduct, Metric::Euclidean];
    known.into_iter().find(|metric| metric_code(*metric) == code)
}
