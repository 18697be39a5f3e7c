//! Right logins while either end is attacked: tests/bench/abuse for seconds. How long they take is not judged here.

use std::process::Command;

/// None of the logins fails, and both ends keep within their memory, through each of these attacks for some two seconds.
fn is_endured(end: &str, attacks: &str, minutes: &str) {
    let dir = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/lib/abuse.py");
    let mut command = Command::new("unshare");
    // As tests/bench/abuse does; it reads /proc, and so has one of its own.
    command.args([
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]);
    command.args(["/usr/bin/python3", "-B", script]);
    command.args(["--loopkdc", env!("CARGO_BIN_EXE_loopkdc")]);
    command.arg("--work").arg(dir.path());
    command.args(["--end", end, "--minutes", minutes, "--within", "30"]);
    command.args(attacks.split(' ').flat_map(|name| ["--attack", name]));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let cried = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{cried}");
    eprint!("{said}");
}

#[test]
fn logins_succeed_while_a_gateway_is_attacked() {
    let attacks = "untaken bodies uploads kept dropped passwords names hellos silent logins";
    is_endured("gateway", attacks, "0.5");
}

#[test]
fn logins_succeed_while_a_laptop_is_attacked_by_one_of_its_users() {
    let attacks = "dropped requests passwords connections long replies";
    is_endured("laptop", attacks, "0.2");
}
