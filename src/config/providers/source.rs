//! Where a provider's texts are: a properties file, a folder of files, the environment (Kafka,
//! `FileConfigProvider`, `DirectoryConfigProvider`, `EnvVarConfigProvider`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fancy_regex::Regex;

use crate::config::{Props, Secret, parse_properties};
use crate::error::ConnectError;

/// Longer files are no configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Variables with these prefixes are the worker's own settings and credentials: a connector gets
/// them only by a pattern that names them.
const OWN_VARIABLES: [&str; 4] = ["FERROCONNECT_", "CONNECT_", "DATABASE_URL", "AWS_"];

/// A provider.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// The path is a properties file.
    File(Allowed),
    /// The path is a folder, the key a file in it, the text all of that file.
    Directory(Allowed),
    /// The key is a variable.
    Environment { variables: BTreeMap<String, Secret>, bounded: bool },
}

/// The folders and files that may be read, as they really lie; `None`: all.
type Allowed = Option<Vec<PathBuf>>;

impl Source {
    /// A provider of class `class`.
    pub(super) fn new(class: &str, params: &Props, env: &Props) -> Result<Self, String> {
        match class.rsplit('.').next().unwrap_or_default() {
            "FileConfigProvider" => Ok(Self::File(allowed(params)?)),
            "DirectoryConfigProvider" => Ok(Self::Directory(allowed(params)?)),
            "EnvVarConfigProvider" => {
                let pattern = params.get("allowlist.pattern").map(|pattern| pattern.trim());
                let pattern = pattern.filter(|pattern| !pattern.is_empty());
                let variables = variables(pattern, env)?;
                Ok(Self::Environment { variables, bounded: pattern.is_some() })
            }
            _ => Err(format!(
                "its class \"{class}\" is none of this worker: FileConfigProvider, \
                 DirectoryConfigProvider or EnvVarConfigProvider of \
                 org.apache.kafka.common.config.provider"
            )),
        }
    }

    /// The parameter that would bound what this provider reads, when it is not set.
    pub(super) fn missing_bound(&self) -> Option<&'static str> {
        match self {
            Self::File(None) | Self::Directory(None) => Some("allowed.paths"),
            Self::Environment { bounded: false, .. } => Some("allowlist.pattern"),
            _ => None,
        }
    }

    /// The text at `path` and `key`; `None` when there is none, or it must not be read.
    pub(super) fn get(&self, path: &str, key: &str) -> Result<Option<Secret>, ConnectError> {
        match self {
            Self::File(allowed) => {
                let Some(path) = within(allowed, path) else { return Ok(None) };
                let properties = read(&path).map_err(|cause| {
                    unreadable("Could not read properties from file", &path, cause)
                })?;
                let properties = parse_properties(&properties)
                    // The reason names a line, never its text.
                    .map_err(|cause| {
                        unreadable("Could not read properties from file", &path, cause)
                    })?;
                Ok(properties.get(key).map(Secret::new))
            }
            Self::Directory(allowed) => {
                // A key is the name of a file: with anything else it would be a path.
                if key.is_empty() || key.contains('/') || key == ".." {
                    return Ok(None);
                }
                let file = Path::new(path).join(key);
                let Some(file) = within(allowed, &file.to_string_lossy()) else { return Ok(None) };
                if !file.is_file() {
                    return Ok(None);
                }
                let text =
                    read(&file).map_err(|cause| unreadable("Could not read file", &file, cause))?;
                Ok(Some(Secret::new(text)))
            }
            Self::Environment { .. } if !path.is_empty() => Err(ConnectError::config(format!(
                "Path is not supported for EnvVarConfigProvider, invalid value '{path}'"
            ))),
            Self::Environment { variables, .. } => Ok(variables.get(key).cloned()),
        }
    }
}

fn allowed(params: &Props) -> Result<Allowed, String> {
    let Some(paths) = params.get("allowed.paths").filter(|paths| !paths.trim().is_empty()) else {
        return Ok(None);
    };
    let real = |path: &str| {
        if !Path::new(path).is_absolute() {
            return Err(format!("allowed.paths: \"{path}\" is no absolute path"));
        }
        fs::canonicalize(path).map_err(|error| format!("allowed.paths: \"{path}\": {error}"))
    };
    paths
        .split(',')
        .map(str::trim)
        .filter(|path| !path.is_empty())
        .map(real)
        .collect::<Result<_, _>>()
        .map(Some)
}

fn variables(pattern: Option<&str>, env: &Props) -> Result<BTreeMap<String, Secret>, String> {
    let whole = pattern.map(|pattern| {
        Regex::new(&format!("^(?:{pattern})$"))
            .map_err(|error| format!("allowlist.pattern \"{pattern}\" cannot be read: {error}"))
    });
    let whole = whole.transpose()?;
    let shown = |name: &str| match &whole {
        Some(pattern) => pattern.is_match(name).unwrap_or(false),
        None => !OWN_VARIABLES.iter().any(|own| name.starts_with(own)),
    };
    let variables = env.iter().filter(|(name, _)| shown(name));
    Ok(variables.map(|(name, value)| (name.clone(), Secret::new(value))).collect())
}

/// Where `path` really lies, when it may be read: links and `..` lead nowhere else. A path that does
/// not exist is returned as it is, so that its absence is told, but only within the allowed folders.
fn within(allowed: &Allowed, path: &str) -> Option<PathBuf> {
    let Some(allowed) = allowed else { return Some(PathBuf::from(path)) };
    let may = |real: &Path| allowed.iter().any(|allowed| real.starts_with(allowed));
    match fs::canonicalize(path) {
        Ok(real) => may(&real).then_some(real),
        Err(_) => {
            let folder = fs::canonicalize(Path::new(path).parent()?).ok()?;
            may(&folder).then(|| PathBuf::from(path))
        }
    }
}

fn read(path: &Path) -> Result<String, std::io::Error> {
    let length = fs::metadata(path)?.len();
    if FILE_BYTES_MAX < length {
        let text = format!("{length} bytes, at most {FILE_BYTES_MAX} are read");
        return Err(std::io::Error::other(text));
    }
    fs::read_to_string(path)
}

/// A mount that is not there yet comes: the task tries again.
fn unreadable(
    what: &str,
    path: &Path,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> ConnectError {
    ConnectError::retriable(format!("{what} {}", path.display())).because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(pairs: &[(&str, &str)]) -> Props {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn folder(name: &str) -> PathBuf {
        let unique = format!("ferroconnect-provider-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(unique);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("inside")).unwrap();
        fs::write(folder.join("inside/s.properties"), "pw=hunter2\nurl = a:b=c\n").unwrap();
        fs::write(folder.join("inside/whole"), "line\n").unwrap();
        fs::write(folder.join("outside"), "pw=no").unwrap();
        std::os::unix::fs::symlink(folder.join("outside"), folder.join("inside/link")).unwrap();
        folder
    }

    fn text(source: &Source, path: &str, key: &str) -> Option<String> {
        source.get(path, key).unwrap().map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn files_are_read_where_it_is_allowed() {
        let folder = folder("file");
        let at = |rest: &str| folder.join(rest).to_string_lossy().into_owned();
        let bounded = Source::new(
            "FileConfigProvider",
            &props(&[("allowed.paths", &at("inside"))]),
            &props(&[]),
        )
        .unwrap();
        let file = at("inside/s.properties");
        assert_eq!(text(&bounded, &file, "pw").as_deref(), Some("hunter2"));
        assert_eq!(text(&bounded, &file, "url").as_deref(), Some("a:b=c"));
        assert_eq!(text(&bounded, &file, "none"), None);
        for escape in ["outside", "inside/../outside", "inside/link", "none/none"] {
            assert_eq!(text(&bounded, &at(escape), "pw"), None, "{escape}");
        }
        let error = bounded.get(&at("inside/none"), "pw").unwrap_err();
        let expected = format!("Could not read properties from file {}", at("inside/none"));
        assert_eq!(error.to_string(), expected);
        let all = Source::new("a.FileConfigProvider", &props(&[]), &props(&[])).unwrap();
        assert_eq!(text(&all, &at("outside"), "pw").as_deref(), Some("no"));
        assert_eq!((all.missing_bound(), bounded.missing_bound()), (Some("allowed.paths"), None));
        let relative =
            Source::new("FileConfigProvider", &props(&[("allowed.paths", "x")]), &props(&[]));
        assert!(relative.unwrap_err().contains("absolute"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_of_a_folder_is_a_text() {
        let folder = folder("dir");
        let at = |rest: &str| folder.join(rest).to_string_lossy().into_owned();
        let source = Source::new(
            "DirectoryConfigProvider",
            &props(&[("allowed.paths", &at("inside"))]),
            &props(&[]),
        )
        .unwrap();
        assert_eq!(text(&source, &at("inside"), "whole").as_deref(), Some("line\n"));
        for (path, key) in [
            ("inside", "none"),
            ("inside", "../outside"),
            ("inside", "link"),
            ("inside", ""),
            ("", "outside"),
        ] {
            assert_eq!(text(&source, &at(path), key), None, "{path} {key}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn variables_are_those_that_the_pattern_names() {
        let env = props(&[("DB_PW", "1"), ("AWS_SECRET_ACCESS_KEY", "2"), ("XDB_PW", "3")]);
        let bounded =
            Source::new("EnvVarConfigProvider", &props(&[("allowlist.pattern", "DB_.*")]), &env)
                .unwrap();
        assert_eq!(text(&bounded, "", "DB_PW").as_deref(), Some("1"));
        assert_eq!(text(&bounded, "", "XDB_PW"), None);
        let all = Source::new("EnvVarConfigProvider", &props(&[]), &env).unwrap();
        assert_eq!(text(&all, "", "XDB_PW").as_deref(), Some("3"));
        assert_eq!(text(&all, "", "AWS_SECRET_ACCESS_KEY"), None, "the worker's own");
        let named =
            Source::new("EnvVarConfigProvider", &props(&[("allowlist.pattern", "AWS_.*")]), &env)
                .unwrap();
        assert_eq!(text(&named, "", "AWS_SECRET_ACCESS_KEY").as_deref(), Some("2"));
    }
}
