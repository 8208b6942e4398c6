"""`python -m tests.bounded SECONDS COMMAND …`: run a command that must have ended by then, or is killed and has failed.

For test programs that know no time limits, as cargo's: what they print last is what hangs.
"""

import os
import signal
import subprocess
import sys


def main() -> int:
    seconds, command = float(sys.argv[1]), sys.argv[2:]
    process = subprocess.Popen(command, process_group=0)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        print(f"{' '.join(command)} has not ended after {seconds:g} seconds, and is killed", file=sys.stderr)
        return 1
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
