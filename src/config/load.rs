//! Reads the sources, merges them and turns what is wrong into one error.

use std::path::{Path, PathBuf};

use config::{Environment, File, FileFormat, ValueKind};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Config;

/// Looked for in the working directory when no `--config FILE` is given; its absence is no error.
const DEFAULT_FILE: &str = "config.toml";

/// Keys of the environment that hold lists, separated by commas.
const LIST_KEYS: [&str; 5] = [
    "http.cors_origins",
    "webhooks.allow_hosts",
    "webhooks.dns_servers",
    "webhooks.reserved_ccv_keys",
    "websockets.origins",
];

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("configuration file {0:?} does not exist")]
    MissingFile(PathBuf),
    #[error("cannot read the configuration: {0}")]
    Unreadable(#[from] config::ConfigError),
    #[error("the configuration is wrong:\n  {}", .0.join("\n  "))]
    Invalid(Vec<String>),
}

/// Loads defaults, file and environment. `file` is what `--config` named.
pub fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
    let mut environment = Environment::with_prefix("HOOKSWITCH")
        .prefix_separator("__")
        .separator("__")
        .try_parsing(true)
        .list_separator(",");
    for key in LIST_KEYS {
        environment = environment.with_list_parse_key(key);
    }
    let sources = config::Config::builder().add_source(toml_file(file)?).add_source(environment).build()?;
    assemble(&sources)
}

fn toml_file(file: Option<&Path>) -> Result<File<config::FileSourceFile, FileFormat>, ConfigError> {
    match file {
        Some(path) if !path.is_file() => Err(ConfigError::MissingFile(path.to_owned())),
        Some(path) => Ok(File::from(path).format(FileFormat::Toml)),
        None => Ok(File::new(DEFAULT_FILE, FileFormat::Toml).required(false)),
    }
}

fn assemble(sources: &config::Config) -> Result<Config, ConfigError> {
    let known = serde_json::to_value(Config::default()).unwrap_or_default();
    let mut problems = unknown_keys(sources, &known);
    let config = Config {
        node: section(sources, "node", &mut problems),
        http: section(sources, "http", &mut problems),
        amqp: section(sources, "amqp", &mut problems),
        webhooks: section(sources, "webhooks", &mut problems),
        channels: section(sources, "channels", &mut problems),
        websockets: section(sources, "websockets", &mut problems),
        auth: section(sources, "auth", &mut problems),
        store: section(sources, "store", &mut problems),
        import: section(sources, "import", &mut problems),
    };
    problems.extend(config.problems());
    if problems.is_empty() { Ok(config) } else { Err(ConfigError::Invalid(problems)) }
}

/// The defaults name every key, so that what they do not name is unknown.
fn unknown_keys(sources: &config::Config, known: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    for (section, value) in &sources.cache.clone().into_table().unwrap_or_default() {
        let Some(keys) = known.get(section) else {
            unknown.push(format!("{section}: unknown section"));
            continue;
        };
        let ValueKind::Table(table) = &value.kind else {
            unknown.push(format!("{section}: not a section but a value"));
            continue;
        };
        let of_section = table.keys().filter(|key| keys.get(key.as_str()).is_none());
        unknown.extend(of_section.map(|key| format!("{section}.{key}: unknown key")));
    }
    unknown.sort();
    unknown
}

/// The parser gives up at the first wrong value and does not name it, so that each key is tried on its own. What is
/// right is kept: it may still be out of its range.
fn section<T: DeserializeOwned + Default>(sources: &config::Config, name: &str, problems: &mut Vec<String>) -> T {
    let mut keys: Vec<_> = sources.get_table(name).unwrap_or_default().into_iter().collect();
    keys.sort_by(|(one, _), (other, _)| one.cmp(other));
    keys.retain(|key| match read::<T>(std::iter::once(key)) {
        Ok(_) => true,
        Err(error) => {
            // Unknown keys were reported already.
            if !error.contains("unknown field") {
                problems.push(format!("{name}.{}: {error}", key.0));
            }
            false
        }
    });
    read(keys.iter()).unwrap_or_else(|error| {
        problems.push(format!("{name}: {error}"));
        T::default()
    })
}

fn read<'a, T: DeserializeOwned>(keys: impl Iterator<Item = &'a (String, config::Value)>) -> Result<T, String> {
    let table = ValueKind::Table(keys.cloned().collect());
    config::Value::new(None, table).try_deserialize().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use config::{File, FileFormat};
    use serde_json::Value;

    use super::{Config, ConfigError, assemble};

    const SHIPPED: &str = include_str!("../../config.toml");

    fn from_toml(text: &str) -> Result<Config, ConfigError> {
        assemble(&config::Config::builder().add_source(File::from_str(text, FileFormat::Toml)).build().unwrap())
    }

    #[track_caller]
    fn check_problem(text: &str, expected: &str) {
        let error = from_toml(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn shipped_file_states_every_default() {
        assert_eq!(from_toml(SHIPPED).unwrap(), Config::default());
        let defaults = serde_json::to_value(Config::default()).unwrap();
        for (section, keys) in defaults.as_object().unwrap() {
            let start = SHIPPED.find(&format!("\n[{section}]\n")).unwrap_or_else(|| panic!("no [{section}]"));
            let body = &SHIPPED[start + 1..];
            let body = body[1..].find("\n[").map_or(body, |end| &body[..end + 1]);
            for (key, value) in keys.as_object().unwrap() {
                // Tables have no default to state; they stand as commented examples.
                let table = matches!(value, Value::Object(_)) || key == "exchanges" || key == "kazoo_keys";
                let stated = if table {
                    SHIPPED.contains(&format!("{section}.{key}]"))
                } else {
                    body.contains(&format!("\n{key} = "))
                };
                assert!(stated, "config.toml does not list {section}.{key}");
            }
        }
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        assert_eq!(from_toml("").unwrap(), Config::default());
    }

    #[test]
    fn every_problem_is_reported_by_the_name_of_its_key() {
        check_problem("[webhooks]\nretrys = 3\n", "webhooks.retrys: unknown key");
        check_problem("[webhook]\n", "webhook: unknown section");
        check_problem("[http]\nbind = \"here\"\n", "http.bind: \"here\"");
        check_problem("[webhooks]\nallow_hosts = [\"10.0.0.0/99\"]\n", "webhooks.allow_hosts");
        check_problem("[webhooks]\nwindow_max = \"many\"\nidle_ms = []\n", "webhooks.window_max: invalid type");
        check_problem("[webhooks]\nwindow_max = \"many\"\nidle_ms = []\n", "webhooks.idle_ms: invalid type");
        let error =
            from_toml("colour = 1\n[http]\nbind = \"x\"\n[amqp]\nprefetch = 0\nshape = 1\n").unwrap_err().to_string();
        for part in ["colour", "http.bind", "amqp.prefetch", "amqp.shape"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
