//! Operations over REST.

use super::operations::Operation;
use crate::server::Server;
use serde_json::Value;

pub(super) fn over_rest(server: &Server, host: &str, operation: &Operation) -> Value {
    let body = &operation.body;
    let namespace = body["namespace"].as_str().unwrap_or_default();
    let get =
        |path: String| server.agent().get(format!("{host}/vectors/{path}&namespace={namespace}")).call();
    let post = |path: String| {
        let request =
            server.agent().post(format!("{host}/{path}")).header("content-type", "application/json");
        request.send(body.to_string())
    };
    let answer = match operation.name {
        "fetch" => {
            let ids = body["ids"].as_array().unwrap().iter();
            get(format!(
                "fetch?{}",
                ids.map(|id| format!("ids={}", escaped(id))).collect::<Vec<_>>().join("&")
            ))
        }
        "list" => get(format!("list?prefix={}&limit={}", escaped(&body["prefix"]), body["limit"])),
        "query" => post("query".into()),
        "stats" => post("describe_index_stats".into()),
        name => post(format!("vectors/{name}")),
    };
    let mut answer = answer.unwrap();
    let mut body: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    let fields = body.as_object_mut().unwrap();
    for gone in ["results", "details", "usage"] {
        fields.remove(gone);
    }
    body
}

fn escaped(value: &Value) -> String {
    value.as_str().unwrap().bytes().map(|byte| format!("%{byte:02x}")).collect()
}
