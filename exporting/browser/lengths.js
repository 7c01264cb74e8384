// The lengths of documents, and the random numbers from which they follow, as generation/draft.py draws them.

"use strict";

// The uniform number from which the length of a document is drawn, and the draws of the document itself.
function drawsOf(voice, seed, index, attempt) {
  const draws = generator(voice.name, seed, index, attempt);
  const start = generator(voice.name, seed, "lengths")();
  return { draws, uniform: attempt ? draws() : (start + index * voice.constants.golden_ratio) % 1 };
}

// A length from the distribution of the training text, longer than `taken`; `uniform` is in [0, 1).
function drawLength({ lengths, max_length }, taken, uniform) {
  let drawn = lengths.values.map((length, i) => [Math.min(length, max_length), lengths.counts[i]]);
  drawn = drawn.filter(([length]) => length > taken);
  if (!drawn.length) return taken + 1; // what is given is longer than any document
  const sum = drawn.reduce((before, [, count]) => before + count, 0);
  let mass = 0;
  return drawn.find(([, count]) => (mass += count) > uniform * sum)[0];
}

// How many characters the document of this place has.
function lengthOf(voice, { seed, index, attempt = 0, prefix = "" }) {
  return drawLength(voice, Array.from(prefix).length, drawsOf(voice, seed, index, attempt).uniform);
}
