//! `headers`, `headers-file` and `bearer-token-file`.

use reqwest::header::AUTHORIZATION;
use toml::Spanned;

use super::Keys;
use super::files::Files;
use crate::config::error::ConfigError;
use crate::config::file::List;
use crate::relay::upstream::out::{Header, Shown, parse_headers, parse_token};

pub(super) fn shown(keys: Keys<'_>, files: Files<'_>) -> Result<Shown, ConfigError> {
    let headers = keys.get(|table| &table.headers);
    let headers = headers.map_or(Ok(Vec::new()), listed)?;
    let headers_file = keys.get(|table| &table.headers_file);
    let bearer_token_file = keys.get(|table| &table.bearer_token_file);
    let mut all = headers.clone();
    let headers_file = match headers_file {
        Some(written) => {
            let (path, text) = files.read_text("headers-file", written)?;
            all.extend(parse_headers(&text).map_err(|(line, error)| {
                ConfigError::new(format!(
                    "headers-file {}, line {line}: {error}",
                    path.display()
                ))
                .at(written.span())
            })?);
            Some(path)
        }
        None => None,
    };
    let bearer_token_file = match bearer_token_file {
        Some(written) => {
            let (path, text) = files.read_text("bearer-token-file", written)?;
            let token = parse_token(&text).map_err(|error| {
                ConfigError::new(format!("bearer-token-file {}: {error}", path.display()))
                    .at(written.span())
            })?;
            all.push(token);
            Some(path)
        }
        None => None,
    };
    let last = keys.auth().or(keys.get(|table| &table.bearer_token_file));
    if let Some(last) = last {
        one_authorization(&all, keys.auth().is_some()).map_err(|broken| broken.at(last.span()))?;
    }
    Ok(Shown {
        headers,
        headers_file,
        bearer_token_file,
    })
}

fn listed(list: &Spanned<List>) -> Result<Vec<Header>, ConfigError> {
    let mut headers = Vec::new();
    for written in &list.get_ref().0 {
        let broken = |rule: String| ConfigError::new(rule).at(written.span());
        let parsed =
            parse_headers(written.get_ref()).map_err(|(_, error)| broken(error.to_string()))?;
        let [header] = <[Header; 1]>::try_from(parsed)
            .map_err(|_| broken("a header is one line, \"Name: value\"".to_owned()))?;
        headers.push(header);
    }
    Ok(headers)
}

/// A second one would replace the first.
fn one_authorization(headers: &[Header], and_tickets: bool) -> Result<(), ConfigError> {
    let count = headers
        .iter()
        .filter(|(name, _)| name == AUTHORIZATION)
        .count();
    if count + usize::from(and_tickets) > 1 {
        return Err(
            ConfigError::new("a request has one Authorization, and there are two")
                .hint("of auth, bearer-token-file and a header Authorization choose one"),
        );
    }
    Ok(())
}
