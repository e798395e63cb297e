//! Small private files in the data directory that are made once and never changed.
//!
//! Called by `keys`. A file is complete as soon as it has its name: two processes that start at the same moment, the
//! server and `hookswitch token`, agree on one content.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// The content of `dir`/`name`. Where there is no such file it is made first, for its owner's eyes only.
pub(super) fn read_or_create(dir: &Path, name: &str, make: impl FnOnce() -> String) -> io::Result<String> {
    let path = dir.join(name);
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => (),
        read => return read,
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let content = make();
    let unnamed = dir.join(format!(".{name}.{:016x}", rand::random::<u64>()));
    write_private(&unnamed, &content)?;
    // Unlike a rename, a link never replaces what another process has just put there.
    let linked = fs::hard_link(&unnamed, &path);
    fs::remove_file(&unnamed)?;
    match linked {
        Ok(()) => File::open(dir)?.sync_all().map(|()| content),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => fs::read_to_string(&path),
        Err(error) => Err(error),
    }
}

fn write_private(path: &Path, content: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::thread;

    use tempfile::TempDir;

    use crate::auth::files::read_or_create;

    #[test]
    fn everybody_who_starts_at_once_reads_the_same_content() {
        let dir = TempDir::new().unwrap();
        let dir = dir.path().join("data");
        let contents: HashSet<String> = thread::scope(|scope| {
            let start = |n: usize| {
                let dir = &dir;
                scope.spawn(move || read_or_create(dir, "secret", || format!("made by {n}")).unwrap())
            };
            let started: Vec<_> = (0..8).map(start).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(contents.len(), 1);
        let left: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["secret"]);
    }

    #[test]
    fn only_the_owner_may_look() {
        let dir = TempDir::new().unwrap();
        let data = dir.path().join("data");
        read_or_create(&data, "secret", || "s".to_owned()).unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(data.clone()), mode(data.join("secret"))), (0o700, 0o600));
    }
}
