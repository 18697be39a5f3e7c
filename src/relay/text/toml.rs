//! Strings of TOML, as hints have them to be written into a configuration.

/// `text`, none of which is unseen, as a string of TOML.
pub(crate) fn string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_what_it_was() {
        for text in ["EXAMPLE.COM", "A\"]B", "A\\", "\\\"", ""] {
            let table: toml::Table = format!("key = {}", string(text)).parse().unwrap();
            assert_eq!(table["key"].as_str(), Some(text));
        }
        assert_eq!(string("EXAMPLE.COM"), "\"EXAMPLE.COM\"");
    }
}
