//! A machine on which nothing is configured, a user who knows the realm's name, the proxy's URL and its authority, and who does
//! nothing but what the hints say.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use loopkdc::relay::finding::{Finding, Hint, Severity};

use crate::scene::{Diagnosis, REALM, Scene, alone};
use crate::support::netns::{NAME_SERVER, isolated};
use crate::support::process::Process;
use crate::support::proxy::{KdcProxy, Maker, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm};

/// Where the example of a hint has somebody else's.
const EXAMPLE: &str = "https://kdcproxy.example.com/KdcProxy";
/// More hints than are needed, and fewer than a user's patience.
const MOST: usize = 10;

/// What the user knows, and what was started so far.
pub(crate) struct Newcomer<'a> {
    pub(crate) scene: Scene,
    proxy: &'a KdcProxy,
    daemon: Option<Process>,
    /// What each hint was about.
    followed: Vec<String>,
}

fn leads_to_a_ticket(maker: Maker) {
    let dir = tempfile::tempdir().unwrap();
    let realm = Realm::start(dir.path(), REALM, 88, Preauth::Spake);
    let proxy = KdcProxy::of(maker, dir.path(), 8443, &[Route::to(&realm)]);
    as_installed(dir.path());
    let mut newcomer = Newcomer::new(&proxy);
    newcomer.does_as_told();
    logs_in(&newcomer.scene);
    let followed = newcomer.followed.join(" ");
    assert_eq!(
        followed, "configuration krb5conf daemon tls daemon",
        "the hints that were followed"
    );
}

#[test]
fn hints_alone_lead_to_a_ticket_by_a_gateway() {
    isolated(|| alone(|| leads_to_a_ticket(Maker::Ours)));
}

#[test]
fn hints_alone_lead_to_a_ticket_by_kdcproxy() {
    isolated(|| alone(|| leads_to_a_ticket(Maker::Kdcproxy)));
}

/// An /etc of this test's own, in which nobody has configured Kerberos.
pub(crate) fn as_installed(dir: &Path) {
    overlay(dir, "/etc");
    fs::write("/etc/resolv.conf", format!("nameserver {NAME_SERVER}\n")).unwrap();
    let _ = fs::remove_file("/etc/krb5.conf");
    let _ = fs::remove_dir_all("/etc/krb5.conf.d");
    let _ = fs::remove_dir_all("/etc/loopkdc");
}

/// What is written below `folder` from now on is gone with the test, whose mount namespace is its own.
pub(crate) fn overlay(dir: &Path, folder: &str) {
    let tmpfs = dir.join(folder.replace('/', "-"));
    fs::create_dir(&tmpfs).unwrap();
    run("mount", &["-t", "tmpfs", "tmpfs", tmpfs.to_str().unwrap()]);
    for name in ["upper", "work"] {
        fs::create_dir(tmpfs.join(name)).unwrap();
    }
    let over = tmpfs.display();
    let options = format!("lowerdir={folder},upperdir={over}/upper,workdir={over}/work");
    run(
        "mount",
        &["-t", "overlay", "overlay", "-o", &options, folder],
    );
}

fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status().unwrap();
    assert!(status.success(), "{program} {args:?}");
}

impl<'a> Newcomer<'a> {
    pub(crate) fn new(proxy: &'a KdcProxy) -> Self {
        let mut scene = Scene::bare();
        scene.reads_etc = true;
        Self {
            scene,
            proxy,
            daemon: None,
            followed: Vec::new(),
        }
    }

    /// Has a shell do this to the machine.
    pub(crate) fn shell(&self, how: &str) {
        let mut shell = Command::new("sh");
        self.scene.surround(&mut shell);
        let status = shell.args(["-ec", how]).status();
        assert!(status.unwrap().success(), "{how}");
    }

    /// The daemon ends.
    pub(crate) fn stops(&mut self) {
        self.daemon = None;
    }

    /// Asks the doctor and does what it says, until there is no fault.
    pub(crate) fn does_as_told(&mut self) {
        for _ in 0..MOST {
            let found = self.scene.doctor(&[REALM.to_owned()]);
            let Some(fault) = first_fault(&found) else {
                return;
            };
            self.follows(&fault.hints, fault);
            let layer = serde_json::to_value(fault.subject.layer).unwrap();
            self.followed.push(layer.as_str().unwrap().to_owned());
        }
        panic!("still ill after {:?}: {}", self.followed, self.scene.text());
    }

    /// Does the first thing that these hints of `finding` say and that can be done.
    pub(crate) fn follows(&mut self, hints: &[Hint], finding: &Finding) {
        // The file in which what follows is to be written.
        let mut file = None;
        for hint in hints {
            match hint {
                Hint::Text(words) => {
                    let (words, lines) = words.split_once('\n').unwrap_or((words, ""));
                    if let Some((_, into)) = words.split_once("write into ") {
                        let file = into.split([' ', ':']).next().unwrap();
                        return self.writes(file, &lines.replace(EXAMPLE, &self.proxy.url()));
                    }
                    if words.ends_with("write in the place of that line") {
                        let place = finding.subject.file.as_ref().unwrap();
                        let (line, lines) = (place.line.unwrap(), lines.trim());
                        return self.shell(&format!("sed -i '{line}c {lines}' {}", place.path));
                    }
                    file = words.rsplit_once("] of ").map(|(_, file)| file).or(file);
                }
                Hint::Key(key) if key.starts_with("ca-file = ") => {
                    let ca_file = self.proxy.ca_file.display().to_string();
                    return self.writes(file.expect("a file"), &format!("ca-file = {ca_file:?}"));
                }
                Hint::Command(words) => return self.types(words),
                Hint::Key(key) => panic!("what is to be set? {key:?}"),
            }
        }
        panic!("what is to be done? {hints:?}");
    }

    fn types(&mut self, words: &[String]) {
        let typed = Hint::command(words).to_string();
        if ["loopkdc run", "systemctl enable --now loopkdc"].contains(&&*typed) {
            return self.starts();
        }
        self.shell(&typed);
        if typed.starts_with("kill -HUP ") {
            let daemon = self.daemon.as_ref().expect("it runs");
            daemon.wait_for("configuration read again");
        }
    }

    fn writes(&self, file: &str, lines: &str) {
        fs::create_dir_all(Path::new(file).parent().unwrap()).unwrap();
        let file = OpenOptions::new().create(true).append(true).open(file);
        writeln!(file.unwrap(), "{lines}").unwrap();
    }

    /// Without a service manager, and as one would.
    fn starts(&mut self) {
        let mut command = self.scene.command();
        command
            .arg("run")
            .env("STATE_DIRECTORY", self.scene.path("state"))
            .env("RUNTIME_DIRECTORY", self.scene.path("run/loopkdc"));
        self.daemon = Some(Process::start("loopkdc run", &mut command, "ready"));
    }
}

/// Types what all this is for.
pub(crate) fn logs_in(scene: &Scene) {
    let mut command = Command::new("timeout");
    command
        .args(["30", "kinit", &format!("user@{REALM}")])
        .env_remove("KRB5_CONFIG")
        .env("KRB5CCNAME", scene.path("ccache"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    writeln!(keyboard, "{PASSWORD}").unwrap();
    drop(keyboard);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let cried = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{cried}");
}

/// The fault that decides the exit status.
fn first_fault(found: &Diagnosis) -> Option<&Finding> {
    let faults = found.findings.iter();
    let faults = faults.filter(|finding| finding.severity == Severity::Fault);
    let first = faults.min_by_key(|finding| finding.subject.layer);
    assert_eq!(first.is_none(), found.code == 0);
    first
}
