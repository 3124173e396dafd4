# SPDX-License-Identifier: Apache-2.0
"""A policy that waits for its confirmation, looked at while it stands, however slow the machine is."""
import time

from labkit import LabError

ENOUGH_S = 8  # On most machines.
TIMES = 5


def while_unconfirmed(apply, look, again):
    """(what look() saw, seconds of the waiting) after apply(seconds).  The controller's time begins after ours: what was
    seen within ours was seen while the policy stood.  A machine that is too slow for that gets twice as long; again()
    brings the former policy back before that."""
    seconds = ENOUGH_S
    for _ in range(TIMES):
        began = time.monotonic()
        try:
            apply(seconds)
            seen = look()
        except LabError:
            if time.monotonic() - began < seconds:
                raise
        else:
            if time.monotonic() - began < seconds:
                return seen, seconds
        again()
        seconds *= 2
    raise LabError(f"this machine does not look at a policy within {seconds // 2} s")
