"""All benchmarks, one after the other: `make bench`."""

import subprocess
import sys

BENCHMARKS = ("engine", "webhooks", "review")


def main() -> int:
    """Run each in a process of its own; the exit code is that of the worst."""
    codes = []
    for name in BENCHMARKS:
        print(f"\n## {name}\n", flush=True)
        codes.append(
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
        )
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
