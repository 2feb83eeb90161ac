"""`python -m pacewheel`: the command line."""

import sys

from pacewheel.cli import main

sys.exit(main())
