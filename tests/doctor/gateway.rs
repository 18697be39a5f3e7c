//! `loopkdc doctor --gateway`, with real KDCs, certificates of openssl's and a gateway that runs as its unit has it.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use loopkdc::relay::finding::{Hint, Layer, Severity};

use crate::newcomer::as_installed;
use crate::scene::{Diagnosis, PROGRAM, REALM, alone};
use crate::support::clock::Clock;
use crate::support::hints;
use crate::support::netns::{isolated_as, test_name};
use crate::support::process::Process;
use crate::support::realm::{Preauth, Realm};

/// In whose group the gateway runs (`packaging/systemd/loopkdc.sysusers`).
const GROUP: u32 = 990;
/// What a dynamic user may have as its number.
const USER: u32 = 61_184;
const ADDRESS: &str = "127.0.0.1:8443";

/// A machine before KDCs, with an authority that it trusts.
struct Machine {
    dir: PathBuf,
    gateway: Option<Process>,
}

impl Machine {
    fn new(dir: &Path) -> Self {
        as_installed(dir);
        // Of this test's own processes.
        succeeds(Command::new("mount").args(["-t", "proc", "proc", "/proc"]));
        let group = OpenOptions::new().append(true).open("/etc/group");
        writeln!(group.unwrap(), "loopkdc:x:{GROUP}:").unwrap();
        fs::create_dir_all("/etc/loopkdc").unwrap();
        fs::create_dir_all("/run/loopkdc-gateway").unwrap();
        chown("/run/loopkdc-gateway", Some(USER), Some(GROUP)).unwrap();
        let machine = Self {
            dir: dir.to_owned(),
            gateway: None,
        };
        machine.stands_for_systemd();
        machine.configure(&["127.0.0.88"]);
        machine
    }

    /// There is no service manager in here: what it would say of the unit is read out of the unit.
    fn stands_for_systemd(&self) {
        let unit = Path::new(env!("CARGO_MANIFEST_DIR"));
        let unit = unit.join("packaging/systemd/loopkdc-gateway.service");
        let text = format!(
            "#!/bin/sh\necho LoadState=loaded\ngrep -E '^(ExecStart|User|Group|SupplementaryGroups)=' {}\n",
            unit.display()
        );
        fs::create_dir(self.dir.join("bin")).unwrap();
        let file = self.dir.join("bin/systemctl");
        fs::write(&file, text).unwrap();
        fs::set_permissions(file, Permissions::from_mode(0o755)).unwrap();
    }

    fn configure(&self, kdcs: &[&str]) {
        let text = format!(
            "[gateway]\nlisten = [\"{ADDRESS}\"]\nmetrics-listen = \"127.0.0.1:9464\"\n\
             certificate = \"gateway.pem\"\nkey = \"gateway-key.pem\"\n\
             [realms.\"{REALM}\"]\nkdcs = {kdcs:?}\nkpasswd-servers = [\"127.0.0.88\"]\n"
        );
        fs::write("/etc/loopkdc/gateway.toml", text).unwrap();
    }

    /// A chain of three by openssl, of which the gateway gets the last two, or the last alone.
    fn certify(&self, with_intermediate: bool, clock: Option<&Clock>) {
        let script = "set -e; cd \"$0\"\n\
            new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -subj \"/CN=$2\" $3 -out $4; }\n\
            new root 'Example Root' '-x509 -days 90' root.pem\n\
            new mid 'Example Issuing CA' '' mid.csr; new leaf gateway '' leaf.csr\n\
            echo basicConstraints=critical,CA:TRUE >mid.ext; echo subjectAltName=DNS:kdcproxy.example.com >leaf.ext\n\
            openssl x509 -req -in mid.csr -CA root.pem -CAkey root.key -CAcreateserial -days 90 -extfile mid.ext -out mid.pem\n\
            openssl x509 -req -in leaf.csr -CA mid.pem -CAkey mid.key -CAcreateserial -days 30 -extfile leaf.ext -out leaf.pem\n";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(&self.dir);
        if let Some(clock) = clock {
            command.envs(clock.environment());
        }
        succeeds(&mut command);
        let read = |name: &str| fs::read_to_string(self.dir.join(name)).unwrap();
        let chain = read("leaf.pem")
            + &if with_intermediate {
                read("mid.pem")
            } else {
                String::new()
            };
        fs::write("/etc/loopkdc/gateway.pem", chain).unwrap();
        let key = Path::new("/etc/loopkdc/gateway-key.pem");
        if !key.exists() {
            fs::write(key, "").unwrap();
            fs::set_permissions(key, Permissions::from_mode(0o600)).unwrap();
        }
        fs::write(key, read("leaf.key")).unwrap();
    }

    fn doctor(&self) -> Diagnosis {
        self.doctor_of(&[])
    }

    fn doctor_of(&self, realms: &[&str]) -> Diagnosis {
        let mut command = Command::new(PROGRAM);
        let path = std::env::var("PATH").unwrap();
        command
            .args(["doctor", "--gateway", "--json"])
            .args(realms)
            .env("PATH", format!("{}:{path}", self.dir.join("bin").display()))
            .env("SSL_CERT_FILE", self.dir.join("root.pem"))
            .env("HOME", &self.dir)
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_RUNTIME_DIR");
        Diagnosis::of(command)
    }

    /// As the unit would start it.
    fn start(&mut self) {
        let program = self.dir.join("loopkdc");
        fs::copy(PROGRAM, &program).unwrap();
        fs::set_permissions(&self.dir, Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", &USER.to_string(), "--regid", &GROUP.to_string()])
            .arg("--clear-groups")
            .arg(program)
            .args(["gateway", "--config", "/etc/loopkdc/gateway.toml"])
            .env("RUNTIME_DIRECTORY", "/run/loopkdc-gateway");
        self.gateway = Some(Process::start("loopkdc gateway", &mut command, "ready"));
    }

    /// Does what the fault's hints say, and tells what it was about.
    fn follows(&mut self, found: &Diagnosis) -> Option<Layer> {
        let faults = found.findings.iter();
        let mut faults = faults.filter(|finding| finding.severity == Severity::Fault);
        let fault = faults.next()?;
        hints::assert_finding_leads_on(fault);
        for hint in &fault.hints {
            let Hint::Command(words) = hint else { continue };
            match words
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .as_slice()
            {
                ["loopkdc", "gateway"] => self.start(),
                [program @ ("chgrp" | "chmod"), words @ ..] => {
                    succeeds(Command::new(program).args(words));
                }
                typed => panic!("{typed:?}"),
            }
        }
        fault.subject.layer
    }
}

impl Diagnosis {
    /// `layer` is not well, by this finding, and its hints can be followed.
    #[track_caller]
    fn tells(&self, layer: Layer, severity: &str, words: &str, advice: &str) {
        let name = serde_json::to_value(layer).unwrap();
        let finding = self.finding(name.as_str().unwrap(), severity, words);
        assert!(finding.advice().contains(advice), "{finding:#?}");
        hints::assert_finding_leads_on(finding);
    }

    /// And it is the first with a fault.
    #[track_caller]
    fn blames(&self, layer: Layer, words: &str, advice: &str) {
        self.tells(layer, "fault", words, advice);
        assert_eq!(self.code, i32::from(layer.exit_code()), "{self:#?}");
    }
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    let cried = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {cried}");
}

/// To be called from a `#[test]` function with a closure, as `isolated` is.
fn with_a_machine<F: FnOnce(&mut Machine, &mut Realm)>(body: F) {
    isolated_as(&test_name::<F>(), || {
        alone(|| {
            let dir = tempfile::tempdir().unwrap();
            let mut realm = Realm::start(dir.path(), REALM, 88, Preauth::Timestamp);
            body(&mut Machine::new(dir.path()), &mut realm);
        });
    });
}

#[test]
fn hints_alone_lead_to_a_gateway_that_is_well() {
    with_a_machine(|machine, _| {
        machine.certify(true, None);
        let mut followed = Vec::new();
        let mut found = machine.doctor();
        while let Some(layer) = machine.follows(&found) {
            followed.push(layer);
            assert!(followed.len() < 5, "{followed:?} {found:#?}");
            found = machine.doctor();
        }
        assert_eq!(
            followed,
            [Layer::Configuration, Layer::Daemon],
            "{found:#?}"
        );
        assert_eq!(found.code, 0);
        let is_well = |severity| [Severity::Ok, Severity::Skipped].contains(&severity);
        let mut findings = found.findings.iter();
        assert!(findings.all(|it| is_well(it.severity)), "{found:#?}");
        for (layer, words) in [
            ("configuration", "user 61184 and group 990, may read it all"),
            ("ports", "127.0.0.1:8443, 127.0.0.1:9464: loopkdc's"),
            ("ports", "for every user of this machine"),
            ("daemon", "runs, process"),
            (
                "tls",
                "kdcproxy.example.com < Example Issuing CA < Example Root",
            ),
            ("kdc", "KDC_ERR_C_PRINCIPAL_UNKNOWN (6)"),
            ("kdc", "127.0.0.88:88 answers over UDP, too"),
            ("clock", "agrees"),
            ("kpasswd", "127.0.0.88:464 takes connections"),
            ("kpasswd", "the password server answers"),
            ("kpasswd", "127.0.0.88:464 answers over UDP, too"),
        ] {
            found.is_well(layer, words);
        }
    });
}

#[test]
fn a_realm_that_is_misspelt() {
    with_a_machine(|machine, _| {
        machine.certify(true, None);
        let found = machine.doctor_of(&["EXAMPEL.COM"]);
        let words = "realm EXAMPEL.COM is not in /etc/loopkdc/gateway.toml, which has EXAMPLE.COM";
        let advice = "if that is meant: loopkdc doctor --gateway EXAMPLE.COM; else write into ";
        found.blames(Layer::Configuration, words, advice);
    });
}

#[test]
fn a_folder_that_the_service_may_not_look_into() {
    with_a_machine(|machine, _| {
        machine.certify(true, None);
        fs::set_permissions("/etc/loopkdc", Permissions::from_mode(0o700)).unwrap();
        let found = machine.doctor();
        found.blames(
            Layer::Configuration,
            "group loopkdc, may not look into /etc/loopkdc",
            "let its group: chgrp loopkdc /etc/loopkdc; chmod g+x /etc/loopkdc",
        );
    });
}

#[test]
fn certificates_that_clients_refuse() {
    with_a_machine(|machine, _| {
        machine.certify(false, None);
        machine.follows(&machine.doctor());
        machine.start();
        machine.doctor().tells(
            Layer::Tls,
            "warning",
            "\"Example Issuing CA\", who signed the last, is not trusted here",
            "append its certificate to /etc/loopkdc/gateway.pem",
        );
        let mid = fs::read_to_string(machine.dir.join("mid.pem")).unwrap();
        let file = OpenOptions::new()
            .append(true)
            .open("/etc/loopkdc/gateway.pem");
        file.unwrap().write_all(mid.as_bytes()).unwrap();
        machine.doctor().finds_nothing();
        // Another one than the gateway that runs has taken yet.
        machine.gateway.as_ref().unwrap().signal("STOP");
        machine.certify(true, None);
        machine.gateway.as_ref().unwrap().signal("CONT");
        let clock = Clock::new(&machine.dir.join("openssl"));
        clock.set("-60d");
        machine.certify(true, Some(&clock));
        let found = machine.doctor();
        found.blames(
            Layer::Tls,
            "the certificate expired at",
            "openssl x509 -noout -dates -in /etc/loopkdc/gateway.pem",
        );
        fs::copy(machine.dir.join("root.key"), "/etc/loopkdc/gateway-key.pem").unwrap();
        machine.doctor().blames(
            Layer::Configuration,
            "is not the one of the first certificate in",
            "openssl pkey",
        );
    });
}

#[test]
fn kdcs_that_do_not_serve() {
    with_a_machine(|machine, realm| {
        machine.certify(true, None);
        machine.follows(&machine.doctor());
        machine.configure(&["127.0.0.99", "127.0.0.88"]);
        machine.start();
        let found = machine.doctor();
        found.finds_nothing();
        found.tells(
            Layer::Tcp,
            "warning",
            "127.0.0.99:88: cannot connect: Connection refused",
            "kdcs",
        );
        let clock = Clock::new(&machine.dir.join("kdc"));
        clock.set("-10m");
        realm.goes_by(&clock);
        let found = machine.doctor();
        found.blames(Layer::Clock, "ahead of the KDC's", "timedatectl");
        realm.kdc.terminate();
        let found = machine.doctor();
        found.blames(Layer::Tcp, "Connection refused", "kdcs");
    });
}

#[test]
fn kdcs_that_dns_does_not_name() {
    with_a_machine(|machine, _| {
        machine.certify(true, None);
        machine.follows(&machine.doctor());
        let file = "/etc/loopkdc/gateway.toml";
        let text = fs::read_to_string(file).unwrap();
        let (gateway, _) = text.split_once("kdcs = ").unwrap();
        fs::write(file, format!("{gateway}discover = true\n")).unwrap();
        machine.start();
        let found = machine.doctor();
        found.blames(Layer::Names, "", "else list them: kdcs = ");
    });
}

#[test]
fn the_port_is_somebody_elses() {
    with_a_machine(|machine, _| {
        machine.certify(true, None);
        machine.follows(&machine.doctor());
        let _other = std::net::TcpListener::bind(ADDRESS).unwrap();
        machine.doctor().blames(
            Layer::Ports,
            "127.0.0.1:8443: taken by",
            "systemctl edit loopkdc-gateway.socket",
        );
    });
}
