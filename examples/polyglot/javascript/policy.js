// The policy in JavaScript: keeps rows that failed or were slow, and one in N of the others.

let slowNs, threshold, spin;

export const sampler = {
  bind(schema, config) {
    const { slow_ms = 100, one_in = 10, spin: endless = false, ...unknown } = JSON.parse(config);
    const [key] = Object.keys(unknown);
    if (key !== undefined) throw `unknown field \`${key}\`, expected one of \`slow_ms\`, \`one_in\`, \`spin\``;
    if (!(one_in >= 1 && one_in < 2 ** 32)) throw `\`one_in\` is ${one_in}; it may be 1 to 4294967295`;
    const place = (what, is) => {
      const index = schema.fields.findIndex(is);
      if (index < 0) throw `this probe's events have no ${what}`;
      return index;
    };
    spin = endless;
    slowNs = slow_ms * 1e6;
    // Numbers are exact up to 2^53, and beyond where the low bits are zero: thresholds and randomness use the upper 32 of their
    // 56 bits.
    threshold = (2 ** 32 - Math.floor(2 ** 32 / one_in)) * 2 ** 24;
    return [
      place("duration", (field) => field.use === "duration"),
      place("error", (field) => field.use === "error"),
      place("`process.pid`", (field) => field.name === "process.pid"),
    ];
  },

  decide(rows, columns) {
    while (spin);
    const [durations, { offsets }, processes] = columns.map((column) => column.val);
    const thresholds = new Array(rows);
    const randomness = new Array(rows);
    for (let row = 0; row < rows; row++) {
      // From 2^63 on a u64 arrives as a negative number.
      const slow = durations[row] > slowNs || durations[row] < 0;
      const kept = slow || offsets[row] !== offsets[row + 1];
      thresholds[row] = kept ? 0 : threshold;
      randomness[row] = mix(processes[row]) * 2 ** 24;
    }
    return { thresholds, randomness };
  },

  tune() {
    return null;
  },
};

// The finaliser of MurmurHash3: every bit of the input reaches every bit of the output.
function mix(word) {
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}
