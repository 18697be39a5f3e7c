//! The package on a Debian that runs: systemd is the first process of namespaces of its own.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use tempfile::{TempDir, tempdir};
use tokio_util::sync::CancellationToken;

use super::Workshop;
use super::root::{Root, succeeded};
use super::tickets::{self, Office};
use crate::run;
use crate::support::netns::isolated;
use crate::support::process::{PATIENCE, Process};

/// What an init finds: /proc, /dev and a root of its own, with the network of the test.
const BOOT: &str = r#"
read -r pid rest </proc/self/stat
echo "init is $pid"
mount --bind "$0" "$0"
cd "$0"
mount -t proc proc proc
mount -t sysfs sysfs sys
for folder in run tmp dev; do mount -t tmpfs tmpfs $folder; done
for node in null zero full random urandom tty; do
    touch dev/$node
    mount --bind /dev/$node dev/$node
done
mkdir dev/pts dev/shm old
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
pivot_root . old
umount -l /old
export container=other
exec /lib/systemd/systemd --system --show-status=0
"#;

/// Where it says that it is up (sd_notify(3)): a name of the test's own network.
const READY: &str = "loopkdc-booted";

/// Whoever runs these tests in a chroot can make no user namespace (clone(2)), by which the unit has its users to itself.
const PERMITTED: &str = "
unshare --user true && exit
for unit in loopkdc loopkdc-gateway; do
    mkdir -p /etc/systemd/system/$unit.service.d
    printf '[Service]\\nPrivateUsers=no\\n' >/etc/systemd/system/$unit.service.d/zz-chroot.conf
done
systemctl daemon-reload
";

/// A Debian at work.
pub(super) struct Booted {
    _init: Process,
    pid: String,
}

impl Booted {
    fn start(root: &Path) -> Self {
        // The test is in a process namespace of its own.
        run(Command::new("mount").args(["-t", "proc", "proc", "/proc"]));
        let address = SocketAddr::from_abstract_name(READY).unwrap();
        let ready = UnixDatagram::bind_addr(&address).unwrap();
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--cgroup", "--ipc", "--uts", "--fork"])
            .args(["--kill-child", "sh", "-ec", BOOT])
            .arg(root)
            .env("NOTIFY_SOCKET", format!("@{READY}"));
        let init = Process::spawn("systemd", &mut command);
        init.wait_for("init is ");
        let log = init.log();
        let (_, pid) = log.split_once("init is ").unwrap();
        let pid = pid.lines().next().unwrap().to_owned();
        let booted = Self { _init: init, pid };
        hear(&ready);
        let state = booted.output("timeout 60 systemctl is-system-running --wait");
        let state = String::from_utf8_lossy(&state.stdout).into_owned();
        // Of its own units some may not work in namespaces.
        assert!(["running\n", "degraded\n"].contains(&&*state), "{state}");
        booted
    }

    pub(super) fn output(&self, script: &str) -> Output {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.pid, "--mount", "--pid", "--cgroup"])
            .args([
                "--ipc",
                "--uts",
                "--root",
                "env",
                "--chdir=/",
                "sh",
                "-ec",
                script,
            ])
            .env("LC_ALL", "C.UTF-8");
        command.output().unwrap()
    }

    /// Has its shell do this.
    #[track_caller]
    pub(super) fn run(&self, script: &str) -> String {
        let done = self.output(script);
        if !done.status.success() {
            let log = self.output(
                "systemctl --no-pager status 'loopkdc*'; journalctl --no-pager --lines 100",
            );
            println!("{}", String::from_utf8_lossy(&log.stdout));
        }
        succeeded(script, &done)
    }
}

/// Waits until systemd takes orders.
fn hear(ready: &UnixDatagram) {
    ready.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut message = [0; 4096];
    loop {
        let length = ready.recv(&mut message).expect("systemd is up");
        let message = String::from_utf8_lossy(&message[..length]);
        if message.lines().any(|line| line == "READY=1") {
            return;
        }
    }
}

/// A package installed on a Debian at work, with an office to ask.
pub(super) struct Installed {
    pub(super) booted: Booted,
    pub(super) root: Root,
    pub(super) office: Office,
    workshop: Workshop,
    dir: TempDir,
}

impl Installed {
    /// Must be made inside `isolated`.
    pub(super) fn new() -> Self {
        let workshop = Workshop::open();
        let dir = tempdir().unwrap();
        let root = Root::new(dir.path());
        let office = Office::open(dir.path());
        root.put(&workshop.deb("1"), "/loopkdc.deb");
        let booted = Booted::start(&root.path(""));
        booted.run(PERMITTED);
        booted.run("dpkg -i /loopkdc.deb");
        office.configure(&root);
        Self {
            booted,
            root,
            office,
            workshop,
            dir,
        }
    }
}

/// The first request starts the daemon in its sandbox, and it serves; so does the one after an upgrade.
#[test]
fn the_first_request_starts_the_tunnel() {
    isolated(|| {
        let Installed {
            booted,
            root,
            workshop,
            ..
        } = &Installed::new();
        root.put(&workshop.deb("2"), "/loopkdc-2.deb");
        booted.run("loopkdc krb5-conf --install");
        let state = || booted.run("systemctl show --property=ActiveState --value loopkdc");
        assert_eq!(state(), "inactive\n");

        let log_in = format!("echo '{}' | kinit user@EXAMPLE.COM", tickets::TYPED);
        booted.run(&log_in);
        assert_eq!(state(), "active\n");
        let status = booted.run("cat /proc/$(systemctl show -P MainPID loopkdc)/status");
        for line in ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
            assert!(status.contains(line), "{line} in {status}");
        }
        assert!(!status.contains("Uid:\t0\t"), "{status}");
        booted.run("systemctl reload loopkdc");
        let shown = booted.run("loopkdc status");
        assert!(shown.contains("from the service manager"), "{shown}");

        booted.run("dpkg -i /loopkdc-2.deb");
        booted.run(&log_in);
        assert_eq!(state(), "active\n");
        booted.run("dpkg -r loopkdc");
        assert_eq!(state(), "inactive\n");
    });
}

/// A user's own systemd, which PAM and logind would have started at the login.
pub(super) const LOGIN: &str = "
useradd --create-home --uid 1000 somebody
mkdir -p /etc/systemd/system/user@.service.d
printf '[Service]\\nEnvironment=XDG_RUNTIME_DIR=/run/user/%%i\\n' >/etc/systemd/system/user@.service.d/runtime.conf
systemctl daemon-reload
systemctl start user@1000
";

/// What a user types for a tunnel of their own, by the head of the unit.
const OF_ONES_OWN: &str = "
mkdir -p ~/.config/loopkdc
{
    printf '[listen]\\nkdc = [\"127.0.0.1:8888\", \"[::1]:8888\"]\\nkpasswd = [\"127.0.0.1:8464\", \"[::1]:8464\"]\\n'
    cat /etc/loopkdc/config.toml
} >~/.config/loopkdc/config.toml
systemctl --user enable --now loopkdc.socket loopkdc-kpasswd.socket
loopkdc krb5-conf >~/.loopkdc.conf
";

/// The units for people without root, under a user's own systemd: no port of root's, and nothing but the user's files.
#[test]
fn a_user_has_a_tunnel_without_root() {
    isolated(|| {
        let installed = &Installed::new();
        let booted = &installed.booted;
        booted.run("systemctl stop loopkdc.socket loopkdc-kpasswd.socket");
        booted.run(LOGIN);
        let as_somebody = |script: &str| {
            let own = "export KRB5_CONFIG=$HOME/.loopkdc.conf";
            installed.as_somebody(&format!("{own}\n{script}"))
        };
        as_somebody(OF_ONES_OWN);
        as_somebody(&format!(
            "echo '{}' | kinit user@EXAMPLE.COM",
            tickets::TYPED
        ));
        let shown = as_somebody("loopkdc status");
        for line in [
            "127.0.0.1:8888",
            "/home/somebody/.config/loopkdc/config.toml",
        ] {
            assert!(shown.contains(line), "{line} in {shown}");
        }
        let pid = as_somebody("systemctl --user show -P MainPID loopkdc");
        let status = booted.run(&format!("cat /proc/{}/status", pid.trim()));
        for line in ["Uid:\t1000\t", "NoNewPrivs:\t1", "Seccomp:\t2"] {
            assert!(status.contains(line), "{line} in {status}");
        }
        as_somebody("systemctl --user reload loopkdc");
        assert_eq!(
            as_somebody("systemctl --user is-active loopkdc"),
            "active\n"
        );
        // What the documents say of the time before the login.
        booted.run("systemctl stop user@1000; loginctl enable-linger somebody");
        // 8888 in hexadecimal.
        booted.wait_for("grep -q :22B8 /proc/net/tcp");
    });
}

/// The gateway's unit with the ports, the group and the one capability that it comes with.
#[test]
fn the_gateway_serves_on_port_443() {
    isolated(|| {
        let Installed {
            booted,
            root,
            office,
            dir,
            ..
        } = &Installed::new();
        office.configure_gateway(root, dir.path());
        booted.run("chgrp loopkdc /etc/loopkdc/leaf.key; chmod 640 /etc/loopkdc/leaf.key");
        booted.run("systemctl enable --now loopkdc-gateway; loopkdc krb5-conf --install");
        booted.run(&format!(
            "echo '{}' | kinit user@EXAMPLE.COM",
            tickets::TYPED
        ));
        let access = booted.run("journalctl --unit loopkdc-gateway --output cat");
        assert!(access.contains("kind=AS-REQ realm=EXAMPLE.COM"), "{access}");
        let status = booted.run("cat /proc/$(systemctl show -P MainPID loopkdc-gateway)/status");
        // CAP_NET_BIND_SERVICE is the tenth bit.
        for line in ["CapEff:\t0000000000000400", "NoNewPrivs:\t1", "Seccomp:\t2"] {
            assert!(status.contains(line), "{line} in {status}");
        }
        assert!(!status.contains("Uid:\t0\t"), "{status}");
        booted.run("systemctl reload loopkdc-gateway");
        assert_eq!(
            booted.run("systemctl is-active loopkdc-gateway"),
            "active\n"
        );
    });
}

/// What packaging/doc/gateway.md tells those to type whose gateway's port systemd is to hold, and whose gateway needs no capability.
const HELD: [&str; 2] = [
    "systemctl stop loopkdc-gateway && systemctl enable --now loopkdc-gateway.socket && systemctl start loopkdc-gateway\n",
    "install -D -m 644 -t /etc/systemd/system/loopkdc-gateway.service.d /usr/share/doc/loopkdc/examples/without-capabilities.conf
systemctl daemon-reload && systemctl restart loopkdc-gateway\n",
];

/// Connects again and again until `done`, and says how often in vain.
fn refused(done: &CancellationToken) -> usize {
    let mut refused = 0;
    while !done.is_cancelled() {
        refused += usize::from(TcpStream::connect("127.0.0.1:443").is_err());
    }
    refused
}

/// How many are refused while the gateway is restarted, upgraded, killed and told to reload.
fn refused_in_all_that_happens(booted: &Booted) -> usize {
    let process = || booted.run("systemctl show -P MainPID loopkdc-gateway");
    let changes = |act: &str| {
        let before = process();
        booted.run(act);
        assert_ne!(process(), before, "{act}");
    };
    let done = CancellationToken::new();
    std::thread::scope(|scope| {
        let client = scope.spawn(|| refused(&done));
        // Also where an act fails: the scope waits for the client.
        let ends = done.clone().drop_guard();
        changes("systemctl restart loopkdc-gateway");
        changes("dpkg -i /loopkdc-2.deb");
        let before = process();
        booted.run("systemctl kill --kill-who=main --signal=KILL loopkdc-gateway");
        booted.wait_for(&format!(
            "test $(systemctl show -P MainPID loopkdc-gateway) != {} && systemctl is-active loopkdc-gateway",
            before.trim()
        ));
        booted.run("systemctl reload loopkdc-gateway");
        drop(ends);
        client.join().unwrap()
    })
}

/// With its port in systemd's hands the gateway has no capability, and a restart or an upgrade refuses nobody; nor does it by the
/// service alone, for which systemd keeps the port that it has bound.
#[test]
fn a_gateway_that_is_restarted_refuses_nobody() {
    let document = include_str!("../../../packaging/doc/gateway.md");
    assert!(HELD.iter().all(|command| document.contains(command)));
    isolated(|| {
        let Installed {
            booted,
            root,
            office,
            workshop,
            dir,
        } = &Installed::new();
        root.put(&workshop.deb("2"), "/loopkdc-2.deb");
        office.configure_gateway(root, dir.path());
        // Whoever looks without a pause whether they are refused asks more than one client may.
        booted
            .run("sed -i '/^.gateway/a client-requests-per-second = 0' /etc/loopkdc/gateway.toml");
        booted.run("chgrp loopkdc /etc/loopkdc/leaf.key; chmod 640 /etc/loopkdc/leaf.key");
        booted.run("systemctl enable --now loopkdc-gateway; loopkdc krb5-conf --install");
        let log_in = format!("echo '{}' | kinit user@EXAMPLE.COM", tickets::TYPED);
        booted.run(&log_in);
        assert_eq!(refused_in_all_that_happens(booted), 0);
        booted.run(&log_in);
        // Its port is free when it has ended.
        booted.run("systemctl stop loopkdc-gateway");
        assert!(TcpStream::connect("127.0.0.1:443").is_err());

        HELD.iter().for_each(|command| drop(booted.run(command)));
        booted.run(&log_in);
        let status = booted.run("cat /proc/$(systemctl show -P MainPID loopkdc-gateway)/status");
        assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
        assert_eq!(refused_in_all_that_happens(booted), 0);
        booted.run(&log_in);
        booted.run("dpkg -r loopkdc");
        assert!(TcpStream::connect("127.0.0.1:443").is_err());
        // What is enabled comes back with the package.
        booted.run("dpkg -i /loopkdc-2.deb");
        assert!(TcpStream::connect("127.0.0.1:443").is_ok());
    });
}

/// What packaging/doc/roll-out.md tells those to type who have changed the configuration.
const CHANGED: &str = "   loopkdc check && systemctl try-reload-or-restart loopkdc\n";

/// What `systemctl status` shows of the daemon.
const STATUS: &str = "systemctl show --property=StatusText --value loopkdc";

/// Waits until the daemon has nothing more to say of its configuration.
fn mended(booted: &Booted) {
    shown(booted, |status| !status.contains("configuration"));
}

fn shown(booted: &Booted, is_right: impl Fn(&str) -> bool) {
    let began = Instant::now();
    while !is_right(&booted.run(STATUS)) {
        assert!(began.elapsed() < PATIENCE);
    }
}

/// A mistake, a restart and an upgrade: all is served, and it is said what is wrong. What is mended is taken without a command.
#[test]
fn a_mistake_costs_nobody_a_ticket() {
    let document = include_str!("../../../packaging/doc/roll-out.md");
    assert!(document.contains(CHANGED));
    isolated(|| {
        let Installed {
            booted,
            root,
            workshop,
            ..
        } = &Installed::new();
        root.put(&workshop.deb("2"), "/loopkdc-2.deb");
        booted.run("loopkdc krb5-conf --install");
        let log_in = format!("echo '{}' | kinit user@EXAMPLE.COM", tickets::TYPED);
        booted.run(&log_in);
        let file = root.path("/etc/loopkdc/config.toml");
        let right = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{right}\nproxiez = 1\n")).unwrap();
        assert!(!booted.output(CHANGED).status.success());

        booted.run("systemctl restart loopkdc");
        booted.run(&log_in);
        let told = booted.run(STATUS);
        assert!(
            told.contains("last good one, of 20") && told.contains("proxiez"),
            "{told}"
        );
        assert!(booted.run("loopkdc status").contains("proxiez"));
        let kept = booted.run("stat --format=%a:%u /var/lib/private/loopkdc/last-good.toml");
        assert!(kept.starts_with("600:") && kept != "600:0\n", "{kept}");

        let process = || booted.run("systemctl show -P MainPID loopkdc");
        let before = process();
        let said = booted.run("dpkg -i /loopkdc-2.deb 2>&1");
        assert!(
            said.contains("systemctl try-restart loopkdc.service") && said.contains("proxiez"),
            "{said}"
        );
        assert_eq!(process(), before);
        booted.run(&log_in);

        fs::write(&file, &right).unwrap();
        mended(booted);
        booted.run(&log_in);
        shown(booted, |status| {
            status.starts_with("EXAMPLE.COM: active, https://")
        });
        // As the upgrade has said.
        booted.run("systemctl try-restart loopkdc.service");
        assert_ne!(process(), before);
        booted.run(CHANGED);
        booted.run(&log_in);
    });
}

/// Where there never was a good one, every client hears at once that there is no KDC, and the sockets stay open.
#[test]
fn a_mistake_from_the_first_start_is_told_at_once() {
    isolated(|| {
        let Installed { booted, root, .. } = &Installed::new();
        booted.run("loopkdc krb5-conf --install");
        let log_in = format!(
            "echo '{}' | timeout 5 kinit user@EXAMPLE.COM",
            tickets::TYPED
        );
        let file = root.path("/etc/loopkdc/config.toml");
        let right = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{right}\nproxiez = 1\n")).unwrap();
        // More often than systemd starts anything in vain.
        for _ in 0..10 {
            let tried = booted.output(&log_in);
            let cried = String::from_utf8_lossy(&tried.stderr);
            assert!(cried.contains("Cannot contact any KDC"), "{cried}");
        }
        fs::write(&file, &right).unwrap();
        mended(booted);
        booted.run(&log_in);
    });
}

/// SSSD, as far as the units go: the tests of logins have the real one.
const SSSD: &str = "
mkdir -p /etc/sssd
printf '[sssd]\\ndomains = corp\\n[domain/corp]\\nid_provider = ldap\\nauth_provider = krb5\\nkrb5_realm = EXAMPLE.COM\\n' >/etc/sssd/sssd.conf
chmod 600 /etc/sssd/sssd.conf
printf '[Service]\\nExecStart=/bin/sh -c \"echo $$$$ >/run/sssd.pid; exec sleep infinity\"\\n' >/etc/systemd/system/sssd.service
systemctl daemon-reload
systemctl start sssd
";
/// What SSSD reads besides.
const OF_SSSD: &str = "/run/loopkdc-sssd/krb5.conf";

impl Booted {
    /// Waits until its shell finds this true.
    #[track_caller]
    pub(super) fn wait_for(&self, condition: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.output(condition).status.success() {
            if Instant::now() > until {
                self.run(&format!(
                    "systemctl --no-pager status 'loopkdc*'; {condition}"
                ));
            }
        }
    }
}

/// SSSD may try the KDC while the tunnel leads there, and by nobody's word but root's.
#[test]
fn sssd_is_told_which_realms_can_be_reached() {
    isolated(|| {
        let Installed { booted, root, .. } = &Installed::new();
        booted.run(SSSD);
        let etc = || -> BTreeMap<_, _> {
            let files = root.files().into_iter();
            files.filter(|(name, _)| name.starts_with("etc/")).collect()
        };
        let before = etc();
        let said = booted.run("loopkdc krb5-conf --install");
        let restart = "systemctl restart loopkdc sssd";
        assert!(said.contains(restart), "{said}");
        booted.run(restart);
        let may_try = format!("grep -q 'kdc = https://' {OF_SSSD}");
        booted.wait_for(&may_try);
        let said = booted.run("loopkdc krb5-conf --install");
        assert!(
            said.starts_with("nothing is to be changed in krb5.conf\nto see"),
            "{said}"
        );
        let told = booted.output("loopkdc doctor").stdout;
        let told = String::from_utf8_lossy(&told).into_owned();
        assert!(
            told.contains("a login by SSSD (corp) brings a ticket"),
            "{told}"
        );

        let modes = booted.run(&format!("stat -c '%U %a' {OF_SSSD} /run/loopkdc-sssd"));
        assert_eq!(modes, "root 644\nroot 755\n");
        assert_ne!(booted.run("stat -c %U /run/loopkdc"), "root\n");
        // Only SSSD reads it.
        let reads = "tr '\\0' '\\n' </proc/$(systemctl show -P MainPID $unit)/environ | grep -c ^KRB5_CONFIG=";
        assert_eq!(booted.run(&format!("unit=sssd; {reads}")), "1\n");
        assert!(
            !booted
                .output(&format!("unit=loopkdc; {reads}"))
                .status
                .success()
        );
        // The tunnel is up before anybody asks.
        let at_boot =
            "systemctl is-enabled loopkdc-sssd.path; systemctl show -P Wants loopkdc-sssd.path";
        let at_boot = booted.run(at_boot);
        assert!(
            at_boot.starts_with("enabled\n") && at_boot.contains("loopkdc.service"),
            "{at_boot}"
        );

        ends_with_the_tunnel(booted, &may_try);
        ends_with_the_path_unit(booted, &may_try);
        survives_a_flood(booted, &may_try);
        ends_when_it_is_masked(booted, &may_try);

        booted.run(&format!("loopkdc krb5-conf --remove; test ! -e {OF_SSSD}"));
        assert_eq!(etc(), before);
        assert!(
            !booted
                .output("systemctl is-active loopkdc-sssd.path")
                .status
                .success()
        );
        booted.run(restart);
    });
}

/// However it ends.
fn ends_with_the_tunnel(booted: &Booted, may_try: &str) {
    booted.run(&format!("systemctl stop loopkdc; test ! -e {OF_SSSD}"));
    booted.run("systemctl start loopkdc");
    booted.wait_for(may_try);
    booted.run(
        "mkdir -p /run/systemd/system/loopkdc.service.d
         printf '[Service]\\nRestart=no\\n' >/run/systemd/system/loopkdc.service.d/once.conf
         systemctl daemon-reload
         systemctl kill --kill-who=main --signal=KILL loopkdc",
    );
    booted.wait_for("systemctl is-failed loopkdc");
    booted.run(&format!("test ! -e {OF_SSSD}"));
    booted.run("systemctl reset-failed loopkdc; systemctl start loopkdc");
    booted.wait_for(may_try);
}

/// Nobody would take the file away any more; and it is there again with the path unit.
fn ends_with_the_path_unit(booted: &Booted, may_try: &str) {
    booted.run(&format!(
        "systemctl stop loopkdc-sssd.path; test ! -e {OF_SSSD}"
    ));
    let told = booted.output("loopkdc doctor").stdout;
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(told.contains("loopkdc-sssd.path is not at"), "{told}");
    // As the doctor hints.
    let restart = "systemctl restart loopkdc-sssd.path loopkdc-sssd.service";
    assert!(told.contains(restart), "{told}");
    booted.run(restart);
    booted.wait_for(may_try);
    // An upgrade has it be the new one.
    let invocation = || booted.run("systemctl show -P InvocationID loopkdc-sssd.path");
    let before = invocation();
    booted.run("dpkg -i /loopkdc.deb");
    assert_ne!(invocation(), before);
    booted.wait_for(may_try);
    // An install that changes what the service is told has it look again.
    booted.run(&format!(
        "echo '# old' >>{OF_SSSD}
         rm -r /etc/systemd/system/loopkdc-sssd.service.d
         loopkdc krb5-conf --install"
    ));
    booted.wait_for(&format!("{may_try} && ! grep -q old {OF_SSSD}"));
}

/// An administrator wants none of it: both by the commands that the doctor hints at, and by the second alone.
fn ends_when_it_is_masked(booted: &Booted, may_try: &str) {
    for now in ["--now ", ""] {
        booted.run(&format!("systemctl mask {now}loopkdc-sssd.path"));
        assert!(now.is_empty() || !booted.output(may_try).status.success());
        booted.run(&format!(
            "loopkdc krb5-conf --install
             test ! -e {OF_SSSD}
             test ! -e /etc/systemd/system/loopkdc.service.d/loopkdc-sssd.conf
             ! systemctl is-active loopkdc-sssd.path
             systemctl unmask loopkdc-sssd.path
             loopkdc krb5-conf --install
             systemctl restart loopkdc"
        ));
        booted.wait_for(may_try);
    }
}

/// A network that comes and goes as fast as may be keeps no unit from its work.
fn survives_a_flood(booted: &Booted, may_try: &str) {
    booted.output("timeout 5 sh -c 'while :; do : >/run/loopkdc/reachable.changed; done'");
    booted.run("systemctl is-active loopkdc-sssd.path");
    assert!(
        !booted
            .output("systemctl is-failed loopkdc-sssd.service")
            .status
            .success()
    );
    booted.run(&format!("rm {OF_SSSD}; : >/run/loopkdc/reachable.changed"));
    booted.wait_for(may_try);
}
