use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::*;

/// A folder with a configuration and what it names, and one for what is kept.
struct Scene {
    dir: tempfile::TempDir,
    places: [PathBuf; 1],
}

impl Scene {
    /// With these lines for its realm.
    fn with(lines: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let places = [dir.path().join("state/loopkdc")];
        let ca = rcgen::generate_simple_self_signed(vec!["ca.test".to_owned()]).unwrap();
        let text = format!(
            "[realms.\"EXAMPLE.COM\"]\nproxies = \"https://a.test\"\nca-file = \"ca.pem\"\n{lines}\n\
             [realms.\"EXAMPLE.ORG\"]\nproxies = \"https://b.test\"\nca-file = \"ca.pem\"\n"
        );
        fs::write(dir.path().join("ca.pem"), ca.cert.pem()).unwrap();
        fs::write(dir.path().join("token"), "hidden").unwrap();
        fs::write(dir.path().join("config.toml"), text).unwrap();
        Self { dir, places }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn sources(&self) -> Sources {
        let file = Some(self.path("config.toml"));
        Sources {
            file,
            ..Sources::default()
        }
    }

    fn keep(&self) -> Config {
        let config = Config::load(&self.sources()).unwrap();
        LastGood::of(&config, None).keep(&self.places);
        config
    }

    /// What a start makes of what is kept.
    fn kept(&self) -> Result<Config, Failure> {
        let (kept, _) = LastGood::read(&self.places).unwrap();
        kept.config(&self.sources()).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.places[0].join(FILE.name)
    }
}

#[test]
fn what_was_taken_can_be_served_whatever_becomes_of_the_file() {
    let scene = Scene::with("");
    let config = scene.keep();
    fs::remove_file(scene.path("config.toml")).unwrap();
    let kept = scene.kept().unwrap();
    assert_eq!((&kept.text, &kept.source), (&config.text, &config.source));
    let names = |config: &Config| {
        let realms = config.realms.iter();
        let names = realms.map(|entry| (entry.pattern.to_string(), entry.ca.clone()));
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&kept), names(&config));
}

/// Where the daemon is started does not matter; which file it is told to read does, even if that one is missing.
#[test]
fn it_is_for_who_reads_the_same_file() {
    let scene = Scene::with("");
    scene.keep();
    let (kept, _) = LastGood::read(&scene.places).unwrap();
    let file = scene.path("config.toml");
    let by_hand = Sources {
        realms: vec!["EXAMPLE.COM=https://a.test".to_owned()],
        ..Sources::default()
    };
    let is_for = |sources: &Sources| kept.config(sources).is_some();
    let of_file = |file: &Path| Sources {
        file: Some(file.to_owned()),
        ..by_hand.clone()
    };
    for there in [true, false] {
        assert!(is_for(&of_file(&file)), "{there}");
        assert!(!is_for(&of_file(&scene.path("other.toml"))), "{there}");
        assert!(!is_for(&by_hand) && !is_for(&Sources::default()), "{there}");
        if there {
            fs::remove_file(&file).unwrap();
        }
    }
    let here = std::env::current_dir().unwrap();
    let relative = Config::parse(Path::new("own.toml"), "", &Sources::default());
    let kept = LastGood::of(&relative.unwrap(), None);
    assert!(kept.config(&of_file(&here.join("own.toml"))).is_some());
    let without = Config::load(&by_hand).unwrap();
    let kept = LastGood::of(&without, None);
    assert!(kept.config(&by_hand).is_some() && kept.config(&of_file(&file)).is_none());
}

/// What was not to be listened by yet is not what a later start listens by.
#[test]
fn sockets_are_those_of_the_start() {
    let scene = Scene::with("");
    let text = "[listen]\nkdc = [\"127.0.0.1:1088\"]";
    let before = Config::parse(Path::new(""), text, &Sources::default());
    let before = before.unwrap().text;
    let config = Config::load(&scene.sources()).unwrap();
    let kept = LastGood::of(&config, Some(before.clone()));
    kept.keep(&scene.places);
    let again = scene.kept().unwrap();
    assert_eq!(again.listen.kdc[0].to_string(), "127.0.0.1:1088");
    assert_eq!((again.realms.len(), again.text), (2, config.text));
    assert_eq!(kept.into_listen(), before);
}

#[test]
fn certificates_are_those_of_the_file_or_else_what_it_held() {
    let scene = Scene::with("");
    let before = scene.keep().realms[0].ca.clone();
    let file = scene.path("ca.pem");
    for text in ["-----BEGIN", ""] {
        fs::write(&file, text).unwrap();
        assert_eq!(scene.kept().unwrap().realms[1].ca, before);
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(scene.kept().unwrap().realms[0].ca, before);
    let other = rcgen::generate_simple_self_signed(vec!["other.test".to_owned()]).unwrap();
    fs::write(&file, other.cert.pem()).unwrap();
    let now = scene.kept().unwrap().realms[0].ca.clone().unwrap();
    assert_eq!(now.certs, [other.cert.der().clone()]);
}

#[test]
fn secrets_stay_in_their_files() {
    let scene = Scene::with("bearer-token-file = \"token\"");
    scene.keep();
    let kept = fs::read_to_string(scene.file()).unwrap();
    assert!(kept.contains("bearer-token-file") && !kept.contains("hidden"));
    assert_eq!(kept.matches("[[ca]]").count(), 1, "each file once: {kept}");
    scene.kept().unwrap();
    fs::remove_file(scene.path("token")).unwrap();
    assert!(scene.kept().is_err());
}

#[test]
fn it_is_for_nobody_else_and_written_only_if_it_changed() {
    let scene = Scene::with("");
    scene.keep();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&scene.places[0]), mode(&scene.file())),
        (0o700, 0o600)
    );
    let inode = || scene.file().metadata().unwrap().ino();
    let first = inode();
    scene.keep();
    assert_eq!(inode(), first);
    fs::write(scene.path("config.toml"), "# nothing\n").unwrap();
    scene.keep();
    assert_ne!(inode(), first);
    assert!(scene.kept().unwrap().realms.is_empty());
    let left = fs::read_dir(&scene.places[0]).unwrap();
    assert_eq!(left.count(), 1);
}

#[test]
fn what_does_not_fit_or_was_not_written_here_is_left_alone() {
    let scene = Scene::with("");
    assert!(LastGood::read(&scene.places).is_none());
    scene.keep();
    for text in ["text = 7", "", "\0", "file = \"/a\"\ntext = \"\""] {
        fs::write(scene.file(), text).unwrap();
        assert!(LastGood::read(&scene.places).is_none(), "{text}");
    }
    let long = "#".repeat(usize::try_from(FILE.most).unwrap());
    fs::write(scene.path("config.toml"), long).unwrap();
    scene.keep();
    assert!(LastGood::read(&scene.places).is_none());
    // Nowhere to write is no reason to end.
    let config = Config::load(&scene.sources()).unwrap();
    LastGood::of(&config, None).keep(&["/dev/null/state".into()]);
}
