//! What is refused before any rule of a value.

use super::{error, names, refused};
use crate::config::keys::RUN;

refused! {
    a_key_that_nobody_knows: "[listen]\nport = 88\n" => format!(r#"
loopkdc: error: f.toml:2:1: unknown key `port`
  |
2 | port = **
  | ^^^^
loopkdc: hint: the keys known here are {}
"#, names(RUN.service));
    a_table_that_nobody_knows: "[realm.\"A\"]\n" => r#"
loopkdc: error: f.toml:1:2: unknown key `realm`
  |
1 | [realm."A"]
  |  ^^^^^
loopkdc: hint: did you mean realms?
"#;
    a_key_that_is_misspelt: "[listen]\nmax-conections = 1\n" => r#"
loopkdc: error: f.toml:2:1: unknown key `max-conections`
  |
2 | max-conections = 1
  | ^^^^^^^^^^^^^^
loopkdc: hint: did you mean max-connections?
"#;
    a_key_in_the_spelling_of_others: "[defaults]\nCA_File = \"ca.pem\"\n" => r#"
loopkdc: error: f.toml:2:1: unknown key `CA_File`
  |
2 | CA_File = "ca.pem"
  | ^^^^^^^
loopkdc: hint: did you mean ca-file?
"#;
    a_realm_without_quotes: "[realms.EXAMPLE.COM]\nproxies = [\"https://p\"]\n" => r#"
loopkdc: error: f.toml:1:17: unknown key `COM`
  |
1 | [realms.EXAMPLE.COM]
  |                 ^^^
loopkdc: hint: a realm needs quotes here: [realms."EXAMPLE.COM"]
"#;
    what_is_not_toml: "[listen]\nkdc = [\"127.0.0.1:88\"\nkpasswd = []\n" => r#"
loopkdc: error: f.toml:3:1: missing comma between array elements, expected `,`
  |
3 | kpasswd = []
  | ^
"#;
    a_string_for_an_array: "\n\n[realms.\"A\"]\n\taliases = \"CORP\"\n" => "
loopkdc: error: f.toml:4:12: aliases can't be of type string
  |
4 | \taliases = \"CORP\"
  | \t          ^^^^^^
loopkdc: hint: write it like aliases = [\"CORP\"]
";
    a_number_for_a_string: "[realms.\"Ä\"]\nproxies = [\"https://ä\", 7]\n" => r#"
loopkdc: error: f.toml:2:25: proxies can't be of type integer
  |
2 | proxies = ["https://ä", 7]
  |                         ^
loopkdc: hint: write it like proxies = ["https://kdcproxy.example.com/KdcProxy"]
"#;
    a_string_for_a_number: "[defaults]\ndeadline-seconds = \"9\"\n" => r#"
loopkdc: error: f.toml:2:20: deadline-seconds can't be of type string
  |
2 | deadline-seconds = "9"
  |                    ^^^
loopkdc: hint: write it like deadline-seconds = 9
"#;
    what_would_be_an_order_to_the_terminal: "[listen]\nkdc = \"\u{1b}[31m\"\n" => "
loopkdc: error: f.toml:2:8: invalid basic string, expected non-double-quote visible characters, `\\`
  |
2 | kdc = \"\u{fffd}[31m\"
  |        ^
";
    what_would_be_one_in_the_name_of_a_file: "[realms.\"A\"]\nproxies = [\"https://p\"]\nca-file = \"/nonexistent/\u{81}.pem\"\n" => "
loopkdc: error: f.toml:3:11: ca-file /nonexistent/\u{fffd}.pem does not exist
  |
3 | ca-file = \"/nonexistent/\u{fffd}.pem\"
  |           ^^^^^^^^^^^^^^^^^^^^
";
    the_same_key_twice: "[realms.\"A\"]\n[realms.\"A\"]\n" => r#"
loopkdc: error: f.toml:2:9: duplicate key
  |
2 | [realms."A"]
  |         ^^^
"#;
}
