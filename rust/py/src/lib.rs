//! `pacewheel._core`: the core's structures for Python. Glue only, no logic.
//!
//! The reference is the stub, `python/pacewheel/_core.pyi`.

#![forbid(unsafe_code)]

mod debounce_buffer;
mod errors;
mod flight_cache;
mod lists;
mod timer_wheel;

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The Rust core of pacewheel; its reference is the stub `_core.pyi`.
#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add_class::<debounce_buffer::DebounceBuffer>()?;
    module.add_class::<timer_wheel::TimerWheel>()?;
    module.add_class::<flight_cache::FlightCache>()?;
    module.add("BeyondHorizon", py.get_type::<errors::BeyondHorizon>())?;
    module.add("BufferFull", py.get_type::<errors::BufferFull>())?;
    module.add("WheelFull", py.get_type::<errors::WheelFull>())?;
    module.add("FlightUnknown", py.get_type::<errors::FlightUnknown>())?;

    let build_info = PyDict::new(py);
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    build_info.set_item("profile", profile)?;
    build_info.set_item("target", env!("PACEWHEEL_TARGET"))?;
    build_info.set_item("version", env!("CARGO_PKG_VERSION"))?;
    module.add("build_info", build_info)
}
