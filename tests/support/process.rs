//! A process in the background: ready when its log says so, ended by its own id.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a loaded machine: only a broken test waits as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running process and all it has said on standard output and standard error.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    text: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    open: usize,
}

impl Process {
    /// Starts `command` and returns once a line of its output contains `ready`.
    pub(crate) fn start(name: &str, command: &mut Command, ready: &str) -> Process {
        let process = Process::spawn(name, command);
        process.wait_for(ready);
        process
    }

    /// Starts `command` and returns at once.
    pub(crate) fn spawn(name: &str, command: &mut Command) -> Process {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}; tests/run installs what tests need"));
        Process::adopt(name, child)
    }

    /// Takes over a child; what it says is heard where it was started with a pipe.
    pub(crate) fn adopt(name: &str, mut child: Child) -> Process {
        let log = Arc::new(Log::default());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        log.text.lock().unwrap().open = stdout.iter().count() + stderr.iter().count();
        if let Some(stdout) = stdout {
            follow(stdout, Arc::clone(&log));
        }
        if let Some(stderr) = stderr {
            follow(stderr, Arc::clone(&log));
        }
        Process {
            name: name.to_owned(),
            child,
            log,
        }
    }

    /// Waits until some line contains `word`.
    pub(crate) fn wait_for(&self, word: &str) {
        self.wait_for_count(word, 1);
    }

    /// Waits until `count` lines contain `word`.
    pub(crate) fn wait_for_count(&self, word: &str, count: usize) {
        let until = Instant::now() + PATIENCE;
        let mut state = self.log.text.lock().unwrap();
        while matching(&state.lines, word) < count {
            let left = until.saturating_duration_since(Instant::now());
            let silent = state.open == 0 || left.is_zero();
            // The log itself is shown when this process is dropped.
            assert!(!silent, "{} never said {word:?} {count} times", self.name);
            state = self.log.news.wait_timeout(state, left).unwrap().0;
        }
    }

    /// How many lines so far contain `word`.
    pub(crate) fn count(&self, word: &str) -> usize {
        matching(&self.log.text.lock().unwrap().lines, word)
    }

    /// All lines so far.
    pub(crate) fn log(&self) -> String {
        self.log.text.lock().unwrap().lines.join("\n")
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.id().to_string()])
            .status();
        assert!(
            status.unwrap().success(),
            "{} is there to be sent {name}",
            self.name
        );
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Waits for the end and the last line, within bounds: a program that should have ended may run for ever.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        let mut state = self.log.text.lock().unwrap();
        while state.open > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(state);
                panic!("{} never ended", self.name);
            }
            state = self.log.news.wait_timeout(state, left).unwrap().0;
        }
        drop(state);
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self
                .log
                .text
                .lock()
                .map(|s| s.lines.join("\n"))
                .unwrap_or_default();
            eprintln!("--- {} said:\n{log}\n---", self.name);
        }
    }
}

fn matching(lines: &[String], word: &str) -> usize {
    lines.iter().filter(|line| line.contains(word)).count()
}

fn follow(stream: impl Read + Send + 'static, log: Arc<Log>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            log.text.lock().unwrap().lines.push(line);
            log.news.notify_all();
        }
        log.text.lock().unwrap().open -= 1;
        log.news.notify_all();
    });
}
