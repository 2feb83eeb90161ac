//! `DebounceBuffer` for Python: a frozen class over a mutex, lists of ints and floats in and out.
//!
//! Ground rules as in `timer_wheel`: arguments are taken out of Python objects before the lock,
//! results are put into Python objects after it, and no call releases the interpreter.

use std::sync::{Mutex, MutexGuard};

use pacewheel_core::{Batch, BufferStats, Cause, DebounceBuffer as Buffer, Raise, Tier};
use pyo3::exceptions::{PyAssertionError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::errors::{buffer_to_python, poisoned};
use crate::lists::to_values;

type Taken<'py> = (
    u64,
    u8,
    Bound<'py, PyList>,
    Bound<'py, PyList>,
    Bound<'py, PyList>,
    Bound<'py, PyList>,
    [Option<i64>; 3],
);

#[pyclass(frozen, module = "pacewheel._core")]
pub(crate) struct DebounceBuffer {
    buffer: Mutex<Buffer>,
}

impl DebounceBuffer {
    fn lock(&self) -> PyResult<MutexGuard<'_, Buffer>> {
        self.buffer.lock().map_err(|_| poisoned())
    }
}

#[pymethods]
impl DebounceBuffer {
    #[classattr]
    const MANDATORY: u8 = Cause::Mandatory as u8;
    #[classattr]
    const SOFT: u8 = Cause::Soft as u8;
    #[classattr]
    const DRAIN: u8 = Cause::Drain as u8;

    #[new]
    #[pyo3(signature = (*, capacity, soft_mark, hot, warm, cold))]
    fn new(
        capacity: i64,
        soft_mark: i64,
        hot: (f64, u32, u32),
        warm: (f64, u32, u32),
        cold: (u32, u32),
    ) -> PyResult<Self> {
        // A negative number is refused like any other that is too large.
        let size = |value: i64| usize::try_from(value).unwrap_or(usize::MAX);
        let tier = |min_ms, max_ms| Tier { min_ms, max_ms };
        let tiers = [
            tier(hot.1, hot.2),
            tier(warm.1, warm.2),
            tier(cold.0, cold.1),
        ];
        let buffer = Buffer::new(size(capacity), size(soft_mark), [hot.0, warm.0], tiers)
            .map_err(buffer_to_python)?;
        Ok(Self {
            buffer: Mutex::new(buffer),
        })
    }

    #[pyo3(signature = (now_ms, domain_ids, task_ids, job_ids, priorities, /))]
    fn raise_many(
        &self,
        now_ms: i64,
        domain_ids: &Bound<'_, PyList>,
        task_ids: &Bound<'_, PyList>,
        job_ids: &Bound<'_, PyList>,
        priorities: &Bound<'_, PyList>,
    ) -> PyResult<Option<i64>> {
        let (domains, tasks) = (to_values(domain_ids)?, to_values(task_ids)?);
        let (jobs, priorities) = (to_values(job_ids)?, to_values(priorities)?);
        let count = domains.len();
        if [tasks.len(), jobs.len(), priorities.len()] != [count; 3] {
            return Err(PyValueError::new_err(
                "the lists differ in length: give each raise its domain, task, job and priority",
            ));
        }
        let raises: Vec<Raise> = (0..count)
            .map(|place| Raise {
                domain: domains[place],
                task: tasks[place],
                job: jobs[place],
                priority: priorities[place],
            })
            .collect();
        let mut buffer = self.lock()?;
        buffer
            .raise_many(now_ms, &raises)
            .map_err(buffer_to_python)?;
        Ok(buffer.next_deadline())
    }

    #[pyo3(signature = (now_ms, rows_max, /))]
    fn take_due<'py>(
        &self,
        py: Python<'py>,
        now_ms: i64,
        rows_max: i64,
    ) -> PyResult<Option<Taken<'py>>> {
        if rows_max < 1 {
            return Err(PyValueError::new_err(format!(
                "rows_max is {rows_max}: it must be at least 1"
            )));
        }
        let rows_max = usize::try_from(rows_max).unwrap_or(usize::MAX);
        let mut rows: Vec<Raise> = Vec::new();
        let batch = self.lock()?.take_due(now_ms, rows_max, &mut rows);
        let Some(Batch {
            id,
            cause,
            oldest_ms,
        }) = batch
        else {
            return Ok(None);
        };
        Ok(Some((
            id,
            cause as u8,
            PyList::new(py, rows.iter().map(|raise| raise.domain))?,
            PyList::new(py, rows.iter().map(|raise| raise.task))?,
            PyList::new(py, rows.iter().map(|raise| raise.job))?,
            PyList::new(py, rows.iter().map(|raise| raise.priority))?,
            oldest_ms,
        )))
    }

    #[pyo3(signature = (batch, /))]
    fn confirm(&self, batch: u64) -> PyResult<usize> {
        self.lock()?.confirm(batch).map_err(buffer_to_python)
    }

    #[pyo3(signature = (batch, /))]
    fn restore(&self, batch: u64) -> PyResult<usize> {
        self.lock()?.restore(batch).map_err(buffer_to_python)
    }

    #[pyo3(signature = (job_id, /))]
    fn discard_job(&self, job_id: i64) -> PyResult<usize> {
        Ok(self.lock()?.discard_job(job_id))
    }

    #[pyo3(signature = (domain_ids, /))]
    fn discard_domains(&self, domain_ids: &Bound<'_, PyList>) -> PyResult<usize> {
        let domains = to_values(domain_ids)?;
        Ok(self.lock()?.discard_domains(&domains))
    }

    fn drain(&self) -> PyResult<()> {
        self.lock()?.drain();
        Ok(())
    }

    fn next_deadline(&self) -> PyResult<Option<i64>> {
        Ok(self.lock()?.next_deadline())
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(self.lock()?.len())
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (stats, waiting, taken, capacity) = {
            let buffer = self.lock()?;
            let waiting = buffer.waiting();
            (buffer.stats(), waiting, buffer.taken(), buffer.capacity())
        };
        let BufferStats {
            raised,
            added,
            merged,
            suppressed,
            confirmed,
            restored,
            discarded,
            rejoined,
        } = stats;
        let values = PyDict::new(py);
        for (place, tier) in ["hot", "warm", "cold"].into_iter().enumerate() {
            values.set_item(format!("raised_{tier}"), raised[place])?;
            values.set_item(format!("waiting_{tier}"), waiting[place])?;
        }
        values.set_item("added", added)?;
        values.set_item("merged", merged)?;
        values.set_item("suppressed", suppressed)?;
        values.set_item("confirmed", confirmed)?;
        values.set_item("restored", restored)?;
        values.set_item("discarded", discarded)?;
        values.set_item("rejoined", rejoined)?;
        values.set_item("taken", taken)?;
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
