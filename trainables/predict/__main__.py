"""`python -m trainables.predict`: see `trainables.predict.command`."""

import sys

from contract.terminal import open_output
from trainables.predict.command import main

if __name__ == "__main__":
    open_output()
    sys.exit(main())
