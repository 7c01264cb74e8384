// Documents: their frames and windows, as generation/draft.py cuts them.

"use strict";

const FRAME = 0; // the id of the newline, which stands around a document and fills windows up

// Writes a document: a generator that yields, after each network call, what stands of it: { ids, sure, written }.
function* writeDocument(network, { seed, index, attempt = 0, prefix = "" }) {
  const { voice } = network, { context } = voice.model, edge = voice.stream ? 0 : 1;
  const { draws, uniform } = drawsOf(voice, seed, index, attempt);
  const opening = Array.from(prefix, (character) => voice.symbols.indexOf(character));
  const length = drawLength(voice, opening.length, uniform) + 2 * edge;
  const ids = new Int32Array(length).fill(FRAME), given = new Uint8Array(length);
  ids.set(opening, edge);
  given.fill(1, edge, edge + opening.length);
  given.fill(1, 0, edge).fill(1, length - edge);
  for (let settled = edge; settled < length; ) {
    const start = settled === edge ? 0 : Math.min(settled - voice.overlap, length - context);
    const size = Math.min(Math.ceil((length - start) / voice.bucket) * voice.bucket, context);
    const here = new Int32Array(size).fill(FRAME), fixed = new Uint8Array(size).fill(1);
    here.set(ids.subarray(start, start + size));
    const end = Math.min(start + size, length), shown = Math.min(end, length - edge);
    for (let place = start; place < end; place++) fixed[place - start] = given[place] || place < settled ? 1 : 0;
    if (settled > edge && fixed.every(Boolean)) {
      settled = end;
      continue;
    }
    const writing = writeWindow(network, here, fixed, (count) => Array.from({ length: count }, draws));
    for (let step = writing.next(); ; step = writing.next()) {
      if (step.done) {
        ids.set(step.value.subarray(0, end - start), start);
        break;
      }
      yield wholeOf(step.value, ids, start, edge, shown);
    }
    settled = end;
  }
  return Array.from(ids.subarray(edge, length - edge), (id) => voice.symbols[id]).join("");
}

// What stands of a document, of which a window from `start` on is being written.
function wholeOf(state, ids, start, edge, shown) {
  const size = shown - edge, sure = new Float32Array(size).fill(1), written = new Uint8Array(size).fill(1);
  const whole = { ids: ids.slice(edge, shown), sure, written };
  for (let i = Math.max(start, edge); i < shown; i++) {
    whole.ids[i - edge] = state.ids[i - start];
    if (state.sure[i - start]) whole.sure[i - edge] = state.sure[i - start];
    whole.written[i - edge] = state.written[i - start];
  }
  return whole;
}

// Writes a window whose given positions stay: it begins as noise.
function* writeWindow(network, ids, given, uniforms) {
  const { voice } = network, { characters, uniform_share, forbidden, sampler } = voice;
  const x = Int32Array.from(uniforms(ids.length), (uniform, i) => {
    if (given[i]) return ids[i];
    if (uniform >= uniform_share) return characters; // the mask
    return Math.min(Math.floor((uniform / uniform_share) * characters), characters - 1);
  });
  const look = (x, sigma, positions) =>
    network.logits(x, given, sigma, positions).map((logits) => {
      if (Number.isNaN(logits[FRAME])) throw new Error("the network gives no numbers: its weights are damaged");
      for (const id of forbidden) logits[id] = -Infinity;
      return logSoftmax(logits);
    });
  return yield* SAMPLERS[sampler.sampler](look, x, given, uniforms, sampler, voice);
}
