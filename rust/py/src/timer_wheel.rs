//! `TimerWheel` for Python: a frozen class over a mutex, ints and lists of ints in and out.
//!
//! Ground rules: arguments are taken out of Python objects before the lock, results are put into
//! Python objects after it, so the lock is never held while Python code can run. No call releases
//! the interpreter: the longest is bounded by `limit`, and by the timers of one block.

use std::sync::{Mutex, MutexGuard};

use pacewheel_core::{Due, KINDS, Kind, Stats, TimerWheel as Wheel};
use pyo3::exceptions::{PyAssertionError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::errors::{poisoned, to_python};
use crate::lists::to_values;

#[pyclass(frozen, module = "pacewheel._core")]
pub(crate) struct TimerWheel {
    wheel: Mutex<Wheel>,
}

impl TimerWheel {
    fn lock(&self) -> PyResult<MutexGuard<'_, Wheel>> {
        self.wheel.lock().map_err(|_| poisoned())
    }
}

#[pymethods]
impl TimerWheel {
    #[classattr]
    const REACH_MS: i64 = Wheel::<1024, 512>::REACH_MS;

    #[new]
    fn new(now_ms: i64, capacity: i64) -> PyResult<Self> {
        // A negative capacity is refused like any other that is too large.
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        let wheel = Wheel::new(now_ms, capacity).map_err(to_python)?;
        Ok(Self {
            wheel: Mutex::new(wheel),
        })
    }

    #[pyo3(signature = (kind, timer_id, deadline_ms, /))]
    fn schedule(&self, kind: i64, timer_id: i64, deadline_ms: i64) -> PyResult<i64> {
        let kind = to_kind(kind)?;
        let mut wheel = self.lock()?;
        wheel
            .schedule(kind, timer_id, deadline_ms)
            .map_err(to_python)?;
        Ok(wheel.next_deadline().expect("a timer was just scheduled"))
    }

    #[pyo3(signature = (kind, ids, deadlines_ms, /))]
    fn schedule_many(
        &self,
        kind: i64,
        ids: &Bound<'_, PyList>,
        deadlines_ms: &Bound<'_, PyList>,
    ) -> PyResult<Option<i64>> {
        let (kind, ids, deadlines) = (to_kind(kind)?, to_values(ids)?, to_values(deadlines_ms)?);
        if ids.len() != deadlines.len() {
            return Err(PyValueError::new_err(format!(
                "{} ids but {} deadlines: give one deadline for each id",
                ids.len(),
                deadlines.len()
            )));
        }
        let mut wheel = self.lock()?;
        wheel
            .schedule_many(kind, &ids, &deadlines)
            .map_err(to_python)?;
        Ok(wheel.next_deadline())
    }

    #[pyo3(signature = (kind, timer_id, /))]
    fn cancel(&self, kind: i64, timer_id: i64) -> PyResult<bool> {
        let kind = to_kind(kind)?;
        Ok(self.lock()?.cancel(kind, timer_id))
    }

    #[pyo3(signature = (kind, ids, /))]
    fn cancel_many(&self, kind: i64, ids: &Bound<'_, PyList>) -> PyResult<usize> {
        let (kind, ids) = (to_kind(kind)?, to_values(ids)?);
        let mut wheel = self.lock()?;
        Ok(ids.into_iter().filter(|&id| wheel.cancel(kind, id)).count())
    }

    #[pyo3(signature = (now_ms, limit, /))]
    fn advance<'py>(
        &self,
        py: Python<'py>,
        now_ms: i64,
        limit: i64,
    ) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>, Option<i64>)> {
        if limit < 1 {
            return Err(PyValueError::new_err(format!(
                "limit is {limit}: it must be at least 1"
            )));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut due: Vec<Due> = Vec::new();
        let next = {
            let mut wheel = self.lock()?;
            wheel.advance(now_ms, limit, &mut due);
            wheel.next_deadline()
        };
        let kinds = PyList::new(py, due.iter().map(|timer| timer.kind.get()))?;
        let ids = PyList::new(py, due.iter().map(|timer| timer.id))?;
        Ok((kinds, ids, next))
    }

    fn next_deadline(&self) -> PyResult<Option<i64>> {
        Ok(self.lock()?.next_deadline())
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(self.lock()?.len())
    }

    #[pyo3(signature = (kind, /))]
    fn count(&self, kind: i64) -> PyResult<usize> {
        let kind = to_kind(kind)?;
        Ok(self.lock()?.count(kind))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (stats, live, capacity) = {
            let wheel = self.lock()?;
            (wheel.stats(), wheel.len(), wheel.capacity())
        };
        let Stats {
            scheduled,
            rescheduled,
            cancelled,
            expired,
            spread,
        } = stats;
        let values = PyDict::new(py);
        values.set_item("scheduled", scheduled)?;
        values.set_item("rescheduled", rescheduled)?;
        values.set_item("cancelled", cancelled)?;
        values.set_item("expired", expired)?;
        values.set_item("spread", spread)?;
        values.set_item("live", live)?;
        values.set_item("capacity", capacity)?;
        Ok(values)
    }

    fn memory_bytes(&self) -> PyResult<usize> {
        Ok(self.lock()?.memory_bytes())
    }

    fn validate(&self) -> PyResult<()> {
        let verdict = self.lock()?.validate();
        verdict.map_err(PyAssertionError::new_err)
    }
}

fn to_kind(kind: i64) -> PyResult<Kind> {
    u8::try_from(kind).ok().and_then(Kind::new).ok_or_else(|| {
        PyValueError::new_err(format!(
            "kind {kind} is out of range: choose 0 to {}",
            KINDS - 1
        ))
    })
}
