//! Which lines are written: directives as in `RUST_LOG`.

use tracing_subscriber::filter::{Directive, EnvFilter};

/// The name of all parts of mito 0.6 in directives.
const LEGACY_PREFIX: &str = "netmito";
/// Parts that had a module of the same name there.
const PARTS: [&str; 3] = ["client", "coordinator", "worker"];

/// A filter of comma-separated directives, and the invalid ones, which have no effect.
pub(super) fn filter(directives: &str) -> (EnvFilter, Vec<String>) {
    let all = directives.split(',').map(str::trim).filter(|directive| !directive.is_empty()).map(translated);
    let (good, bad): (Vec<_>, Vec<_>) = all.partition(|directive| directive.parse::<Directive>().is_ok());
    (EnvFilter::new(good.join(",")), bad)
}

/// A directive for a part of mito 0.6 means the part of today.
fn translated(directive: &str) -> String {
    let Some(rest) = directive.strip_prefix(LEGACY_PREFIX) else { return directive.to_owned() };
    let end = rest.find(['=', '[']).unwrap_or(rest.len());
    let (path, level) = rest.split_at(end);
    let current = match path.strip_prefix("::").map(|path| path.split("::").next().unwrap_or_default()) {
        Some(part) if PARTS.contains(&part) => format!("mitosis_{part}"),
        // Also the start of the names of all others.
        Some(_) => "mito".to_owned(),
        None if path.is_empty() => "mito".to_owned(),
        None => return directive.to_owned(),
    };
    format!("{current}{level}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_directive_of_mito_06_is_translated() {
        for (directive, today) in [
            ("netmito=debug", "mito=debug"),
            ("netmito", "mito"),
            ("netmito::worker::heartbeat=trace", "mitosis_worker=trace"),
            ("netmito::entity=warn", "mito=warn"),
            ("netmito[task]=debug", "mito[task]=debug"),
            ("netmitosis=debug", "netmitosis=debug"),
            ("info", "info"),
        ] {
            assert_eq!(translated(directive), today, "{directive}");
        }
    }

    #[test]
    fn invalid_log_directive_is_ignored_and_reported() {
        let (kept, bad) = filter("netmito=loud, warn,mito=debug,");
        assert_eq!(bad, ["mito=loud"]);
        let kept = kept.to_string();
        assert!(kept.contains("warn") && kept.contains("mito=debug"), "{kept}");
    }
}
