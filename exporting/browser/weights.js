// Weights: unpacks the arrays that exporting/weights.py packs. `DecompressionStream` comes with the browser.

"use strict";

function bytesOfBase64(text) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

// zlib's format -> the bytes that were packed.
async function inflate(bytes) {
  if (typeof DecompressionStream === "undefined") throw new Error("it needs Safari 16.4, Chrome 80 or Firefox 113");
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The 16 bits of a float16 -> its value.
function half(bits) {
  const exponent = (bits >> 10) & 31, fraction = bits & 1023, sign = bits >> 15 ? -1 : 1;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : (2 ** -14 * fraction) / 1024);
}

// How the numbers of an array are kept: functions of its entry, and of a function that takes bytes from the file.
const KINDS = {
  float16: ({ size }, take) => Float32Array.from(new Uint16Array(take(2 * size)), half),
  int8: ({ size, group }, take) => {
    const scales = new Float32Array(take((4 * size) / group)), values = new Int8Array(take(size));
    return Float32Array.from(values, (value, i) => value * scales[Math.floor(i / group)]);
  },
};

// The entries of all arrays, and the packed bytes -> by name each array's shape and its values as float32.
function unpackWeights(entries, bytes, breathe) {
  const weights = {};
  let at = 0;
  const take = (count) => bytes.slice(at, (at += count)).buffer;
  for (const { name, shape, kind, group } of entries) {
    breathe();
    const size = shape.reduce((product, side) => product * side, 1);
    weights[name] = { shape, values: KINDS[kind]({ size, group }, take) };
  }
  if (at !== bytes.length) throw new Error(`the weights have ${bytes.length} bytes, not ${at}`);
  return weights;
}
