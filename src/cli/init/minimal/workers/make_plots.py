#!/usr/bin/env python3
"""Make a plot of the file that the command line names."""

import os
import sys
from pathlib import Path

os.chdir(Path(__file__).parent.parent)
source = Path(sys.argv[1])
plot = source.with_suffix(".html")
plot.write_text(f"<p>{source.read_text()}</p>\n")
print(f"{plot} written")

# The payload, as YAML: it goes into the checklist, and rules see it as msg.payload.
Path(os.environ["NOWCAST_PAYLOAD"]).write_text(f"plot: {plot}\n")
