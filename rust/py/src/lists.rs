//! Lists of Python numbers as vectors.

use pyo3::prelude::*;
use pyo3::types::PyList;

pub(crate) fn to_values<'py, T>(list: &Bound<'py, PyList>) -> PyResult<Vec<T>>
where
    T: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
{
    let mut values = Vec::with_capacity(list.len());
    for item in list {
        values.push(item.extract()?);
    }
    Ok(values)
}
