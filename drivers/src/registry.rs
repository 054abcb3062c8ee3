//! Devices that can be configured, asked and removed while the machine runs: each driver registers its class here, the
//! management console serves requests from it (`config`, `remove`).

use std::sync::{Arc, Mutex, PoisonError};

/// A refused request: what the management console answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// 1, or a negative errno.
    pub err: i32,
    pub text: String,
}

impl Refusal {
    pub fn new(err: i32, text: impl Into<String>) -> Refusal {
        let text = text.into();
        Refusal { err, text }
    }
}

/// A class of devices. `rest` is what stands behind the class's name in a request: `1=pts`, `1`.
pub trait Class: Send + Sync {
    /// As in requests: `con`, `ssl`, `mem`.
    fn name(&self) -> &'static str;
    /// `config <name><rest>`, with a `=` in `rest`.
    fn configure(&self, rest: &str) -> Result<(), Refusal>;
    /// `config <name><rest>`, without one: the current configuration.
    fn query(&self, rest: &str) -> Result<String, Refusal>;
    /// `remove <name><rest>`.
    fn remove(&self, rest: &str) -> Result<(), Refusal>;
}

static CLASSES: Mutex<Vec<Arc<dyn Class>>> = Mutex::new(Vec::new());

/// Makes a class known. Once for each, at boot.
pub fn register(class: Arc<dyn Class>) {
    let mut classes = CLASSES.lock().unwrap_or_else(PoisonError::into_inner);
    classes.push(class);
}

/// The class whose name `device` begins with, and what stands behind it.
pub fn find(device: &str) -> Option<(Arc<dyn Class>, &str)> {
    let classes = CLASSES.lock().unwrap_or_else(PoisonError::into_inner);
    classes
        .iter()
        .find_map(|class| Some((class.clone(), device.strip_prefix(class.name())?)))
}
