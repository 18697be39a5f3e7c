//! The package on a Debian that runs: systemd is the first process of namespaces of its own.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::{Command, Output};

use tempfile::{TempDir, tempdir};

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
mkdir -p /etc/systemd/system/loopkdc.service.d
printf '[Service]\\nPrivateUsers=no\\n' >/etc/systemd/system/loopkdc.service.d/chroot.conf
systemctl daemon-reload
";

/// A Debian at work.
struct Booted {
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

    fn output(&self, script: &str) -> Output {
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
    fn run(&self, script: &str) -> String {
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
struct Installed {
    booted: Booted,
    root: Root,
    office: Office,
    workshop: Workshop,
    dir: TempDir,
}

impl Installed {
    /// Must be made inside `isolated`.
    fn new() -> Self {
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
const LOGIN: &str = "
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
        let Installed { booted, root, .. } = &Installed::new();
        booted.run("systemctl stop loopkdc.socket loopkdc-kpasswd.socket");
        booted.run(LOGIN);
        let as_somebody = |script: &str| {
            let own = "export XDG_RUNTIME_DIR=/run/user/1000 KRB5_CONFIG=$HOME/.loopkdc.conf";
            fs::write(root.path("/own.sh"), format!("{own}\n{script}\n")).unwrap();
            booted.run("su somebody -c 'sh -e /own.sh'")
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

/// What packaging/doc/roll-out.md tells those to type who have changed the configuration.
const CHANGED: &str = "\
   loopkdc check && systemctl try-reload-or-restart loopkdc && systemctl reset-failed 'loopkdc*' &&
       systemctl start loopkdc.socket loopkdc-kpasswd.socket
";

/// With a mistake in the configuration each request starts the daemon in vain, until systemd closes the sockets.
#[test]
fn a_mistake_is_mended() {
    let document = include_str!("../../../packaging/doc/roll-out.md");
    assert!(document.contains(CHANGED));
    isolated(|| {
        let Installed { booted, root, .. } = &Installed::new();
        booted.run("loopkdc krb5-conf --install");
        let file = root.path("/etc/loopkdc/config.toml");
        let right = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{right}\nproxiez = 1\n")).unwrap();

        let log_in = format!(
            "echo '{}' | timeout 60 kinit user@EXAMPLE.COM",
            tickets::TYPED
        );
        let closed = || {
            booted
                .output("systemctl is-failed loopkdc.socket")
                .status
                .success()
        };
        let vain = (0..30)
            .take_while(|_| !closed())
            .map(|_| booted.output(&log_in));
        for tried in vain {
            assert!(!tried.status.success());
        }
        assert!(closed());
        assert!(!booted.output(CHANGED).status.success());
        assert!(closed());

        fs::write(&file, right).unwrap();
        booted.run(CHANGED);
        booted.run(&log_in);
        // It does nothing to those that are at work.
        booted.run(CHANGED);
        booted.run(&log_in);
    });
}
