//! An authority for clients, by openssl itself: it issues, revokes, and says so in a list.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CONFIGURATION: &str = "
[ca]
default_ca = clients
[clients]
database = index.txt
new_certs_dir = .
serial = serial
crlnumber = serial
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_days = 30
default_crl_days = 30
policy = any
copy_extensions = copy
[any]
commonName = supplied
";

pub(crate) struct OpensslCa {
    dir: PathBuf,
}

impl OpensslCa {
    /// A new one with its files in `dir`, and a list that names nobody.
    pub(crate) fn new(dir: PathBuf) -> OpensslCa {
        fs::create_dir(&dir).unwrap();
        for (name, text) in [
            ("ca.cnf", CONFIGURATION),
            ("index.txt", ""),
            ("serial", "1000\n"),
        ] {
            fs::write(dir.join(name), text).unwrap();
        }
        let ca = OpensslCa { dir };
        ca.request("ca", "-x509 -days 30 -out ca.pem -subj /CN=Clients");
        ca.list("");
        ca
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A certificate for this DNS name, and its key: NAME.pem and NAME.key.
    pub(crate) fn issue(&self, name: &str) {
        let subject = format!("-out {name}.csr -subj /CN={name} -addext subjectAltName=DNS:{name}");
        self.request(name, &subject);
        self.ca(&format!("-in {name}.csr -out {name}.pem -notext"));
    }

    pub(crate) fn revoke(&self, name: &str) {
        self.ca(&format!("-revoke {name}.pem"));
    }

    /// Puts a new list of the revoked into crl.pem, made with these options.
    pub(crate) fn list(&self, options: &str) {
        self.ca(&format!("-gencrl -out new.pem {options}"));
        fs::rename(self.path("new.pem"), self.path("crl.pem")).unwrap();
    }

    fn request(&self, name: &str, options: &str) {
        let key = format!("-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key");
        openssl(&self.dir, &format!("req {key} {options}"));
    }

    fn ca(&self, options: &str) {
        openssl(&self.dir, &format!("ca -batch -config ca.cnf {options}"));
    }
}

fn openssl(dir: &Path, line: &str) {
    let mut command = Command::new("openssl");
    let output = command.args(line.split_whitespace()).current_dir(dir);
    let output = output.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {line}: {said}");
}
