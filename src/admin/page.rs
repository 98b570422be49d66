//! The page that a person reads: the facts of `/status`, in one document without script, image or foreign address.

use std::fmt::Write;

use super::status::Status;

/// What the page may load: nothing but its own style.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page. Whatever is put in is escaped.
pub(super) fn page(status: &Status) -> String {
    let mut out = String::from(HEAD);
    let facts = &status.facts;
    let state = match (status.draining, status.ready) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "not ready",
    };
    let message = status.message.clone().unwrap_or_default();
    let budget =
        format!("{} of {} bytes", facts.memory_budget.used_bytes, facts.memory_budget.bytes);
    table(
        &mut out,
        &[
            ["State", state],
            ["Message", &message],
            ["Version", status.version],
            ["Uptime", &format!("{} s", status.uptime_seconds)],
            ["Connections", &facts.connections.to_string()],
            ["Schemas in the cache", &facts.schemas_in_cache.to_string()],
            ["Registries left in peace", &facts.registry_circuits_open.to_string()],
            ["Sequence gaps open", &facts.sequence_gaps_open.to_string()],
            ["Memory budget in use", &budget],
        ],
    );
    brokers(&mut out, status);
    heading(&mut out, "Rules in force");
    let rules = serde_json::to_string_pretty(&facts.rules).unwrap_or_default();
    let _ = write!(out, "<pre>{}</pre>", escaped(&rules));
    out.push_str("<p><a href=\"/metrics\">metrics</a> <a href=\"/status\">status as JSON</a></p></body></html>\n");
    out
}

fn brokers(out: &mut String, status: &Status) {
    heading(out, "Brokers");
    let mut rows = vec![["Node".to_owned(), "Address".to_owned(), "Clients are told".to_owned()]];
    for broker in &status.facts.brokers {
        let node = broker.node_id.to_string();
        rows.push([node, broker.address.clone(), broker.advertised.clone()]);
    }
    for node in &status.facts.nodes_outside_map {
        rows.push([
            node.to_string(),
            String::new(),
            "nothing: outside listen.broker_ports".to_owned(),
        ]);
    }
    table(out, &rows);
}

fn heading(out: &mut String, text: &str) {
    let _ = write!(out, "<h2>{}</h2>", escaped(text));
}

fn table<const N: usize>(out: &mut String, rows: &[[impl AsRef<str>; N]]) {
    out.push_str("<table>");
    for row in rows {
        out.push_str("<tr>");
        for cell in row {
            let _ = write!(out, "<td>{}</td>", escaped(cell.as_ref()));
        }
        out.push_str("</tr>");
    }
    out.push_str("</table>\n");
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>schemaward</title><style>\
body{font:15px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}\
td{padding:.1rem 1.5rem .1rem 0;vertical-align:top}pre{overflow-x:auto}\
</style></head><body><h1>schemaward</h1>\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{BrokerFact, StatusFacts};

    #[test]
    fn whatever_is_put_in_is_escaped() {
        let canary = "<script>\"'&";
        let status = Status {
            version: "0",
            uptime_seconds: 5,
            ready: false,
            draining: false,
            message: Some(canary.into()),
            facts: StatusFacts {
                brokers: vec![BrokerFact {
                    node_id: 1,
                    address: canary.into(),
                    advertised: canary.into(),
                }],
                rules: serde_json::json!([{ "topics": [canary] }]),
                nodes_outside_map: vec![77],
                ..StatusFacts::default()
            },
        };
        let page = page(&status);
        assert!(!page.contains("<script"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;").count(), 4);
        assert!(page.contains("not ready") && page.contains(">77<"));
    }
}
