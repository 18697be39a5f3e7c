//! What is refused under `[listen]`.

use std::path::Path;

use super::{REALM, error, refused, warnings};
use crate::config::{Config, Sources};

refused! {
    a_name_for_an_address: "[listen]\nkdc = [\"127.0.0.1:88\", \"localhost:88\"]\n" => r#"
loopkdc: error: f.toml:2:24: not an address to listen on
  |
2 | kdc = ["127.0.0.1:88", "localhost:88"]
  |                        ^^^^^^^^^^^^^^
loopkdc: hint: write an IP address and a port, as in "127.0.0.1:88" or "[::1]:88"
"#;
    an_address_without_a_port: "[listen]\nkpasswd = [\"::1\"]\n" => r#"
loopkdc: error: f.toml:2:12: not an address to listen on
  |
2 | kpasswd = ["::1"]
  |            ^^^^^
loopkdc: hint: write an IP address and a port, as in "127.0.0.1:464" or "[::1]:464"
"#;
    a_path_without_unix: "[listen]\nkdc = [\"/run/kdc.sock\"]\n" => r#"
loopkdc: error: f.toml:2:8: not an address to listen on
  |
2 | kdc = ["/run/kdc.sock"]
  |        ^^^^^^^^^^^^^^^
loopkdc: hint: a Unix socket is written "unix:/run/kdc.sock"
"#;
    a_relative_unix_socket: "[listen]\nkdc = [\"unix:kdc.sock\"]\n" => r#"
loopkdc: error: f.toml:2:8: the path of a Unix socket must be absolute
  |
2 | kdc = ["unix:kdc.sock"]
  |        ^^^^^^^^^^^^^^^
loopkdc: hint: write it from the root: "unix:/run/loopkdc.sock"
"#;
    an_address_for_all_the_world: "[listen]\nkdc = [\"0.0.0.0:88\"]\n" => r#"
loopkdc: error: f.toml:2:8: 0.0.0.0:88 is not a loopback address
  |
2 | kdc = ["0.0.0.0:88"]
  |        ^^^^^^^^^^^^
loopkdc: hint: to serve other machines too, set allow-remote-clients = true under [listen] in the file
"#;
    one_address_for_both_services: "[listen]\nkdc = [\"[::1]:88\"]\nkpasswd = [\"[::1]:464\", \"[::1]:88\"]\n" => r#"
loopkdc: error: f.toml:3:25: [::1]:88 is listed twice
  |
3 | kpasswd = ["[::1]:464", "[::1]:88"]
  |                         ^^^^^^^^^^
"#;
    nowhere_to_listen: "[listen]\nkdc = []\nkpasswd = []\n" => r#"
loopkdc: error: f.toml:3:11: kdc and kpasswd are both empty: nothing would listen
  |
3 | kpasswd = []
  |           ^^
"#;
    a_mode_that_is_not_octal: "[listen]\nunix-mode = \"0888\"\n" => r#"
loopkdc: error: f.toml:2:13: unix-mode goes from "0000" to "0777" in octal digits
  |
2 | unix-mode = "0888"
  |             ^^^^^^
loopkdc: hint: "0666" lets every local user in, "0660" the group
"#;
    a_relative_status_socket: "[listen]\nstatus-socket = \"status.sock\"\n" => r#"
loopkdc: error: f.toml:2:17: the path of a Unix socket must be absolute
  |
2 | status-socket = "status.sock"
  |                 ^^^^^^^^^^^^^
loopkdc: hint: write it from the root: "/run/loopkdc/status.sock", or "off" for none
"#;
    a_status_socket_that_is_a_services: "[listen]\nkdc = [\"unix:/run/a.sock\"]\nstatus-socket = \"/run/a.sock\"\n" => r#"
loopkdc: error: f.toml:3:17: unix:/run/a.sock is listed twice
  |
3 | status-socket = "/run/a.sock"
  |                 ^^^^^^^^^^^^^
"#;
    a_status_mode_that_is_not_octal: "[listen]\nstatus-mode = \"rw\"\n" => r#"
loopkdc: error: f.toml:2:15: status-mode goes from "0000" to "0777" in octal digits
  |
2 | status-mode = "rw"
  |               ^^^^
loopkdc: hint: "0666" lets every local user in, "0660" the group
"#;
    udp_replies_below_what_clients_take: "[listen]\nudp-reply-max-bytes = 511\n" => r#"
loopkdc: error: f.toml:2:23: udp-reply-max-bytes goes from 512 to 65507, 511 is outside
  |
2 | udp-reply-max-bytes = 511
  |                       ^^^
"#;
    udp_replies_above_what_udp_holds: "[listen]\nudp-reply-max-bytes = 65508\n" => r#"
loopkdc: error: f.toml:2:23: udp-reply-max-bytes goes from 512 to 65507, 65508 is outside
  |
2 | udp-reply-max-bytes = 65508
  |                       ^^^^^
"#;
    no_connections: "[listen]\nmax-connections = 0\n" => r#"
loopkdc: error: f.toml:2:19: max-connections goes from 1 to 65536, 0 is outside
  |
2 | max-connections = 0
  |                   ^
"#;
    no_patience: "[listen]\nidle-timeout-seconds = -1\n" => r#"
loopkdc: error: f.toml:2:24: idle-timeout-seconds goes from 1 to 3600, -1 is outside
  |
2 | idle-timeout-seconds = -1
  |                        ^^
"#;
    nothing_in_flight: "[listen]\nmax-in-flight = 0\n" => r#"
loopkdc: error: f.toml:2:17: max-in-flight goes from 1 to 65536, 0 is outside
  |
2 | max-in-flight = 0
  |                 ^
"#;
}

#[test]
fn a_unix_path_longer_than_a_socket_address() {
    let path = "/".to_owned() + &"x".repeat(107);
    let shown = error(&format!("[listen]\nkdc = [\"unix:{path}\"]\n"));
    assert!(shown.starts_with("loopkdc: error: f.toml:2:8: the path of a Unix socket has at most 107 bytes, this one has 108\n"), "{shown}");
}

#[test]
fn a_key_that_does_nothing_any_more_is_warned_about() {
    let text = format!("{REALM}[listen]\nmax-in-flight = 5\nexit-when-idle-seconds = 600\n");
    let config = Config::parse(Path::new("f.toml"), &text, &Sources::default()).unwrap();
    assert_eq!(config.listen.max_in_flight, 5);
    assert_eq!(
        warnings(&config),
        ["f.toml:5:1: exit-when-idle-seconds does nothing any more; delete the line"]
    );
}
