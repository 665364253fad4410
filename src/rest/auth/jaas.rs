//! Java's login configuration, as far as the original's basic authentication needs it: the entry
//! `KafkaConnect` with its `PropertyFileLoginModule`. No other module is known, and none is loaded.

use super::basic::Users;
use crate::error::ConnectError;

const SETTING: &str = "java.security.auth.login.config";
const ENTRY: &str = "KafkaConnect";
const MODULE: &str = "org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule";

/// The users that the login configuration in `path` names.
///
/// # Errors
/// When it cannot be read or names another module.
pub(super) fn users(path: &str) -> Result<Users, ConnectError> {
    let wrong = |why: String| {
        ConnectError::config(format!("the setting {SETTING} is wrong: {path}: {why}"))
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let file = file_of(&text).map_err(wrong)?;
    Users::read(SETTING, &file)
}

/// The option `file` of the module of the entry.
fn file_of(text: &str) -> Result<String, String> {
    let form =
        || format!("no entry of the form {ENTRY} {{ {MODULE} required file=\"/path/users\"; }};");
    let words = words(text);
    let mut words = words.iter().map(String::as_str);
    if !words.any(|word| word == ENTRY) || words.next() != Some("{") {
        return Err(form());
    }
    let module = words.next().ok_or_else(form)?;
    if module != MODULE {
        return Err(format!("the module {module} is not known, and no classes are loaded"));
    }
    let options: Vec<_> = words.take_while(|word| !matches!(*word, ";" | "}")).collect();
    let file = options.windows(3).find_map(|option| match option {
        ["file", "=", path] => Some((*path).to_owned()),
        _ => None,
    });
    file.ok_or_else(form)
}

/// The words of a login configuration: names, quoted texts, and the signs between; comments are left
/// out.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '/' if rest.peek() == Some(&'/') => {
                while rest.next().is_some_and(|skipped| skipped != '\n') {}
            }
            '/' if rest.peek() == Some(&'*') => {
                let mut last = ' ';
                for skipped in rest.by_ref() {
                    if (last, skipped) == ('*', '/') {
                        break;
                    }
                    last = skipped;
                }
            }
            '"' => {
                let mut quoted = String::new();
                while let Some(inside) = rest.next() {
                    match inside {
                        '"' => break,
                        '\\' => quoted.extend(rest.next()),
                        inside => quoted.push(inside),
                    }
                }
                words.push(quoted);
            }
            '{' | '}' | ';' | '=' => words.push(character.to_string()),
            character if character.is_whitespace() => {}
            character => {
                let mut word = String::from(character);
                while let Some(next) =
                    rest.next_if(|next| !next.is_whitespace() && !"{};=\"".contains(*next))
                {
                    word.push(next);
                }
                words.push(word);
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_the_entry_is_found() {
        let text = "// users\nOther { com.x.Login required file=\"/no\"; };\n/* ours { */\n\
                    KafkaConnect {\n  org.apache.kafka.connect.rest.basic.auth.extension.\
                    PropertyFileLoginModule required\n  debug=true file=\"/etc/a b.properties\";\n};";
        assert_eq!(file_of(text).as_deref(), Ok("/etc/a b.properties"));
    }

    #[test]
    fn anything_else_is_refused() {
        for (text, part) in [
            ("", "no entry"),
            ("KafkaConnect", "no entry"),
            (
                "KafkaConnect { com.sun.security.auth.module.JndiLoginModule required; };",
                "JndiLoginModule is not known",
            ),
            (
                "KafkaConnect { org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule required; };",
                "no entry",
            ),
            ("/* KafkaConnect {", "no entry"),
            ("KafkaConnect { \"", "is not known"),
        ] {
            let error = file_of(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
