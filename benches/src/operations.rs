//! What has a budget: operations by name, each with what it takes to prepare it.

mod balancers;
mod codecs;
mod control;
mod exchanges;
mod routes;

/// Performs an operation once.
pub type Run = Box<dyn FnMut()>;

/// One operation.
pub struct Operation {
    /// `room/what/how many`.
    pub name: String,
    /// How often it is performed to be counted.
    pub times: u32,
    prepare: Box<dyn Fn() -> Run>,
}

impl Operation {
    fn new(name: impl Into<String>, times: u32, prepare: impl Fn() -> Run + 'static) -> Self {
        Self {
            name: name.into(),
            times,
            prepare: Box::new(prepare),
        }
    }

    /// Makes it ready, and performs it once so that memory and tables that are kept are there.
    #[must_use]
    pub fn prepare(&self) -> Run {
        let mut run = (self.prepare)();
        run();
        run
    }
}

impl core::fmt::Debug for Operation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Operation").field(&self.name).finish()
    }
}

/// All operations, in the order in which they are told.
#[must_use]
pub fn all() -> Vec<Operation> {
    let mut all = codecs::all();
    all.extend(routes::all());
    all.extend(balancers::all());
    all.extend(exchanges::all());
    all.extend(control::all());
    all
}

/// Performs an operation as often as is said. What happens within is what is counted: callgrind knows this function by its name.
#[inline(never)]
pub fn performed_and_counted(run: &mut dyn FnMut(), times: u32) {
    for _ in 0..times {
        run();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_differ_and_have_rooms() {
        let all = all();
        let names: BTreeSet<&str> = all.iter().map(|operation| &*operation.name).collect();
        assert_eq!(names.len(), all.len());
        assert!(names.iter().all(|name| name.contains('/')));
    }
}
