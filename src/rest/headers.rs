//! Headers that the worker's settings add to answers: cross-origin access and
//! `response.http.headers.config` (Kafka Connect, `RestServerConfig`; Jetty, `CrossOriginFilter` and
//! `HeaderFilter`).

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::config::Props;

/// What is added to answers.
#[derive(Debug, Default)]
pub(super) struct AddedHeaders {
    /// `access.control.allow.origin`: origins, in which `*` stands for anything.
    origins: Vec<String>,
    /// `access.control.allow.methods`
    methods: Vec<String>,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    action: Action,
    name: HeaderName,
    value: Value,
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Set,
    Add,
}

#[derive(Debug)]
enum Value {
    Text(HeaderValue),
    /// The time of the answer and so many milliseconds.
    Date(i64),
}

/// What of a request decides about cross-origin headers.
#[derive(Debug)]
pub(super) struct CrossOrigin {
    origin: HeaderValue,
    /// The method that a preflight asks for.
    preflight: Option<HeaderValue>,
}

impl CrossOrigin {
    /// `None` when the request comes from no other origin.
    pub(super) fn of(method: &Method, request: &HeaderMap) -> Option<Self> {
        let origin = request.get(ORIGIN)?.clone();
        let preflight = request.get(ACCESS_CONTROL_REQUEST_METHOD).cloned();
        Some(Self { origin, preflight: preflight.filter(|_| method == Method::OPTIONS) })
    }
}

impl AddedHeaders {
    /// Reads the settings; a rule that cannot be read is left out with a warning.
    pub(super) fn of(settings: &Props) -> Self {
        let list = |key: &str| {
            let items = settings.get(key).map_or("", String::as_str).split(',');
            let items = items.map(str::trim).filter(|item| !item.is_empty());
            items.map(str::to_owned).collect::<Vec<_>>()
        };
        let mut methods = list("access.control.allow.methods");
        if methods.is_empty() {
            methods = ["GET", "POST", "HEAD"].map(str::to_owned).to_vec();
        }
        let rules = settings.get("response.http.headers.config").map_or("", String::as_str);
        let rules = comma_separated(rules).into_iter().filter_map(|text| {
            let rule = Rule::parse(&text);
            if rule.is_none() {
                tracing::warn!(rule = text, "response.http.headers.config: cannot read a rule");
            }
            rule
        });
        Self { origins: list("access.control.allow.origin"), methods, rules: rules.collect() }
    }

    /// Adds the headers.
    pub(super) fn add(&self, cross_origin: Option<&CrossOrigin>, response: &mut HeaderMap) {
        if let Some(cross_origin) = cross_origin {
            self.add_cross_origin(cross_origin, response);
        }
        for Rule { action, name, value } in &self.rules {
            let value = match value {
                Value::Text(text) => text.clone(),
                Value::Date(millis) => http_date(*millis),
            };
            match action {
                Action::Set => {
                    response.insert(name.clone(), value);
                }
                Action::Add => {
                    response.append(name.clone(), value);
                }
            }
        }
    }

    fn add_cross_origin(&self, request: &CrossOrigin, response: &mut HeaderMap) {
        let origin = request.origin.to_str().unwrap_or_default();
        if !self.origins.iter().any(|pattern| matches(pattern, origin)) {
            return;
        }
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, request.origin.clone());
        response.append(VARY, HeaderValue::from_static("Origin"));
        response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        let Some(method) = &request.preflight else { return };
        if !self.methods.iter().any(|allowed| method == allowed.as_str()) {
            return;
        }
        let Ok(methods) = HeaderValue::from_str(&self.methods.join(",")) else { return };
        response.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("1800"));
        response.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        let headers = "X-Requested-With,Content-Type,Accept,Origin";
        response.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(headers));
    }
}

impl Rule {
    /// `ACTION NAME:VALUE`
    fn parse(text: &str) -> Option<Self> {
        let (action, header) = text.trim().split_once(char::is_whitespace)?;
        let (name, value) = header.split_once(':')?;
        let (name, value) = (name.trim().parse().ok()?, value.trim());
        let text = || HeaderValue::from_str(value).ok().map(Value::Text);
        let date = || value.parse().ok().map(Value::Date);
        let (action, value) = match action {
            "set" => (Action::Set, text()?),
            "add" => (Action::Add, text()?),
            "setDate" => (Action::Set, date()?),
            "addDate" => (Action::Add, date()?),
            _ => return None,
        };
        Some(Self { action, name, value })
    }
}

fn http_date(millis_from_now: i64) -> HeaderValue {
    let then = chrono::TimeDelta::try_milliseconds(millis_from_now)
        .and_then(|delta| chrono::Utc::now().checked_add_signed(delta))
        .unwrap_or(chrono::DateTime::<chrono::Utc>::MAX_UTC);
    let text = then.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    HeaderValue::from_str(&text).expect("a date is ASCII")
}

/// Whether `origin` fits `pattern`, in which `*` stands for anything.
fn matches(pattern: &str, origin: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == origin };
    let Some(rest) = origin.strip_prefix(before) else { return false };
    after.is_empty()
        || (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|end| matches(after, end)))
}

/// Items between commas; an item in double quotes may hold commas.
fn comma_separated(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut quoted = false;
    for character in text.chars() {
        match (character, items.last_mut()) {
            ('"', _) => quoted = !quoted,
            (',', _) if !quoted => items.push(String::new()),
            (character, Some(item)) => item.push(character),
            (_, None) => {}
        }
    }
    items.retain(|item| !item.trim().is_empty());
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(
        settings: &[(&str, &str)],
        origin: Option<&str>,
        preflight: Option<&str>,
    ) -> HeaderMap {
        let settings =
            settings.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let request = origin.map(|origin| CrossOrigin {
            origin: HeaderValue::from_str(origin).unwrap(),
            preflight: preflight.map(|method| HeaderValue::from_str(method).unwrap()),
        });
        let mut response = HeaderMap::new();
        AddedHeaders::of(&settings).add(request.as_ref(), &mut response);
        response
    }

    #[test]
    fn rules_add_and_set_headers() {
        let rules =
            "add X-A: 1, set X-B:2,\"set Cache-Control: no-cache, no-store\",setDate X-D:0, bad";
        let response = added(&[("response.http.headers.config", rules)], None, None);
        assert_eq!(response["x-a"], "1");
        assert_eq!(response["x-b"], "2");
        assert_eq!(response["cache-control"], "no-cache, no-store");
        assert!(response["x-d"].to_str().unwrap().ends_with(" GMT"));
        assert_eq!(response.len(), 4);
    }

    #[test]
    fn only_allowed_origins_get_access() {
        let settings = [("access.control.allow.origin", "http://a.example, https://*.b.example")];
        for (origin, allowed) in [
            ("http://a.example", true),
            ("https://x.b.example", true),
            ("https://b.example", false),
            ("http://c.example", false),
        ] {
            let response = added(&settings, Some(origin), None);
            assert_eq!(response.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), allowed, "{origin}");
        }
        let response = added(&settings, Some("http://a.example"), Some("POST"));
        assert_eq!(response[ACCESS_CONTROL_ALLOW_ORIGIN], "http://a.example");
        assert_eq!(response[VARY], "Origin");
        assert_eq!(response[ACCESS_CONTROL_MAX_AGE], "1800");
        assert_eq!(response[ACCESS_CONTROL_ALLOW_METHODS], "GET,POST,HEAD");
        assert!(added(&[], Some("http://a.example"), Some("POST")).is_empty());
    }
}
