//! `pinyon advise`.

use crate::{
    access::Access,
    arguments::Advise,
    exit::{Outcome, Usage},
    output,
};
use pinyon_core::AdviceInput;
use pinyon_server::convert::reports;
use pinyon_wire::admin::{AdviceRequest, AdviceResponse};

/// Says whether to shard. Given numbers are enough; without any the system is asked for its own.
///
/// # Errors
/// What the engine says.
pub fn run(command: &Advise) -> anyhow::Result<Outcome> {
    let request = AdviceRequest {
        tenants: command.tenants,
        vectors: command.vectors,
        p95_ms: command.p95_ms,
        namespaces: command.namespaces,
        top_10_share: command.top_10_share,
        cross_tenant_share: command.cross_tenant_share,
    };
    let response = if request == AdviceRequest::default() {
        let access = Access::to(&command.target)?;
        let response = access.advise(request)?;
        access.close()?;
        response
    } else {
        reports::check_advice(&request).map_err(|error| Usage(error.body.error.message))?;
        let input = reports::given_numbers(request).filled(AdviceInput::default());
        reports::advice((input, pinyon_core::advise(&input)))
    };
    if command.target.json {
        output::json(&response)?;
    } else {
        print(&response);
    }
    Ok(Outcome::Good)
}

/// Prints advice for people.
pub fn print(response: &AdviceResponse) {
    println!("{}", response.summary);
    response.reasons.iter().for_each(|reason| println!("  for: {reason}"));
    response.against.iter().for_each(|objection| println!("  against: {objection}"));
    response.alerts.iter().for_each(|alert| println!("  alert: {alert}"));
}
