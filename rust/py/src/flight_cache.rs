//! `FlightCache` for Python: a frozen class over a mutex that owns Python values.
//!
//! Ground rules: as for the timer wheel; and since the table holds Python objects, what it drops is
//! collected in a vector that is declared before the lock and so outlives it: the end of a value
//! may run code, which may call this very cache. Under the lock a value is at most counted up.

use std::sync::{Mutex, MutexGuard};

use pacewheel_core::{End, FlightConfig, FlightId, FlightStats, FlightTable, Lookup};
use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit};

use crate::errors::{flight_to_python, poisoned};

type Values = Vec<Py<PyAny>>;

#[pyclass(frozen, generic, module = "pacewheel._core")]
pub(crate) struct FlightCache {
    table: Mutex<FlightTable<Py<PyAny>>>,
}

impl FlightCache {
    fn lock(&self) -> PyResult<MutexGuard<'_, FlightTable<Py<PyAny>>>> {
        self.table.lock().map_err(|_| poisoned())
    }

    fn end(&self, flight: u64, end: End<Py<PyAny>>, now_ms: i64, jitter: i16) -> PyResult<bool> {
        let mut dropped = Values::new();
        let Some(id) = FlightId::new(flight) else {
            let unknown = pacewheel_core::FlightError::FlightUnknown { flight };
            return Err(flight_to_python(unknown));
        };
        let stored = self.lock()?.finish(id, end, now_ms, jitter, &mut dropped);
        stored.map_err(flight_to_python)
    }
}

#[pymethods]
impl FlightCache {
    #[classattr]
    const HIT: u8 = 0;
    #[classattr]
    const STALE: u8 = 1;
    #[classattr]
    const JOIN: u8 = 2;
    #[classattr]
    const LEAD: u8 = 3;
    #[classattr]
    const FULL: u8 = 4;

    #[new]
    #[pyo3(signature = (*, capacity, flights_max, ttl_ms, stale_ms, absent_ttl_ms, retry_ms))]
    fn new(
        capacity: i64,
        flights_max: i64,
        ttl_ms: i64,
        stale_ms: i64,
        absent_ttl_ms: i64,
        retry_ms: i64,
    ) -> PyResult<Self> {
        let config = FlightConfig {
            // What is negative is refused like any other that is too large.
            capacity: usize::try_from(capacity).unwrap_or(usize::MAX),
            flights_max: usize::try_from(flights_max).unwrap_or(usize::MAX),
            ttl_ms,
            stale_ms,
            absent_ttl_ms,
            retry_ms,
        };
        let table = FlightTable::new(config).map_err(flight_to_python)?;
        Ok(Self {
            table: Mutex::new(table),
        })
    }

    #[pyo3(signature = (key, now_ms, default, /))]
    fn peek(
        &self,
        py: Python<'_>,
        key: i64,
        now_ms: i64,
        default: Py<PyAny>,
    ) -> PyResult<Py<PyAny>> {
        let mut table = self.lock()?;
        let Some(found) = table.peek(key, now_ms) else {
            drop(table);
            return Ok(default);
        };
        let value = found.map(|value| value.clone_ref(py));
        drop(table);
        Ok(value.unwrap_or_else(|| py.None()))
    }

    #[pyo3(signature = (key, now_ms, /))]
    fn lookup(
        &self,
        py: Python<'_>,
        key: i64,
        now_ms: i64,
    ) -> PyResult<(u8, Option<Py<PyAny>>, u64)> {
        let mut dropped = Values::new();
        let mut table = self.lock()?;
        let counted_up = |value: Option<&Py<PyAny>>| value.map(|value| value.clone_ref(py));
        Ok(match table.lookup(key, now_ms, &mut dropped) {
            Lookup::Hit(value) => (Self::HIT, counted_up(value), 0),
            Lookup::Stale(value, refresh) => (
                Self::STALE,
                counted_up(value),
                refresh.map_or(0, FlightId::get),
            ),
            Lookup::Join(flight) => (Self::JOIN, None, flight.get()),
            Lookup::Lead(flight) => (Self::LEAD, None, flight.get()),
            Lookup::Full => (Self::FULL, None, 0),
        })
    }

    #[pyo3(signature = (flight, value, now_ms, jitter, /))]
    fn finish(&self, flight: u64, value: Py<PyAny>, now_ms: i64, jitter: i16) -> PyResult<bool> {
        self.end(flight, End::Found(value), now_ms, jitter)
    }

    #[pyo3(signature = (flight, now_ms, jitter, /))]
    fn finish_absent(&self, flight: u64, now_ms: i64, jitter: i16) -> PyResult<bool> {
        self.end(flight, End::Absent, now_ms, jitter)
    }

    #[pyo3(signature = (flight, now_ms, timed_out, /))]
    fn fail(&self, flight: u64, now_ms: i64, timed_out: bool) -> PyResult<()> {
        let end = if timed_out {
            End::TimedOut
        } else {
            End::Failed
        };
        self.end(flight, end, now_ms, 0).map(drop)
    }

    #[pyo3(signature = (key, value, now_ms, jitter, /))]
    fn put(&self, key: i64, value: Py<PyAny>, now_ms: i64, jitter: i16) -> PyResult<bool> {
        let mut dropped = Values::new();
        let mut table = self.lock()?;
        Ok(table.put(key, value, now_ms, jitter, &mut dropped))
    }

    #[pyo3(signature = (key, /))]
    fn invalidate(&self, key: i64) -> PyResult<bool> {
        let mut dropped = Values::new();
        let mut table = self.lock()?;
        Ok(table.invalidate(key, &mut dropped))
    }

    fn invalidate_all(&self) -> PyResult<()> {
        self.lock()?.invalidate_all();
        Ok(())
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(self.lock()?.len())
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (stats, entries, in_flight) = {
            let table = self.lock()?;
            (table.stats(), table.len(), table.in_flight())
        };
        let FlightStats {
            hits,
            stale_hits,
            joins,
            refused,
            misses_absent,
            misses_expired,
            misses_invalidated,
            misses_evicted,
            refreshes,
            loads_ok,
            loads_absent,
            loads_error,
            loads_timeout,
            loads_superseded,
            evictions,
        } = stats;
        let values = PyDict::new(py);
        values.set_item("hits", hits)?;
        values.set_item("stale_hits", stale_hits)?;
        values.set_item("joins", joins)?;
        values.set_item("refused", refused)?;
        values.set_item("misses_absent", misses_absent)?;
        values.set_item("misses_expired", misses_expired)?;
        values.set_item("misses_invalidated", misses_invalidated)?;
        values.set_item("misses_evicted", misses_evicted)?;
        values.set_item("refreshes", refreshes)?;
        values.set_item("loads_ok", loads_ok)?;
        values.set_item("loads_absent", loads_absent)?;
        values.set_item("loads_error", loads_error)?;
        values.set_item("loads_timeout", loads_timeout)?;
        values.set_item("loads_superseded", loads_superseded)?;
        values.set_item("evictions", evictions)?;
        values.set_item("entries", entries)?;
        values.set_item("in_flight", in_flight)?;
        Ok(values)
    }

    fn validate(&self) -> PyResult<()> {
        let verdict = self.lock()?.validate();
        verdict.map_err(PyAssertionError::new_err)
    }

    /// The collector must not wait. When another thread has the lock it sees nothing this time, and
    /// then takes what the table holds for reachable.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Ok(table) = self.table.try_lock() else {
            return Ok(());
        };
        table.values().try_for_each(|value| visit.call(value))
    }

    fn __clear__(&self) {
        let mut dropped = Values::new();
        if let Ok(mut table) = self.table.lock() {
            table.clear(&mut dropped);
        }
    }
}
