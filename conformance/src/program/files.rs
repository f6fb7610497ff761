//! The files that a program is given, in a folder that goes away with the run.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::case::{Case, Document};

/// Folders so far, so that each has its own name.
static FOLDERS: AtomicUsize = AtomicUsize::new(0);

/// A folder for one run.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes an empty one where the system keeps such things.
    ///
    /// # Errors
    /// It can not be made.
    pub(crate) fn make() -> io::Result<Self> {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("outrigger-conformance-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file into it.
    ///
    /// # Errors
    /// It can not be written.
    pub(crate) fn write(&self, name: &str, text: &str) -> io::Result<String> {
        let path = self.path(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    }

    /// The same for what nobody else may read; the folder that its name begins with is made.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(crate) fn write_secret(&self, name: &str, text: &str) -> io::Result<String> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = self.path(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path.display().to_string())
    }

    /// Replaces a file in one step: who watches it sees the old text or the new one.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(crate) fn replace(&self, name: &str, text: &str) -> io::Result<()> {
        self.write("next", text)?;
        std::fs::rename(self.path("next"), self.path(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it is the system's to clear.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Some configuration as one file.
pub(crate) fn configuration(documents: &[Document]) -> String {
    let documents: Vec<&str> = documents.iter().map(|d| d.text.as_str()).collect();
    documents.join("---\n")
}

/// The mesh's configuration, where a case has any; in the form of Istio's `MeshConfig`.
///
/// # Errors
/// The case's settings are no mapping.
pub(crate) fn mesh(case: &Case) -> Result<Option<String>, String> {
    use serde_yaml::{Mapping, Value};
    let settings = &case.settings;
    let mut mesh = match &settings.mesh {
        None => Mapping::new(),
        Some(Value::Mapping(mesh)) => mesh.clone(),
        Some(_) => return Err("the setting `mesh` is no mapping".to_owned()),
    };
    let mut set = |name: &str, key: &str, value: &Option<String>| {
        if let Some(value) = value {
            let inner = Mapping::from_iter([(key.into(), value.as_str().into())]);
            mesh.insert(name.into(), Value::Mapping(inner));
        }
    };
    set(
        "pathNormalization",
        "normalization",
        &settings.path_normalization,
    );
    set(
        "outboundTrafficPolicy",
        "mode",
        &settings.outbound_traffic_policy,
    );
    match mesh.is_empty() {
        true => Ok(None),
        false => serde_yaml::to_string(&mesh)
            .map(Some)
            .map_err(|e| e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_away_with_what_is_in_it() {
        let folder = Folder::make().unwrap();
        let file = folder.write("a.yaml", "x").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "x");
        let path = folder.0.clone();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn settings_of_the_mesh_become_its_configuration() {
        let page = "## A\n```settings\npath_normalization: NONE\noutbound_traffic_policy: REGISTRY_ONLY\nmesh: { localityLbSetting: { enabled: false } }\n```\n```ask\nGET a/ => a\n```\n";
        let mut case = Case::parse_file("f", page).unwrap().remove(0);
        let got: serde_yaml::Value = serde_yaml::from_str(&mesh(&case).unwrap().unwrap()).unwrap();
        let want = "{localityLbSetting: {enabled: false}, pathNormalization: {normalization: NONE}, outboundTrafficPolicy: {mode: REGISTRY_ONLY}}";
        assert_eq!(
            got,
            serde_yaml::from_str::<serde_yaml::Value>(want).unwrap()
        );
        case.settings = crate::case::Settings::default();
        assert_eq!(mesh(&case).unwrap(), None);
    }
}
