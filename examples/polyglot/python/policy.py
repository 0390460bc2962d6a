"""The policy in Python: keeps rows that failed or were slow, and one in N of the others."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.sampler import Decisions
from wit_world.imports.schema import FieldUse

KNOWN = {"slow_ms": 100, "one_in": 10, "spin": False}


class Sampler(exports.Sampler):
    def bind(self, schema, config):
        settings = json.loads(config)
        for key in settings.keys() - KNOWN.keys():
            raise Err(f"unknown field `{key}`, expected one of `slow_ms`, `one_in`, `spin`")
        settings = KNOWN | settings
        one_in = settings["one_in"]
        if not 1 <= one_in < 1 << 32:
            raise Err(f"`one_in` is {one_in}; it may be 1 to 4294967295")

        def place(what, matches):
            for index, field in enumerate(schema.fields):
                if matches(field):
                    return index
            raise Err(f"this probe's events have no {what}")

        # A method may be called on another object than the one before: what lasts belongs to the class.
        Sampler.spin = settings["spin"]
        Sampler.slow_ns = settings["slow_ms"] * 1_000_000
        Sampler.threshold = ((1 << 32) - (1 << 32) // one_in) << 24
        return [
            place("duration", lambda field: field.use == FieldUse.DURATION),
            place("error", lambda field: field.use == FieldUse.ERROR),
            place("`process.pid`", lambda field: field.name == "process.pid"),
        ]

    def decide(self, rows, columns):
        while Sampler.spin:
            pass
        durations, errors, processes = (column.value for column in columns)
        slow, threshold, offsets = Sampler.slow_ns, Sampler.threshold, errors.offsets
        ends = zip(durations, offsets, offsets[1:])
        thresholds = [0 if duration > slow or start != end else threshold for duration, start, end in ends]
        return Decisions(thresholds, [mix(process) << 24 for process in processes])

    def tune(self, stats):
        return None


def mix(word):
    """The finaliser of MurmurHash3: every bit of the input reaches every bit of the output."""
    word = ((word ^ word >> 16) * 0x85EBCA6B) & 0xFFFFFFFF
    word = ((word ^ word >> 13) * 0xC2B2AE35) & 0xFFFFFFFF
    return word ^ word >> 16
