"""`python -m act_fast.cli` is `act-fast`."""

import sys

from act_fast.cli.main import main

sys.exit(main())
