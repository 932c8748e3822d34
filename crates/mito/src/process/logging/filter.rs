//! Filters log lines with directives like those of `RUST_LOG`.

use tracing_subscriber::filter::{Directive, EnvFilter};

/// The name of all modules of mito 0.6 in directives.
const LEGACY_PREFIX: &str = "netmito";
/// Modules with the same name in 0.6.
const PARTS: [&str; 3] = ["client", "coordinator", "worker"];

/// A filter from comma-separated directives, and the invalid directives, which are ignored.
pub(super) fn filter(directives: &str) -> (EnvFilter, Vec<String>) {
    let all = directives.split(',').map(str::trim).filter(|directive| !directive.is_empty()).map(translated);
    let (good, bad): (Vec<_>, Vec<_>) = all.partition(|directive| directive.parse::<Directive>().is_ok());
    (EnvFilter::new(good.join(",")), bad)
}

/// Translates a directive for a module of mito 0.6.
fn translated(directive: &str) -> String {
    let Some(rest) = directive.strip_prefix(LEGACY_PREFIX) else { return directive.to_owned() };
    let end = rest.find(['=', '[']).unwrap_or(rest.len());
    let (path, level) = rest.split_at(end);
    let current = match path.strip_prefix("::").map(|path| path.split("::").next().unwrap_or_default()) {
        Some(part) if PARTS.contains(&part) => format!("mitosis_{part}"),
        // This is also the prefix of all other names.
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
