//! The container file.

use std::process::Command;

use crate::{run, text};

/// It builds what there is to build and starts a command that there is.
#[test]
fn its_paths_and_arguments_exist() {
    let text = text("container/Containerfile");
    let word = |line: &str| text.lines().any(|other| other == line);
    assert!(word("RUN cargo build --release --locked"));
    assert!(word(
        "COPY --from=build /src/target/release/loopkdc /usr/bin/loopkdc"
    ));
    assert!(word("ENTRYPOINT [\"/usr/bin/loopkdc\"]"));
    assert!(word(
        "CMD [\"gateway\", \"--config\", \"/etc/loopkdc/gateway.toml\"]"
    ));
    let help = run(Command::new(env!("CARGO_BIN_EXE_loopkdc")).args(["gateway", "--help"]));
    assert!(help.contains("--config <FILE>"), "{help}");
}
