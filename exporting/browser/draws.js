// Random draws: NumPy's generator Philox 4x64-10, keyed by SHA-256 as `utils.numpy_generator` keys it.

"use strict";

// SHA-256 of a text of ASCII characters -> its 8 words. FIPS 180-4. `crypto.subtle` is missing on plain http.
function sha256(text) {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  const fraction = (root) => primes.map((p) => (p ** (1 / root) * 2 ** 32) | 0); // the first 32 bits behind the point
  const constants = fraction(3), state = Int32Array.from(fraction(2).slice(0, 8));
  const bytes = new Uint8Array(((text.length + 72) >> 6) << 6); // whole blocks of 64, with a bit 1 and the length
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  bytes[text.length] = 0x80;
  const view = new DataView(bytes.buffer), w = new Int32Array(64);
  view.setUint32(bytes.length - 4, 8 * text.length);
  const turn = (x, by) => (x >>> by) | (x << (32 - by));
  for (let block = 0; block < bytes.length; block += 64) {
    for (let i = 0; i < 16; i++) w[i] = view.getInt32(block + 4 * i);
    for (let i = 16; i < 64; i++) {
      const [late, early] = [w[i - 2], w[i - 15]];
      w[i] = w[i - 16] + w[i - 7] + (turn(early, 7) ^ turn(early, 18) ^ (early >>> 3))
        + (turn(late, 17) ^ turn(late, 19) ^ (late >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + constants[i] + w[i]) | 0;
      const two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => (state[i] += value));
  }
  return Array.from(state, (word) => word >>> 0);
}

// NumPy's SeedSequence: words of entropy -> four words of state (O'Neill's seed_seq without its bias).
function seedState(entropy) {
  let constant = 0x43b0d7e5;
  const hash = (value) => {
    value ^= constant;
    constant = Math.imul(constant, 0x931e8875);
    value = Math.imul(value, constant);
    return value ^ (value >>> 16);
  };
  const mix = (x, y) => {
    const mixed = Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y);
    return mixed ^ (mixed >>> 16);
  };
  const pool = [0, 1, 2, 3].map((i) => hash(entropy[i] || 0));
  for (let from = 0; from < 4; from++)
    for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
  constant = 0x8b51f9dd;
  return pool.map((value) => {
    value ^= constant;
    constant = Math.imul(constant, 0x58f38ded);
    value = Math.imul(value, constant);
    return (value ^ (value >>> 16)) >>> 0;
  });
}

const WORD = (1n << 64n) - 1n;

// Salmon et al. 2011: ten rounds turn a counter into four 64-bit numbers under a key.
function philox(counter, key) {
  let [a, b, c, d] = [counter, 0n, 0n, 0n], [left, right] = key;
  for (let round = 0; round < 10; round++) {
    const first = 0xd2e7470ee14c6c93n * a, second = 0xca5a826395121157n * c;
    [a, b, c, d] = [(second >> 64n) ^ b ^ left, second & WORD, (first >> 64n) ^ d ^ right, first & WORD];
    left = (left + 0x9e3779b97f4a7c15n) & WORD;
    right = (right + 0xbb67ae8584caa73bn) & WORD;
  }
  return [a, b, c, d];
}

// The generator of `numpy_generator(...parts)`: a function that gives the next uniform number in [0, 1).
// Parts are whole numbers, and texts without quotation marks.
function generator(...parts) {
  const shown = parts.map((part) => (typeof part === "string" ? `'${part}'` : `${part}`)); // as Python's repr
  const [high, low] = sha256(`(${shown.join(", ")})`);
  const seed = ((BigInt(high) << 32n) | BigInt(low)) >> 1n;
  const words = seedState([Number(seed & 0xffffffffn), Number(seed >> 32n)]).map(BigInt);
  const key = [words[0] | (words[1] << 32n), words[2] | (words[3] << 32n)];
  let counter = 0n, ready = [];
  return () => {
    if (!ready.length) ready = philox(++counter, key);
    return Number(ready.shift() >> 11n) / 2 ** 53;
  };
}
