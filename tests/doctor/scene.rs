//! A configuration, a daemon that goes by it, and what the doctor says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use loopkdc::relay::finding::{Finding, Layer};
use loopkdc::wire::{Service, krb_error};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::block_in_place;

use crate::support::hints;
use crate::support::process::Process;
use crate::upstream::{Act, Plan, Upstream};
use crate::{certificates, table};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_loopkdc");
/// The realm of all scenes.
pub const REALM: &str = "EXAMPLE.COM";
/// KDC_ERR_C_PRINCIPAL_UNKNOWN (RFC 4120 7.5.9): what a KDC that is well says of nobody.
pub const UNKNOWN: i32 = 6;

/// A machine's part of it.
pub struct Scene {
    dir: TempDir,
    daemon: Option<Process>,
    /// Whether krb5.conf is the machine's own.
    pub reads_etc: bool,
    /// What stands in the table for what differs from run to run.
    pub usual: Vec<(String, String)>,
}

/// What the doctor said.
#[derive(Debug)]
pub struct Diagnosis {
    pub code: i32,
    pub findings: Vec<Finding>,
    pub took: Duration,
    pub usual: Vec<(String, String)>,
}

/// A proxy whose KDC answers nobody with this error, and whose clock goes `behind` ours by so many seconds.
pub fn answering(code: i32, behind: i64) -> Plan {
    Plan::new(move |_| Act::Reply(error(code, behind)))
}

/// A KRB-ERROR of a KDC whose clock goes `behind` ours by so many seconds.
pub fn error(code: i32, behind: i64) -> Vec<u8> {
    let apart = Duration::from_secs(behind.unsigned_abs());
    let now = if behind < 0 {
        SystemTime::now() + apart
    } else {
        SystemTime::now() - apart
    };
    krb_error::encode(code, None, Service::Kdc, None, now)
}

/// Runs `body` where no other daemon's status can be read, and no process beside its own is seen. It is to be called inside
/// `isolated`.
pub fn alone(body: impl FnOnce()) {
    for (kind, folder) in [("tmpfs", "/run"), ("proc", "/proc")] {
        let mounted = Command::new("mount")
            .args(["-t", kind, kind, folder])
            .status();
        assert!(mounted.unwrap().success());
    }
    body();
}

impl Scene {
    /// A machine on which nothing is configured.
    pub fn bare() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("run/loopkdc")).unwrap();
        let file = dir.path().join("config.toml").display().to_string();
        let krb5_conf = dir.path().join("krb5.conf").display().to_string();
        let usual = vec![
            (krb5_conf, "/etc/krb5.conf".to_owned()),
            // Where there is systemd.
            (
                "start it: loopkdc run".to_owned(),
                "start it: systemctl enable --now loopkdc".to_owned(),
            ),
            // What is the usual file is not named.
            (format!(" --config {file}"), String::new()),
            (file, "/etc/loopkdc/config.toml".to_owned()),
            (
                format!("{}/", dir.path().display()),
                "/etc/loopkdc/".to_owned(),
            ),
        ];
        Self {
            dir,
            daemon: None,
            reads_etc: false,
            usual,
        }
    }

    /// A machine with this configuration.
    pub fn configured(text: &str) -> Self {
        let scene = Self::bare();
        fs::write(scene.config(), text).unwrap();
        scene.point();
        scene
    }

    /// A machine whose realm has these proxies and these lines, with Unix sockets to listen on.
    pub fn with(urls: &[String], lines: &str) -> Self {
        let scene = Self::bare();
        fs::write(scene.path("ca.pem"), certificates::trusted()).unwrap();
        let socket = scene.path("kdc.sock");
        let text = format!(
            "[listen]\nkdc = [\"unix:{}\"]\nkpasswd = []\n[realms.\"{REALM}\"]\nproxies = {urls:?}\nca-file = \"ca.pem\"\ndeadline-seconds = 2\n{lines}\n",
            socket.display()
        );
        fs::write(scene.config(), text).unwrap();
        scene.point();
        scene
    }

    /// A machine that goes by `upstream`, and a daemon on it.
    pub fn by(upstream: &Upstream) -> Self {
        Self::by_with(upstream, "")
    }

    /// The same with these lines for the realm.
    pub fn by_with(upstream: &Upstream, lines: &str) -> Self {
        Self::with(&[upstream.url()], lines)
            .calling(upstream)
            .with_daemon()
    }

    /// Has the table call `upstream` by a name that is the same each time.
    pub fn calling(mut self, upstream: &Upstream) -> Self {
        let address = upstream.address();
        self.usual.extend([
            (
                format!("https://{address}"),
                "https://kdcproxy.example.com".to_owned(),
            ),
            (address.to_string(), "192.0.2.7:443".to_owned()),
        ]);
        self
    }

    /// Starts a daemon that goes by the configuration.
    pub fn with_daemon(self) -> Self {
        let config = self.config().display().to_string();
        self.with_daemon_by(&["--config", &config])
    }

    /// Starts a daemon with these words.
    pub fn with_daemon_by(mut self, words: &[&str]) -> Self {
        let mut command = self.command();
        command.arg("run").args(words);
        // Where the doctor looks for its socket.
        command.env("RUNTIME_DIRECTORY", self.path("run/loopkdc"));
        command.env("STATE_DIRECTORY", self.path("state"));
        self.daemon = Some(Process::start("loopkdc run", &mut command, "ready"));
        self
    }

    /// It runs.
    pub fn daemon(&self) -> &Process {
        self.daemon.as_ref().expect("a daemon")
    }

    /// It ends, and what it listened on is gone.
    pub fn stop_daemon(&mut self) {
        self.daemon = None;
        for socket in ["run/loopkdc/status.sock", "kdc.sock"] {
            let _ = fs::remove_file(self.path(socket));
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("config.toml")
    }

    /// The program, with nothing of the caller's own.
    pub fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        self.surround(&mut command);
        command
    }

    /// Has a command see this machine, and find the program by its name.
    pub fn surround(&self, command: &mut Command) {
        for name in ["XDG_CONFIG_HOME", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name);
        }
        command
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .env("XDG_RUNTIME_DIR", self.path("run"));
        if self.reads_etc {
            command.env_remove("KRB5_CONFIG")
        } else {
            command.env("KRB5_CONFIG", self.path("krb5.conf"))
        };
        let path = std::env::var("PATH").unwrap_or_default();
        let own = Path::new(PROGRAM).parent().unwrap().display();
        command.env("PATH", format!("{own}:{path}"));
    }

    /// The same, once this stands in its configuration in the place of that.
    pub fn with_instead(self, that: &str, this: &str) -> Self {
        let text = fs::read_to_string(self.config()).unwrap();
        assert!(text.contains(that), "{text}");
        fs::write(self.config(), text.replace(that, this)).unwrap();
        self.point();
        self
    }

    /// Has krb5.conf send the configuration's realms to where the daemon listens.
    fn point(&self) {
        for form in [&[][..], &["--unix"]] {
            let mut command = self.command();
            command
                .arg("krb5-conf")
                .args(form)
                .arg("--config")
                .arg(self.config());
            let output = command.output().unwrap();
            if output.status.success() {
                fs::write(self.path("krb5.conf"), output.stdout).unwrap();
                return;
            }
        }
        // The configuration is what is wrong.
        fs::write(self.path("krb5.conf"), "").unwrap();
    }

    /// Has krb5.conf say this.
    pub fn with_krb5_conf(self, text: &str) -> Self {
        fs::write(self.path("krb5.conf"), text).unwrap();
        self
    }

    /// What of `text` differs from run to run, by its usual name.
    pub fn usual(&self, text: &str) -> String {
        let usual = self.usual.iter();
        usual.fold(text.to_owned(), |text, (one, usual)| {
            text.replace(one, usual)
        })
    }

    /// What the doctor says of the realm, from within a runtime.
    pub fn diagnose(&self) -> Diagnosis {
        block_in_place(|| self.doctor_here(&[]))
    }

    /// What it says when it is asked about these realms.
    pub fn doctor_here(&self, realms: &[&str]) -> Diagnosis {
        self.ask(self.command(), realms)
    }

    /// What it says to who is nobody in particular.
    pub fn doctor_as_nobody(&self) -> Diagnosis {
        self.ask(self.command_of_nobody(), &[])
    }

    /// A daemon that nobody in particular has started.
    pub fn daemon_of_nobody(&self) -> Process {
        let mut command = self.command_of_nobody();
        command.arg("run").arg("--config").arg(self.config());
        Process::start("loopkdc run", &mut command, "ready")
    }

    fn command_of_nobody(&self) -> Command {
        let mut command = Command::new("setpriv");
        // The program's own folders may be root's alone.
        let program = self.path("loopkdc");
        if !program.exists() {
            fs::copy(PROGRAM, &program).unwrap();
        }
        command
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(program)
            .env("KRB5_CONFIG", self.path("krb5.conf"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .current_dir("/");
        command
    }

    fn ask(&self, mut command: Command, realms: &[&str]) -> Diagnosis {
        let config = self.config();
        command.args(["doctor", "--json"]).args(realms);
        command.arg("--config").arg(config);
        self.report(command)
    }

    /// What it says when it is asked in this way.
    pub fn doctor(&self, args: &[String]) -> Diagnosis {
        let mut command = self.command();
        command.args(["doctor", "--json"]).args(args);
        self.report(command)
    }

    /// What it says to this command of it.
    pub fn report(&self, command: Command) -> Diagnosis {
        Diagnosis {
            usual: self.usual.clone(),
            ..Diagnosis::of(command)
        }
    }

    /// What it says on a terminal, but for the colours.
    pub fn text(&self) -> String {
        let output = self
            .command()
            .arg("doctor")
            .arg("--config")
            .arg(self.config())
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }
}

impl Diagnosis {
    /// What this command of the doctor's says.
    pub fn of(mut command: Command) -> Self {
        let began = Instant::now();
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let cried = String::from_utf8_lossy(&output.stderr);
        let report: Value =
            serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}{cried}"));
        assert_eq!(report["schema"], 2);
        assert_eq!(cried, "");
        Self {
            code: output.status.code().expect("an exit status"),
            findings: serde_json::from_value(report["findings"].clone()).unwrap(),
            took: began.elapsed(),
            usual: Vec::new(),
        }
    }

    /// The findings on this layer that are as bad as that, in the words of the JSON.
    pub fn all(&self, layer: &str, severity: &str) -> impl Iterator<Item = &Finding> + use<'_> {
        let (layer, severity) = (layer.to_owned(), severity.to_owned());
        self.findings.iter().filter(move |finding| {
            json(finding.subject.layer) == *layer && json(finding.severity) == *severity
        })
    }

    /// The one in which `words` stand.
    #[track_caller]
    pub fn finding(&self, layer: &str, severity: &str, words: &str) -> &Finding {
        let mut findings = self.all(layer, severity);
        let found = findings.find(|finding| said(finding).contains(words));
        found.unwrap_or_else(|| panic!("no {severity} of {layer} with {words:?} in {self:#?}"))
    }

    /// The realm's way is well, as far as this layer says.
    #[track_caller]
    pub fn is_well(&self, layer: &str, words: &str) {
        self.finding(layer, "ok", words);
    }

    /// `layer` is the first with a fault, by this finding, and its hint, in which `advice` stands, can be followed.
    #[track_caller]
    pub fn is_at_fault(&self, layer: Layer, words: &str, advice: &str) {
        self.says(layer, "fault", words, advice);
        assert_eq!(self.code, i32::from(layer.exit_code()), "{self:#?}");
    }

    /// `layer` is not well, by this finding, and its hint can be followed. It is one for the table.
    #[track_caller]
    pub fn says(&self, layer: Layer, severity: &str, words: &str, advice: &str) {
        let finding = self.names(layer, severity, words, advice);
        table::write(finding, |text| self.usual(text));
    }

    /// The same of what stands in the table already.
    #[track_caller]
    pub fn names(&self, layer: Layer, severity: &str, words: &str, advice: &str) -> &Finding {
        let name = json(layer);
        let finding = self.finding(name.as_str().unwrap(), severity, words);
        assert!(finding.advice().contains(advice), "{finding:#?}");
        hints::assert_finding_leads_on(finding);
        finding
    }

    fn usual(&self, text: &str) -> String {
        let usual = self.usual.iter();
        usual.fold(text.to_owned(), |text, (one, usual)| {
            text.replace(one, usual)
        })
    }

    /// Nothing is wrong.
    #[track_caller]
    pub fn finds_nothing(&self) {
        assert_eq!(self.code, 0, "{self:#?}");
    }
}

fn json(value: impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// Where it is, and what it is.
pub fn said(finding: &Finding) -> String {
    match &finding.subject.file {
        Some(file) => format!("{file}: {}", finding.what),
        None => finding.what.clone(),
    }
}
