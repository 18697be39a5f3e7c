//! The container file.

use std::process::Command;

use crate::{run, text};

/// It builds what there is to build and starts a command that there is.
#[test]
fn its_paths_and_arguments_exist() {
    let text = text("container/Containerfile");
    let word = |line: &str| text.lines().any(|other| other == line);
    assert!(text.contains("cargo build --release --locked --target"));
    assert!(word("COPY --from=build /loopkdc /usr/bin/loopkdc"));
    // What it is made from can't change: nothing, or what a digest says.
    let bases = text.lines().filter_map(|line| line.strip_prefix("FROM "));
    let is_fixed = |base: &str| base == "scratch" || base.contains("@sha256:");
    assert_eq!(bases.filter(|base| is_fixed(base)).count(), 2);
    assert_eq!(text.matches("FROM ").count(), 2);
    assert!(word("ENTRYPOINT [\"/usr/bin/loopkdc\"]"));
    assert!(word(
        "CMD [\"gateway\", \"--config\", \"/etc/loopkdc/gateway.toml\"]"
    ));
    let health = "CMD [\"/usr/bin/loopkdc\", \"status\", \"--gateway\"]";
    assert!(text.contains(health), "{text}");
    let help = run(Command::new(env!("CARGO_BIN_EXE_loopkdc")).args(["status", "--help"]));
    assert!(help.contains("--gateway"), "{help}");
    let help = run(Command::new(env!("CARGO_BIN_EXE_loopkdc")).args(["gateway", "--help"]));
    assert!(help.contains("--config <FILE>"), "{help}");
}
