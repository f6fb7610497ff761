//! What is put into pods: the settings of injection, read again when their file changes, with what the mesh says over them
//! (`defaultConfig`), and the roots that the authority has when somebody asks.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outrigger_authority::Authority;
use outrigger_control::hub::Hub;
use outrigger_inject::Settings;
use tracing::warn;

use super::BAD;
use crate::control_args::SecureArgs;

/// Settings of injection are compared with what was read this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What injection goes by.
pub(super) struct Injection {
    settings: Arc<Mutex<Settings>>,
    mesh: Mutex<Mesh>,
    hub: Arc<Hub>,
    authority: Arc<Authority>,
}

/// What the mesh says, and what came of it.
#[derive(Default)]
struct Mesh {
    /// The ConfigMap that was good last.
    good: Option<Arc<str>>,
    /// One that is not, which was told.
    bad: Option<Arc<str>>,
}

type Asked = Arc<dyn Fn() -> Arc<Settings> + Send + Sync>;

impl Injection {
    /// Reads the settings, and goes on reading them.
    ///
    /// # Errors
    /// They are none.
    pub(super) fn new(
        args: &SecureArgs,
        authority: Arc<Authority>,
        hub: Arc<Hub>,
    ) -> Result<Self, (u8, String)> {
        let settings = match &args.injection {
            None => Arc::default(),
            Some(path) => {
                let first = read(path).map_err(|why| (BAD, why))?;
                let settings = Arc::new(Mutex::new(first));
                tokio::spawn(follow(path.clone(), Arc::clone(&settings)));
                settings
            }
        };
        Ok(Self {
            settings,
            mesh: Mutex::default(),
            hub,
            authority,
        })
    }

    /// Who asks gets them as they are then.
    pub(super) fn asked(self) -> Asked {
        Arc::new(move || {
            let settings = lock(&self.settings).clone();
            let mut settings = self.in_mesh(settings);
            let roots = || self.authority.signer().roots().to_owned();
            settings.roots.get_or_insert_with(roots);
            Arc::new(settings)
        })
    }

    /// With what the mesh says over them. Where it says nonsense, what it said before holds.
    fn in_mesh(&self, settings: Settings) -> Settings {
        let text = self.hub.ask(|world| world.mesh_text());
        let mut mesh = lock(&self.mesh);
        match &text {
            None => mesh.good = None,
            Some(text) if mesh.bad.as_ref() == Some(text) => {}
            Some(text) => match settings.clone().in_mesh(text) {
                Ok(all) => {
                    mesh.good = Some(Arc::clone(text));
                    return all;
                }
                Err(why) => {
                    warn!(target: "config", "the mesh configuration: {why}; pods get what it said before");
                    mesh.bad = Some(Arc::clone(text));
                }
            },
        }
        let good = mesh
            .good
            .as_deref()
            .map(|text| settings.clone().in_mesh(text));
        good.and_then(Result::ok).unwrap_or(settings)
    }
}

async fn follow(path: std::path::PathBuf, settings: Arc<Mutex<Settings>>) {
    let mut told = String::new();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match read(&path) {
            Ok(read) => {
                told.clear();
                *lock(&settings) = read;
            }
            Err(why) if why != told => {
                warn!(target: "config", "{why}; kept what is in use");
                told = why;
            }
            Err(_) => {}
        }
    }
}

/// Each change of what is in there is one step.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(path: &Path) -> Result<Settings, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    Settings::read(&text).map_err(|why| format!("`{}`: {why}", path.display()))
}
