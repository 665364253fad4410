//! Config providers: `${provider:path:key}` in a configuration stands for a text that is kept
//! elsewhere (KIP-297; Kafka, `ConfigTransformer`).
//!
//! The operator names the providers, and what of the machine they may read; connectors only refer
//! to them. What a reference stands for goes into the memory of a task and nowhere else: it is never
//! stored, shown or logged. [`Resolved::hidden`] puts the references back into texts that may hold
//! what they stand for.

mod reference;
mod source;

use std::collections::BTreeMap;

use super::{Props, Secret};
use crate::error::ConnectError;
use reference::{Reference, parts};
use source::Source;

const PROVIDERS: &str = "config.providers";

/// A text that is shorter is put back only where it is the whole value: it may stand anywhere.
const HIDDEN_EVERYWHERE_MIN: usize = 4;

/// The providers of a worker.
#[derive(Debug, Clone, Default)]
pub struct ConfigProviders {
    sources: BTreeMap<String, Source>,
}

impl ConfigProviders {
    /// The providers that the worker's settings name. `env` is the process's environment, of which
    /// an environment provider keeps what it may show.
    ///
    /// # Errors
    /// When a provider's class is unknown or its parameters are wrong.
    pub fn from_settings(settings: &Props, env: &Props) -> Result<Self, ConnectError> {
        let names = settings.get(PROVIDERS).map_or("", String::as_str);
        let mut sources = BTreeMap::new();
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let prefix = format!("{PROVIDERS}.{name}.");
            let class = settings.get(&format!("{prefix}class")).map_or("", |class| class.trim());
            let params = super::with_prefix(settings, &format!("{prefix}param."));
            let source = Source::new(class, &params, env).map_err(|reason| {
                ConnectError::config(format!("config provider \"{name}\": {reason}"))
            })?;
            sources.insert(name.to_owned(), source);
        }
        Ok(Self { sources })
    }

    /// The names of the providers that may read everything of their kind, with the setting that
    /// bounds them.
    pub fn unbounded(&self) -> Vec<(&str, String)> {
        let unbounded = self.sources.iter().filter_map(|(name, source)| {
            Some((name.as_str(), format!("{PROVIDERS}.{name}.param.{}", source.missing_bound()?)))
        });
        unbounded.collect()
    }

    /// Whether `props` may refer to a provider: without it, resolving reads nothing.
    pub fn concern<'a>(&self, mut values: impl Iterator<Item = &'a String>) -> bool {
        !self.sources.is_empty() && values.any(|value| value.contains("${"))
    }

    /// Replaces every reference by what it stands for. A reference to an unknown provider, or to
    /// something that is not there or not allowed, stays as it is, as in the original; it is named
    /// in [`Resolved::missing`].
    ///
    /// Reads files: not for a thread that must not block.
    ///
    /// # Errors
    /// When a provider cannot answer: a file that cannot be read.
    pub fn resolve(&self, props: &Props) -> Result<Resolved, ConnectError> {
        let mut resolved = Resolved { props: props.clone(), ..Resolved::default() };
        if !self.concern(props.values()) {
            return Ok(resolved);
        }
        let mut read = BTreeMap::new();
        for (key, value) in &mut resolved.props {
            let Some(text) = self.resolve_text(value, &mut read, &mut resolved.missing)? else {
                continue;
            };
            resolved.references.insert(
                key.clone(),
                Substitution { reference: value.clone(), text: Secret::new(text.clone()) },
            );
            *value = text;
        }
        for (reference, text) in read {
            if let Some(text) = text {
                resolved.secrets.push(Substitution { reference, text });
            }
        }
        // The longest first: one secret may contain another.
        resolved.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.text.expose().len()));
        Ok(resolved)
    }

    /// `None`: nothing was replaced. `read` keeps what each reference stands for.
    fn resolve_text(
        &self,
        text: &str,
        read: &mut BTreeMap<String, Option<Secret>>,
        missing: &mut Vec<String>,
    ) -> Result<Option<String>, ConnectError> {
        let mut replaced = false;
        let mut out = String::new();
        for part in parts(text) {
            let Reference { whole, provider, path, key } = match part {
                Ok(reference) => reference,
                Err(literal) => {
                    out.push_str(literal);
                    continue;
                }
            };
            let Some(source) = self.sources.get(provider) else {
                out.push_str(whole);
                continue;
            };
            if !read.contains_key(whole) {
                read.insert(whole.to_owned(), source.get(path, key)?);
            }
            match &read[whole] {
                Some(secret) => {
                    replaced = true;
                    out.push_str(secret.expose());
                }
                None => {
                    missing.push(whole.to_owned());
                    out.push_str(whole);
                }
            }
        }
        Ok(replaced.then_some(out))
    }
}

/// A configuration with its references resolved.
#[derive(Debug, Clone, Default)]
pub struct Resolved {
    /// What the task is made from. Holds secrets under any key.
    pub props: Props,
    /// The references that stand for nothing, and stayed.
    pub missing: Vec<String>,
    /// The keys whose values changed.
    references: BTreeMap<String, Substitution>,
    /// Each single reference.
    secrets: Vec<Substitution>,
}

#[derive(Debug, Clone)]
struct Substitution {
    /// The reference, or the value that holds it, as submitted.
    reference: String,
    text: Secret,
}

impl Resolved {
    /// A configuration that refers to nothing.
    pub fn plain(props: Props) -> Self {
        Self { props, ..Self::default() }
    }

    /// The value of `key` as submitted, when it holds a reference.
    pub fn reference(&self, key: &str) -> Option<&str> {
        self.references.get(key).map(|substitution| substitution.reference.as_str())
    }

    /// Takes over the secrets of another configuration of the same task, and returns that one.
    pub fn absorb(&mut self, other: Self) -> Props {
        self.secrets.extend(other.secrets);
        other.props
    }

    /// As [`Resolved::hidden`], in a text about the value of `key`: it may be of any length.
    pub fn hidden_at(&self, key: &str, text: &str) -> String {
        let text = self.hidden(text);
        match self.references.get(key) {
            Some(Substitution { reference, text: secret }) if !secret.expose().is_empty() => {
                text.replace(secret.expose(), reference)
            }
            _ => text,
        }
    }

    /// `text` with the references in place of what they stand for.
    pub fn hidden(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for Substitution { reference, text: secret } in &self.secrets {
            let secret = secret.expose();
            if HIDDEN_EVERYWHERE_MIN <= secret.len() && text.contains(secret) {
                text = text.replace(secret, reference);
            }
        }
        text
    }

    /// What may be stored of a configuration that was derived from this one: the references again,
    /// under whatever key their texts came to stand.
    pub fn restored(&self, mut derived: Props) -> Props {
        for (key, value) in &mut derived {
            match self.references.get(key) {
                Some(same) if same.text.expose() == value.as_str() => {
                    value.clone_from(&same.reference);
                }
                _ => *value = self.hidden(value),
            }
        }
        derived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(pairs: &[(&str, &str)]) -> Props {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn environment(env: &[(&str, &str)]) -> ConfigProviders {
        let settings = props(&[
            ("config.providers", "env, other"),
            (
                "config.providers.env.class",
                "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
            ),
            ("config.providers.other.class", "EnvVarConfigProvider"),
        ]);
        ConfigProviders::from_settings(&settings, &props(env)).unwrap()
    }

    #[test]
    fn references_are_replaced_wherever_they_stand() {
        let providers = environment(&[("HOST", "db"), ("PORT", "5433"), ("S", "p$${w")]);
        for (text, expected) in [
            ("plain", "plain"),
            ("${env:HOST}", "db"),
            ("${env::HOST}", "db"),
            ("http://${env:HOST}:${other:PORT}/x", "http://db:5433/x"),
            ("${env:S}", "p$${w"),
            ("${env:NONE}", "${env:NONE}"),
            ("${nobody:HOST}", "${nobody:HOST}"),
            ("${HOST}", "${HOST}"),
            ("${env:HOST", "${env:HOST"),
            ("$${env:HOST}}", "$db}"),
            ("${${env:HOST}}", "${${env:HOST}}"),
        ] {
            let resolved = providers.resolve(&props(&[("k", text)])).unwrap();
            assert_eq!(resolved.props["k"], expected, "{text}");
        }
        let missing =
            providers.resolve(&props(&[("k", "${env:NONE} ${nobody:X}")])).unwrap().missing;
        assert_eq!(missing, ["${env:NONE}"]);
    }

    #[test]
    fn nothing_is_resolved_without_providers() {
        let submitted = props(&[("k", "${env:HOST}")]);
        let none = ConfigProviders::from_settings(&Props::new(), &props(&[("HOST", "h")])).unwrap();
        assert_eq!(none.resolve(&submitted).unwrap().props, submitted);
    }

    #[test]
    fn an_environment_has_no_paths() {
        let error = environment(&[]).resolve(&props(&[("k", "${env:/x:HOST}")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Path is not supported for EnvVarConfigProvider, invalid value '/x'"
        );
    }

    #[test]
    fn what_may_be_stored_holds_references_again() {
        let providers = environment(&[("PW", "hunter2"), ("N", "1")]);
        let submitted = props(&[("a", "${env:PW}"), ("b", "x-${env:PW}"), ("n", "${env:N}")]);
        let resolved = providers.resolve(&submitted).unwrap();
        assert_eq!(resolved.reference("b"), Some("x-${env:PW}"));
        let mut derived = resolved.props.clone();
        derived.insert("url".to_owned(), "postgres://u:hunter2@h".to_owned());
        derived.insert("task.id".to_owned(), "1".to_owned());
        let restored = resolved.restored(derived);
        for (key, value) in [
            ("a", "${env:PW}"),
            ("b", "x-${env:PW}"),
            ("n", "${env:N}"),
            ("url", "postgres://u:${env:PW}@h"),
            ("task.id", "1"),
        ] {
            assert_eq!(restored[key], value, "{key}");
        }
        assert_eq!(resolved.hidden("no hunter2 here"), "no ${env:PW} here");
        assert!(!format!("{providers:?}").contains("hunter2"));
    }

    #[test]
    fn unknown_classes_are_refused() {
        let settings = props(&[("config.providers", "v"), ("config.providers.v.class", "a.Vault")]);
        let error = ConfigProviders::from_settings(&settings, &Props::new()).unwrap_err();
        assert!(error.to_string().contains("FileConfigProvider"), "{error}");
    }
}
