//! Fault points: places where the server can be made to panic, as a crash there would.
//!
//! Only with the cargo feature `faults`, which tests use; in a normal build they are nothing at all. They stand inside
//! handlers, tasks and completions, where code that may be wrong runs.

#[cfg(feature = "faults")]
pub mod plan;

/// `fault_point!("hook.deliver", body)`: a point by its name and, where it works on one event, that event's body.
#[cfg(feature = "faults")]
macro_rules! fault_point {
    ($name:literal) => {
        $crate::faults::plan::pass(concat!("fault point ", $name), &[])
    };
    ($name:literal, $body:expr) => {
        $crate::faults::plan::pass(concat!("fault point ", $name), $body)
    };
}

#[cfg(not(feature = "faults"))]
macro_rules! fault_point {
    ($name:literal) => {};
    ($name:literal, $body:expr) => {};
}

pub(crate) use fault_point;
