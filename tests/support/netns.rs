//! A network of one's own: ports 88 and 464 are free in it, and nothing on the host is touched.
//!
//! A test that needs one runs itself again as the first process of fresh network, mount and
//! process namespaces. Sockets made by the test, by the program and by the clients then share one
//! loopback without anybody having to enter it, and whatever a test leaves behind ends with it.

use std::any::type_name;
use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Set in the environment of the second run, to the test's name.
const INSIDE: &str = "LOOPKDC_TEST_INSIDE";

/// The only name server known inside. Nobody listens there unless a test does.
pub(crate) const NAME_SERVER: &str = "127.0.0.53";

/// Runs `body` alone in its own namespaces, with 127.0.0.0/8 and `::1` up.
///
/// To be called from a `#[test]` function with a closure: the closure's type tells the name of the
/// test that is to be run again.
pub(crate) fn isolated<F: FnOnce()>(body: F) {
    isolated_as(&test_name::<F>(), body);
}

/// The same for a test of this name.
pub(crate) fn isolated_as(name: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        furnish();
        return body();
    }
    let output = unshare()
        .arg(env::current_exe().unwrap())
        .args(["--exact", name, "--include-ignored", "--nocapture"])
        .env(INSIDE, name)
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .output()
        .expect("unshare (package util-linux) starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let cried = String::from_utf8_lossy(&output.stderr);
    // A name that matches no test would pass without having run anything.
    let ran = output.status.success() && said.contains("1 passed");
    assert!(ran, "in its own network: {}\n{said}{cried}", output.status);
    // What a passing test has to tell, such as what it measured.
    eprint!("{cried}");
}

/// The name of the test that `F` is a closure of: `crate::module::test::{{closure}}` without its first and last part.
pub(crate) fn test_name<F>() -> String {
    let full = type_name::<F>().trim_end_matches("::{{closure}}");
    let (_, name) = full.split_once("::").expect("a closure inside a test");
    name.to_owned()
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    // In a process namespace the kernel ends everything with its first process, and
    // --kill-child ends that one with this one.
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child"]);
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg("--");
    command
}

fn furnish() {
    run("ip", &["link", "set", "lo", "up"]);
    let file = env::temp_dir().join("loopkdc-test-resolv.conf");
    let text = format!("nameserver {NAME_SERVER}\n");
    // Tests share this file: it is written once, whole, and never differs.
    if fs::read_to_string(&file).ok().as_deref() != Some(text.as_str()) {
        let own = file.with_extension(std::process::id().to_string());
        fs::write(&own, &text).unwrap();
        fs::rename(&own, &file).unwrap();
    }
    bind_over(&file, Path::new("/etc/resolv.conf"));
    // Where libkrb5 remembers what acceptors have seen.
    run("mount", &["-t", "tmpfs", "tmpfs", "/var/tmp"]);
}

/// The name of the test that runs here.
pub(crate) fn name() -> String {
    env::var(INSIDE).expect("inside")
}

/// Puts `file` in the place of `target`, in this mount namespace only.
pub(crate) fn bind_over(file: &Path, target: &Path) {
    let (file, target) = (file.to_str().unwrap(), target.to_str().unwrap());
    run("mount", &["--bind", file, target]);
}

fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status();
    let status = status.unwrap_or_else(|e| panic!("{program}: {e}; tests/run installs it"));
    assert!(status.success(), "{program} {args:?}: {status}");
}
