# SPDX-License-Identifier: Apache-2.0
"""Measures vector files in processes of their own, a few ahead of the test that asks: most of the
time goes by waiting for packets that must not come."""
import concurrent.futures
import multiprocessing

WORKERS = 3


class Ahead:
    """measured = Ahead(function, names); measured(name) is function(name), asked once."""

    def __init__(self, function, names):
        self.function, self.names = function, list(names)
        self.pool, self.asked = None, {}

    def __call__(self, name):
        if self.pool is None:
            self.pool = concurrent.futures.ProcessPoolExecutor(
                WORKERS, mp_context=multiprocessing.get_context("fork"))
        at = self.names.index(name)
        for ahead in self.names[at:at + WORKERS]:
            if ahead not in self.asked:
                self.asked[ahead] = self.pool.submit(self.function, ahead)
        return self.asked[name].result()
