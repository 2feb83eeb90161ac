//! The core's errors as Python exceptions: one type a condition, translated here and nowhere else.

use pacewheel_core::{BufferError, FlightError, WheelError};
use pyo3::create_exception;
use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

create_exception!(
    pacewheel._core,
    BeyondHorizon,
    PyValueError,
    "The deadline lies further ahead than the wheel reaches; nothing was scheduled."
);
create_exception!(
    pacewheel._core,
    WheelFull,
    PyRuntimeError,
    "The wheel holds as many timers as it may; nothing was scheduled."
);
create_exception!(
    pacewheel._core,
    BufferFull,
    PyRuntimeError,
    "The buffer holds as many raises as it may; none was taken in."
);

create_exception!(
    pacewheel._core,
    FlightUnknown,
    PyValueError,
    "No such flight is in the air; nothing was changed."
);

pub(crate) fn to_python(error: WheelError) -> PyErr {
    let message = error.to_string();
    match error {
        WheelError::BeyondHorizon { .. } => BeyondHorizon::new_err(message),
        WheelError::Full { .. } => WheelFull::new_err(message),
        WheelError::CapacityOutOfRange { .. } => PyValueError::new_err(message),
        WheelError::OutOfMemory { .. } => PyMemoryError::new_err(message),
    }
}

pub(crate) fn flight_to_python(error: FlightError) -> PyErr {
    let message = error.to_string();
    match error {
        FlightError::FlightUnknown { .. } => FlightUnknown::new_err(message),
        FlightError::OutOfMemory { .. } => PyMemoryError::new_err(message),
        FlightError::CapacityOutOfRange { .. }
        | FlightError::FlightsOutOfRange { .. }
        | FlightError::DurationOutOfRange { .. } => PyValueError::new_err(message),
    }
}

pub(crate) fn buffer_to_python(error: BufferError) -> PyErr {
    let message = error.to_string();
    match error {
        BufferError::Full { .. } => BufferFull::new_err(message),
        BufferError::NotANumber { .. }
        | BufferError::BadLimits
        | BufferError::UnknownBatch { .. } => PyValueError::new_err(message),
        BufferError::OutOfMemory { .. } => PyMemoryError::new_err(message),
    }
}

/// A panic while the lock was held: the structure may be inconsistent, so it stays stopped.
pub(crate) fn poisoned() -> PyErr {
    PyRuntimeError::new_err("the core failed an assertion earlier: restart the process")
}
