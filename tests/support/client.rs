//! The user at the keyboard: stock clients, given a krb5.conf and a credential cache of their own.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::process::PATIENCE;
use super::proxy::KdcProxy;

/// The file that administrators get, as shipped.
pub(crate) const DROP_IN: &str = include_str!("../../krb5.conf.d/00-loopkdc.conf");

/// Somebody with Debian's MIT clients.
pub(crate) struct Client {
    dir: PathBuf,
    config: String,
}

/// What one command did.
pub(crate) struct Outcome {
    /// Whether it said so by its exit code.
    pub(crate) success: bool,
    /// Standard output and standard error, as on a terminal.
    pub(crate) text: String,
    /// From start to end.
    pub(crate) took: Duration,
    /// What libkrb5 told of its doings.
    pub(crate) trace: String,
}

impl Client {
    /// Reaches `realms` through the program on 127.0.0.1, by the drop-in and nothing else.
    pub(crate) fn by_drop_in(dir: &Path, realms: &[&str]) -> Client {
        let files = realms
            .iter()
            .map(|realm| activate(dir, realm))
            .collect::<Vec<_>>();
        Client::new(dir, &files)
    }

    /// Reaches `realms` by libkrb5's own MS-KKDCP client: the same road without the program.
    pub(crate) fn by_native_kkdcp(dir: &Path, realms: &[&str], proxy: &KdcProxy) -> Client {
        let (url, ca) = (proxy.url(), proxy.ca_file.display());
        let stanza = |realm: &&str| {
            format!(
                "[realms]\n {realm} = {{\n kdc = {url}\n primary_kdc = {url}\n master_kdc = {url}\n\
             kpasswd_server = {url}\n http_anchors = FILE:{ca}\n }}\n"
            )
        };
        let stanzas: Vec<String> = realms.iter().map(stanza).collect();
        Client::new(dir, &stanzas)
    }

    /// Reads these files, the first ones first.
    pub(crate) fn new(dir: &Path, files: &[String]) -> Client {
        let dir = dir.join("client");
        fs::create_dir(&dir).unwrap();
        let mut client = Client {
            dir,
            config: String::new(),
        };
        for file in files {
            client.also(file);
        }
        client
    }

    /// Reads the machine's own krb5.conf.
    pub(crate) fn by_etc(dir: &Path) -> Client {
        let client = Client::new(dir, &[]);
        let config = "/etc/krb5.conf".to_owned();
        Client { config, ..client }
    }

    /// Adds one more file to what KRB5_CONFIG lists.
    pub(crate) fn also(&mut self, text: &str) {
        let count = self.config.matches(':').count();
        let path = self.dir.join(format!("krb5-{count}.conf"));
        fs::write(&path, text).unwrap();
        self.config = format!("{}{}:", self.config, path.display());
    }

    /// Takes names without a realm to be of this one.
    pub(crate) fn default_realm(&mut self, realm: &str) {
        self.also(&format!("[libdefaults]\n default_realm = {realm}\n"));
    }

    /// The flags of a service's ticket in a credential cache, as `klist -f` abbreviates them.
    pub(crate) fn flags(&self, cache: &Path, service: &str) -> String {
        let klist = self.run(&format!("klist -f {}", cache.display()), &[]);
        let klist = klist.succeeds().text;
        let mut lines = klist.lines().skip_while(|line| !line.ends_with(service));
        let below = lines.nth(1);
        let below = below.unwrap_or_else(|| panic!("no ticket of {service}: {klist}"));
        let (_, flags) = below.split_once("Flags: ").expect(below);
        flags.to_owned()
    }

    /// The files it reads, in the order of their weight.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let files = self.config.split_terminator(':');
        files.map(Path::new)
    }

    /// Where its tickets are.
    pub(crate) fn cache(&self) -> PathBuf {
        self.dir.join("ccache")
    }

    /// Runs a command line; `typed` is what the user types, a line for each prompt.
    pub(crate) fn run(&self, line: &str, typed: &[&str]) -> Outcome {
        let mut running = self.begin(line);
        running.is_told(typed);
        running.ends()
    }

    /// Begins a command line, for a user who takes his time.
    pub(crate) fn begin(&self, line: &str) -> Running {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        self.start(command)
    }

    /// Runs a command with this client's environment, within bounds.
    pub(crate) fn finish(&self, command: Command, typed: &[&str]) -> Outcome {
        let mut running = self.start(command);
        running.is_told(typed);
        running.ends()
    }

    fn start(&self, command: Command) -> Running {
        let trace = self.dir.join("trace");
        let _ = fs::remove_file(&trace);
        let mut bounded = Command::new("timeout");
        bounded
            .arg(PATIENCE.as_secs().to_string())
            .arg(command.get_program());
        bounded.args(command.get_args());
        bounded
            .env("KRB5_CONFIG", self.config.trim_end_matches(':'))
            .env("KRB5CCNAME", self.cache())
            .env("KRB5_TRACE", &trace)
            .envs(
                command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let start = Instant::now();
        let mut child = bounded.spawn().unwrap();
        let said = Arc::<Said>::default();
        let stdout = said.follow(0, child.stdout.take().unwrap());
        let stderr = said.follow(1, child.stderr.take().unwrap());
        Running {
            keyboard: child.stdin.take(),
            child,
            said,
            readers: [stdout, stderr],
            start,
            trace,
        }
    }
}

/// A command that runs, and the user before it. Dropped, it is left alone.
pub(crate) struct Running {
    child: Child,
    keyboard: Option<ChildStdin>,
    said: Arc<Said>,
    /// Each returns when its stream ended.
    readers: [JoinHandle<Instant>; 2],
    start: Instant,
    trace: PathBuf,
}

/// Standard output and standard error so far.
#[derive(Default)]
struct Said {
    octets: Mutex<[Vec<u8>; 2]>,
    news: Condvar,
}

impl Said {
    fn follow(
        self: &Arc<Self>,
        which: usize,
        mut stream: impl Read + Send + 'static,
    ) -> JoinHandle<Instant> {
        let said = Arc::clone(self);
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut chunk) {
                said.octets.lock().unwrap()[which].extend_from_slice(&chunk[..length]);
                said.news.notify_all();
            }
            Instant::now()
        })
    }
}

impl Running {
    /// The user types these lines, and leaves the keyboard.
    pub(crate) fn is_told(&mut self, typed: &[&str]) {
        self.types(typed);
        self.keyboard = None;
    }

    /// The user types these lines.
    pub(crate) fn types(&mut self, typed: &[&str]) {
        let typed: String = typed.iter().map(|line| format!("{line}\n")).collect();
        // A client that asks for less than was typed has closed its end.
        let keyboard = self.keyboard.as_mut().expect("the user is still there");
        let _ = keyboard.write_all(typed.as_bytes());
    }

    /// Waits for a prompt.
    #[track_caller]
    pub(crate) fn asks(&self, prompt: &str) {
        let lacks = |said: &mut [Vec<u8>; 2]| !String::from_utf8_lossy(&said[0]).contains(prompt);
        let said = self.said.octets.lock().unwrap();
        let waited = self.said.news.wait_timeout_while(said, PATIENCE, lacks);
        let (said, late) = waited.unwrap();
        let text = String::from_utf8_lossy(&said[0]);
        assert!(!late.timed_out(), "never asked for {prompt:?}: {text}");
    }

    /// Waits for the end; it is bounded.
    pub(crate) fn ends(mut self) -> Outcome {
        self.keyboard = None;
        let ended = self.readers.map(|reader| reader.join().unwrap());
        let status = self.child.wait().unwrap();
        let text = self.said.octets.lock().unwrap().concat();
        Outcome {
            success: status.success(),
            text: String::from_utf8_lossy(&text).into_owned(),
            took: ended[0].max(ended[1]) - self.start,
            trace: fs::read_to_string(&self.trace).unwrap_or_default(),
        }
    }
}

impl Outcome {
    /// Fails the test, with everything that is known, unless the command succeeded.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Outcome {
        assert!(
            self.success,
            "failed after {:?}: {}\n{}",
            self.took, self.text, self.trace
        );
        self
    }

    /// Fails the test unless the command failed and told the user `words`.
    #[track_caller]
    pub(crate) fn fails_with(self, words: &str) -> Outcome {
        assert!(
            !self.success,
            "should have failed: {}\n{}",
            self.text, self.trace
        );
        self.says(words)
    }

    /// Fails the test unless the user was told `words`.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Outcome {
        assert!(
            self.text.contains(words),
            "not {words:?} but: {}\n{}",
            self.text,
            self.trace
        );
        self
    }

    /// Octets of the largest reply that libkrb5 traced.
    #[track_caller]
    pub(crate) fn largest_reply(&self) -> usize {
        let sizes = self.trace.split("Received answer (").skip(1);
        let sizes = sizes.filter_map(|rest| rest.split(' ').next()?.parse().ok());
        sizes.max().expect("a reply is traced")
    }

    /// Fails the test unless the command took less than `limit`.
    #[track_caller]
    pub(crate) fn within(self, limit: Duration) -> Outcome {
        assert!(
            self.took < limit,
            "took {:?}: {}\n{}",
            self.took,
            self.text,
            self.trace
        );
        self
    }
}

/// Does to the drop-in what its own head tells an administrator to do.
pub(crate) fn activate(dir: &Path, realm: &str) -> String {
    let file = dir.join("00-loopkdc.conf");
    fs::write(&file, DROP_IN).unwrap();
    let told = DROP_IN
        .lines()
        .find(|line| line.contains("sed -i"))
        .expect("the head has it");
    let script = told
        .trim_start_matches(['#', ' '])
        .replace("YOUR.REALM", realm)
        .replace("your.domain", &realm.to_lowercase());
    let status = Command::new("sh")
        .args(["-c", &script])
        .current_dir(dir)
        .status();
    assert!(status.unwrap().success(), "{script}");
    fs::read_to_string(&file).unwrap()
}
