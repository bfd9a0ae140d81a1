"""The limit: how many signatures all cores make when they do nothing else."""

import os
import re
import subprocess

from figures import Failed

# As openssl calls them.
KINDS = {"RS256": "rsa2048", "ES256": "ecdsap256"}


def signatures_per_second(algorithm: str, seconds: int) -> float:
    """What `openssl speed -multi CORES` reaches."""
    command = ["openssl", "speed", "-seconds", str(seconds), "-multi", str(os.cpu_count()),
               KINDS[algorithm]]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    # rsa 2048 bits 0.000130s 0.000008s   7692.3 129870.1
    found = re.search(r"^\s*(?:rsa +2048|256) bits.*?s +[\d.]+s +([\d.]+) +[\d.]+$",
                      answer.stdout, re.MULTILINE)
    if not found:
        raise Failed(f"openssl speed said something else: {answer.stdout[-400:]}")
    return float(found.group(1))
