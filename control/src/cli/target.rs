//! Where the coordinator is, and who asks it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Failure, Options};

const COORDINATOR: &str = "127.0.0.1:7417";
/// Below the folder of the configuration.
pub(crate) const FILE: &str = "operator.toml";
const TLS: &str = "operator";
/// Longest configuration, in bytes.
const FILE_BYTES_MAX: usize = 64 << 10;

/// Where the coordinator is, and the operator's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its address, `HOST:PORT`.
    pub coordinator: String,
    /// Folder with the operator's certificate.
    pub tls: PathBuf,
}

/// The configuration of operators on a host. Relative paths are below its
/// folder.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    coordinator: Option<String>,
    tls: Option<PathBuf>,
}

impl Target {
    /// What the options say, else the configuration, else what is usual.
    pub(super) fn find(options: &Options) -> Result<Target, Failure> {
        let dir = options.dir();
        let file = File::read(&dir.join(FILE))?;
        let tls = file.tls.unwrap_or_else(|| TLS.into());
        let coordinator = options.coordinator.clone().or(file.coordinator);
        let coordinator = coordinator.unwrap_or_else(|| COORDINATOR.into());
        let port = coordinator.rsplit_once(':').map(|(_, port)| port.parse());
        let Some(Ok::<u16, _>(1..)) = port else {
            let what = format!("{coordinator} is no address and port of a coordinator");
            return Err(Failure::usage(what));
        };
        Ok(Target {
            coordinator,
            tls: options.tls.clone().unwrap_or_else(|| dir.join(tls)),
        })
    }
}

impl File {
    /// One that is not there says nothing.
    fn read(path: &Path) -> Result<File, Failure> {
        let failed = |what: &dyn ToString| {
            Failure::usage(format!("{}: {}", path.display(), what.to_string().trim()))
        };
        let text = match fs::read_to_string(path) {
            Ok(text) if text.len() > FILE_BYTES_MAX => return Err(failed(&"it is too long")),
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(File::default()),
            Err(error) => return Err(failed(&error)),
        };
        toml::from_str(&text).map_err(|error| failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_before_the_file_and_that_before_what_is_usual() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut options = Options {
            dir: Some(dir.path().to_owned()),
            ..Options::default()
        };
        let usual = Target::find(&options).expect("a target");
        assert_eq!(usual.coordinator, COORDINATOR);
        assert_eq!(usual.tls, dir.path().join(TLS));
        let file = dir.path().join(FILE);
        fs::write(&file, "coordinator = \"backup:99\"\ntls = \"mine\"").expect("written");
        let said = Target::find(&options).expect("a target");
        assert_eq!(said.coordinator, "backup:99");
        assert_eq!(said.tls, dir.path().join("mine"));
        options.coordinator = Some("other:1".into());
        options.tls = Some("here".into());
        let given = Target::find(&options).expect("a target");
        assert_eq!(
            (given.coordinator.as_str(), given.tls),
            ("other:1", "here".into())
        );
        fs::write(&file, "coordinater = 5").expect("written");
        let failure = Target::find(&options).expect_err("no such option");
        assert!(failure.why.contains("operator.toml"), "{failure}");
    }
}
