//! A text as the configuration of either command, as it is and with its settings put in use as the examples' heads say: no
//! panic; an error stands at a place that there is in the text, and shows that line; what is accepted means the same each
//! time, in the words of `loopkdc check`.

use std::path::Path;

use loopkdc::config::gateway::GatewayConfig;
use loopkdc::config::{Config, Sources};
use loopkdc::operate::check;
use loopkdc::relay::failure::Failure;
use loopkdc::relay::finding::Finding;

/// Relative files are looked for beside it, where there are none.
const FILE: &str = "/nonexistent/f.toml";

/// Checks what becomes of any octets.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let in_use: Vec<_> = text.lines().map(in_use).collect();
    for text in [text, &in_use.join("\n")] {
        check_means(text, |text| {
            let config = Config::parse(Path::new(FILE), text, &Sources::default())?;
            Ok((check::of_run(&config), config.warnings()))
        });
        check_means(text, |text| {
            let config = GatewayConfig::parse(Path::new(FILE), text)?;
            Ok((check::of_gateway(&config), config.warnings()))
        });
    }
}

fn in_use(line: &str) -> &str {
    match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting,
        _ => line,
    }
}

fn check_means(text: &str, parse: impl Fn(&str) -> Result<(String, Vec<Finding>), Failure>) {
    match parse(text) {
        Ok(meant) => {
            assert_eq!(parse(text).unwrap(), meant);
            // What stands behind it can't change it.
            assert_eq!(parse(&format!("{text}\n# a comment\n")).unwrap(), meant);
        }
        Err(failure) => check_place(text, &failure.finding().placed()),
    }
}

/// `file:line:column: rule`, and the line under it; or `file: rule` for what the text lacks.
fn check_place(text: &str, message: &str) {
    // No order to the terminal.
    let is_plain = |shown: char| !shown.is_control() || matches!(shown, '\n' | '\t');
    assert!(message.chars().all(is_plain), "{message:?}");
    let rest = message.strip_prefix(FILE).expect(message);
    let rest = rest.strip_prefix(':').expect(message);
    let (first, below) = rest.split_once('\n').unwrap_or((rest, ""));
    let mut parts = first.splitn(3, ':');
    let mut number = || parts.next()?.parse::<usize>().ok();
    let (Some(line), Some(column)) = (number(), number()) else {
        assert!(first.starts_with(' ') && first.len() > 1, "{message}");
        return;
    };
    let whole = text.split('\n').nth(line - 1).expect(message);
    let columns = 1..=whole.chars().count() + 1;
    assert!(columns.contains(&column), "{message}");
    // But for what may be a secret, and what would be an order to the terminal.
    let begin = format!("\n{line} | ");
    let shown = below.split_once(&begin).expect(message).1;
    let shown = shown.split('\n').next().unwrap_or_default();
    let written = text.lines().nth(line - 1).unwrap_or_default();
    assert_eq!(shown.chars().count(), written.chars().count(), "{message}");
    let is_same = |(shown, written)| shown == written || matches!(shown, '*' | '\u{fffd}');
    assert!(shown.chars().zip(written.chars()).all(is_same), "{message}");
    let rule = parts.next().expect(message);
    assert!(rule.starts_with(' ') && rule.len() > 1, "{message}");
}
