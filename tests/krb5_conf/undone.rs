//! What stands in the way of the second change, when the first has been made; and who else has been there by then.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::CONFIG;
use crate::etc::{
    DEBIANS, Ended, all, configure, furnish, is_leftover, krb5_conf, run, with_program,
};
use crate::support::netns::isolated;

const FILE: &str = "/etc/krb5.conf";
const DROP_IN: &str = "/etc/krb5.conf.d/loopkdc.conf";
const PRECIOUS: &str = "# somebody else's\n";

/// What is done to calls that make hard links.
const NO_LINKS: &str = "inject=/^link(at)?$:error=EPERM";

/// `loopkdc krb5-conf`, with its renames tampered with, and with hard links if there are any.
fn tampered(inject: &str, has_links: bool, words: &[&str]) -> Command {
    let mut command = Command::new("strace");
    let inject = format!("inject=/^rename(at|at2)?$:{inject}");
    command.args(["-f", "-qq", "-o", "/dev/stdout", "-e", &inject]);
    if !has_links {
        command.args(["-e", NO_LINKS]);
    }
    command
        .arg(env!("CARGO_BIN_EXE_loopkdc"))
        .arg("krb5-conf")
        .args(words);
    with_program(command)
}

/// One that has been stopped behind a call.
struct Stopped {
    strace: Child,
    trace: BufReader<ChildStdout>,
    loopkdc: Pid,
}

impl Stopped {
    /// Behind its rename of this number, from 1 on.
    fn at(number: usize, has_links: bool, words: &[&str]) -> Self {
        let stop = format!("signal=SIGSTOP:when={number}");
        let mut command = tampered(&stop, has_links, words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut strace = command.spawn().expect("tests/run installs strace");
        let mut trace = BufReader::new(strace.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("--- stopped by SIGSTOP") {
            line.clear();
            assert_ne!(trace.read_line(&mut line).unwrap(), 0, "it was not stopped");
        }
        let number = line.split_whitespace().next().unwrap().parse().unwrap();
        Self {
            strace,
            trace,
            loopkdc: Pid::from_raw(number).unwrap(),
        }
    }

    fn goes_on(mut self) -> Ended {
        kill_process(self.loopkdc, Signal::CONT).unwrap();
        let mut stdout = String::new();
        self.trace.read_to_string(&mut stdout).unwrap();
        let output = self.strace.wait_with_output().unwrap();
        Ended {
            code: output.status.code(),
            stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn scene(body: impl FnOnce()) {
    let dir = tempfile::tempdir().unwrap();
    furnish(dir.path(), Some(DEBIANS));
    configure(CONFIG);
    body();
}

fn append(path: &str, text: &str) {
    let before = fs::read_to_string(path).unwrap();
    fs::write(path, before + text).unwrap();
}

/// Of its error, and of each hint.
fn told(lines: &[&str]) -> String {
    let head = ["error"].into_iter().chain(std::iter::repeat("hint"));
    let lines = head.zip(lines);
    lines
        .map(|(head, line)| format!("loopkdc: {head}: {line}\n"))
        .collect()
}

const CHANGED: &str = "/etc/krb5.conf was changed by another program meanwhile, and";
const AGAIN: &str = "run it again: loopkdc krb5-conf --install";

#[test]
fn nothing_was_written_when_all_was_undone() {
    isolated(|| {
        scene(|| {
            let stopped = Stopped::at(1, true, &["--install"]);
            assert!(fs::exists(DROP_IN).unwrap());
            append(FILE, PRECIOUS);
            let before = fs::read(FILE).unwrap();
            let ended = stopped.goes_on();
            let stderr = told(&[&format!("{CHANGED} nothing was written"), AGAIN]);
            assert_eq!((ended.code, ended.stderr), (Some(78), stderr));
            let left: Vec<_> = all().into_iter().collect();
            assert_eq!(left, [(FILE.into(), Some(before))]);
        });
    });
}

#[test]
fn what_others_wrote_into_a_new_file_stays() {
    isolated(|| {
        scene(|| {
            let stopped = Stopped::at(1, true, &["--install"]);
            append(FILE, PRECIOUS);
            append(DROP_IN, PRECIOUS);
            let drop_in = fs::read(DROP_IN).unwrap();
            let ended = stopped.goes_on();
            let stderr = told(&[
                &format!("{CHANGED} what was written before could not all be undone"),
                AGAIN,
                &format!(
                    "{DROP_IN} was not there before, and was left as another program has it now: cat {DROP_IN}"
                ),
            ]);
            assert_eq!((ended.code, ended.stderr), (Some(78), stderr));
            assert_eq!(fs::read(DROP_IN).unwrap(), drop_in);
            assert!(!all().into_keys().any(|path| is_leftover(&path)));
        });
    });
}

#[test]
fn what_others_wrote_into_a_changed_file_stays_with_what_was_before() {
    isolated(|| {
        scene(|| {
            krb5_conf(&["--install"]).well();
            let before = fs::read(DROP_IN).unwrap();
            configure(&CONFIG.replace("EXAMPLE.COM", "OTHER.TEST"));
            fs::write(FILE, DEBIANS).unwrap();
            let stopped = Stopped::at(1, true, &["--install"]);
            append(FILE, PRECIOUS);
            append(DROP_IN, PRECIOUS);
            let drop_in = fs::read(DROP_IN).unwrap();
            let ended = stopped.goes_on();
            let kept = format!("{DROP_IN}.kept-by-loopkdc");
            let stderr = told(&[
                &format!("{CHANGED} what was written before could not all be undone"),
                AGAIN,
                &format!(
                    "{DROP_IN} was left as another program has it now; what it was before is kept: diff {kept} {DROP_IN}"
                ),
            ]);
            assert_eq!((ended.code, ended.stderr), (Some(78), stderr));
            assert_eq!(fs::read(DROP_IN).unwrap(), drop_in);
            krb5_conf(&["--install"]).well();
            assert_eq!(fs::read(kept).unwrap(), before);
        });
    });
}

#[test]
fn a_link_that_is_led_elsewhere_while_the_first_file_changes() {
    isolated(|| {
        scene(|| {
            let [one, other] = ["/etc/one.krb5.conf", "/etc/other.krb5.conf"];
            fs::rename(FILE, one).unwrap();
            fs::copy(one, other).unwrap();
            symlink(one, FILE).unwrap();
            let stopped = Stopped::at(1, true, &["--install"]);
            fs::remove_file(FILE).unwrap();
            symlink(other, FILE).unwrap();
            let ended = stopped.goes_on();
            let stderr = told(&[&format!("{CHANGED} nothing was written"), AGAIN]);
            assert_eq!((ended.code, ended.stderr), (Some(78), stderr));
            for path in [one, other] {
                assert_eq!(fs::read_to_string(path).unwrap(), DEBIANS);
            }
            assert!(!fs::exists(DROP_IN).unwrap());
        });
    });
}

#[test]
fn what_is_left_beside_what_a_link_leads_to_is_swept() {
    isolated(|| {
        scene(|| {
            fs::create_dir("/etc/real").unwrap();
            fs::rename(FILE, "/etc/real/real.conf").unwrap();
            symlink("real/real.conf", FILE).unwrap();
            let names = || {
                let entries = fs::read_dir("/etc/real").unwrap();
                let names = entries.map(|entry| entry.unwrap().file_name());
                names.collect::<Vec<_>>()
            };
            run(&mut tampered("signal=SIGKILL:when=3", true, &["--install"]));
            assert!(names().len() > 1, "{:?}", names());
            krb5_conf(&["--install"]).well();
            assert_eq!(names(), ["real.conf"]);
        });
    });
}

/// What was there before is a copy of it then.
#[test]
fn where_there_are_no_hard_links() {
    isolated(|| {
        scene(|| {
            krb5_conf(&["--install"]).well();
            fs::set_permissions(DROP_IN, Permissions::from_mode(0o640)).unwrap();
            configure(&CONFIG.replace("EXAMPLE.COM", "OTHER.TEST"));
            fs::write(FILE, DEBIANS).unwrap();
            let before = all();
            let stopped = Stopped::at(1, false, &["--install"]);
            fs::write(FILE, DEBIANS).unwrap();
            let ended = stopped.goes_on();
            let stderr = told(&[&format!("{CHANGED} nothing was written"), AGAIN]);
            assert_eq!((ended.code, ended.stderr), (Some(78), stderr));
            assert_eq!(all(), before);
            let mode = fs::metadata(DROP_IN).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o640);
            for number in 1..4 {
                let killed = format!("signal=SIGKILL:when={number}");
                run(&mut tampered(&killed, false, &["--install"]));
                assert!(all().into_keys().any(|path| is_leftover(&path)));
                krb5_conf(&["--install"]).well();
                let left = all();
                assert!(!left.keys().any(|path| is_leftover(path)), "{left:?}");
                krb5_conf(&["--remove"]).well();
            }
        });
    });
}

/// What is advised is what helps, also when another one has run before.
#[test]
fn what_cannot_be_put_back_is_kept_and_told() {
    isolated(|| {
        scene(|| {
            krb5_conf(&["--install"]).well();
            let drop_in = fs::read(DROP_IN).unwrap();
            let ended = run(&mut tampered("error=EIO:when=2+", true, &["--remove"]));
            let kept = format!("{DROP_IN}.kept-by-loopkdc");
            let advised = format!("mv {kept} {DROP_IN}");
            let backup = "/etc/krb5.conf.before-loopkdc";
            let why = "Input/output error (os error 5)";
            let stderr = told(&[
                &format!("{backup} can't be written: {why}"),
                &format!("{DROP_IN} could not be put back ({why}): {advised}"),
            ]);
            assert_eq!((ended.code, ended.stderr), (Some(78), stderr));
            krb5_conf(&["--install"]).well();
            assert_eq!(fs::read(&kept).unwrap(), drop_in);
            fs::remove_file(DROP_IN).unwrap();
            let typed = Command::new("sh").args(["-c", &advised]).status();
            assert!(typed.unwrap().success());
            assert_eq!(fs::read(DROP_IN).unwrap(), drop_in);
            krb5_conf(&["--remove"]).well();
            assert_eq!(all().len(), 1);
        });
    });
}

/// It could have root read, and write anew, any other.
#[test]
fn a_file_in_a_directory_of_somebody_elses() {
    isolated(|| {
        scene(|| {
            let home = Path::new("/etc/home");
            fs::create_dir(home).unwrap();
            symlink("/etc/shadow", home.join("krb5.conf")).unwrap();
            chown(home, Some(1234), None).unwrap();
            fs::remove_file(FILE).unwrap();
            symlink("home/krb5.conf", FILE).unwrap();
            let before = (all(), fs::read("/etc/shadow").unwrap());
            let open = "/etc/krb5.conf is not safe to change: others than root can put another file in the place of /etc/home/krb5.conf";
            for words in [
                &["--install"][..],
                &["--install", "--inline"],
                &["--remove"],
            ] {
                let ended = krb5_conf(words);
                let stderr = told(&[
                    open,
                    "see who: ls -ld /etc/home /etc/home/krb5.conf",
                    &format!(
                        "let no link lead there, but have a file in its place: ls -l {FILE}; then: loopkdc krb5-conf {}",
                        words.join(" ")
                    ),
                ]);
                assert_eq!((ended.code, ended.stderr), (Some(78), stderr));
                assert_eq!((all(), fs::read("/etc/shadow").unwrap()), before);
            }
        });
    });
}
