//! Keeps the world in one file. Written to a temporary file, flushed and renamed under an exclusive lock before a call is
//! answered, so that a kill loses nothing that was acknowledged; read back whole or refused with a sentence.

use super::world::{STATE_VERSION, World};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the sentences say it")]
pub enum StoreError {
    #[error("the state file `{}` is of version {version}, newer than version {STATE_VERSION} which this program knows", path.display())]
    Newer { path: PathBuf, version: u64 },
    #[error("the state file `{}` is damaged: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("the state file `{}` is in use by another process", path.display())]
    InUse { path: PathBuf },
    #[error("the state file `{}` cannot be {act}", path.display())]
    Io { path: PathBuf, act: &'static str, source: io::Error },
}

/// A state file that is ours alone.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    /// Held as long as the store lives; the system frees it if the process dies.
    _lock: File,
}

impl Store {
    /// Takes the lock and reads the world, if there is one yet.
    pub(crate) fn open(path: &Path) -> Result<(Self, Option<World>), StoreError> {
        let wrong = |act| move |source| StoreError::Io { path: path.to_owned(), act, source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(wrong("created"))?;
        }
        let lock = File::create(with_suffix(path, ".lock")).map_err(wrong("locked"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse { path: path.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(wrong("locked")(source)),
        }
        let world = match fs::read(path) {
            Ok(bytes) => Some(read(path, &bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(wrong("read")(source)),
        };
        Ok((Self { path: path.to_owned(), _lock: lock }, world))
    }

    /// Writes the world so that either the old or the new state survives, never half of one.
    pub(crate) fn save(&self, world: &World) -> Result<(), StoreError> {
        let wrong = |source| StoreError::Io { path: self.path.clone(), act: "written", source };
        let bytes = serde_json::to_vec(world).map_err(|error| wrong(error.into()))?;
        let temporary = with_suffix(&self.path, ".new");
        let mut file = File::create(&temporary).map_err(wrong)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(wrong)?;
        fs::rename(&temporary, &self.path).map_err(wrong)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(wrong)
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn read(path: &Path, bytes: &[u8]) -> Result<World, StoreError> {
    let damaged = |error: serde_json::Error| StoreError::Damaged { path: path.to_owned(), reason: error.to_string() };
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(damaged)?;
    let version = value.get("version").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if version > u64::from(STATE_VERSION) {
        return Err(StoreError::Newer { path: path.to_owned(), version });
    }
    serde_json::from_value(value).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::moment::Moment;
    use crate::simulator::settings::Settings;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("greenroom-store-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder.join("state.json")
    }

    #[test]
    fn reads_back_what_was_saved() {
        let path = scratch("round");
        let world = World::new(&Settings::default(), Moment(1000));
        {
            let (store, found) = Store::open(&path).expect("a fresh folder");
            assert!(found.is_none());
            store.save(&world).expect("a writable folder");
        }
        let (_store, found) = Store::open(&path).expect("our own file");
        assert_eq!(found.map(|found| found.now()), Some(Moment(1000)));
    }

    #[test]
    fn refuses_a_second_process_a_newer_version_and_half_a_file() {
        let path = scratch("refusals");
        let (store, _) = Store::open(&path).expect("a fresh folder");
        assert!(matches!(Store::open(&path), Err(StoreError::InUse { .. })));
        store.save(&World::new(&Settings::default(), Moment(0))).expect("a writable folder");
        drop(store);
        let whole = fs::read_to_string(&path).expect("our own file");
        fs::write(&path, &whole[..whole.len() / 2]).expect("a writable folder");
        assert!(matches!(Store::open(&path), Err(StoreError::Damaged { .. })));
        fs::write(&path, whole.replacen("\"version\":1", "\"version\":99", 1)).expect("a writable folder");
        assert!(matches!(Store::open(&path), Err(StoreError::Newer { version: 99, .. })));
    }
}
