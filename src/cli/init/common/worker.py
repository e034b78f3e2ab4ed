#!/usr/bin/env python3
"""@WORKER@: status 0 is success; another one, or an exception, is a crash."""

import os
from pathlib import Path

os.chdir(Path(__file__).parent.parent)
print("@WORKER@ has nothing to do yet")

# The payload, as YAML: it goes into the checklist, and rules see it as msg.payload.
Path(os.environ["NOWCAST_PAYLOAD"]).write_text("done: true\n")
