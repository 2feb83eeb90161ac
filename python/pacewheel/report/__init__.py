"""What a job came to: one value built from its rows, and the forms it is shown in.

Pure: `build` makes a `Report` of what the store has read, each renderer turns reports into text.
Nothing here asks the database, reads a clock or knows the command line.

| module | owns |
| --- | --- |
| `facts` | what is read of a job, as the store hands it over |
| `build` | the report, and what is derived: shares, politeness, comparison |
| `bottleneck`, `eta` | what bound the job and what one change would gain; the time still needed |
| `thresholds` | `--fail-on` |
| `text`, `html`, `as_json`, `as_csv`, `junit` | the forms |
"""

from __future__ import annotations

from pacewheel.report.build import Report, build
from pacewheel.report.facts import Facts

__all__ = ["Facts", "Report", "build"]
