// The network of model.py, for one window at a time: ids, given positions and sigma -> logits where they are asked for.

"use strict";

const EPSILON = 1e-5; // of layer norm, as in torch
const SMALLEST_NORM = 1e-12; // of a vector that is divided by its norm, as in torch
const TABLE_REACH = 8, TABLE_STEPS = 64; // the normal distribution is tabled up to here, so many steps to a unit

// x -> x times the probability that a normal number lies below x (GELU), from a table; off by 1e-9 at most.
const gelu = (() => {
  const size = 2 * TABLE_REACH * TABLE_STEPS + 2, value = new Float64Array(size), slope = new Float64Array(size);
  for (let i = 0; i < size; i++) {
    const x = i / TABLE_STEPS - TABLE_REACH;
    slope[i] = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI) / TABLE_STEPS;
    // the sum of x^(2n+1) / (1 3 5 ... (2n+1)) has no term that cancels another
    let term = Math.abs(x), sum = term;
    for (let n = 1; term > 1e-17 * sum; n++) sum += term *= (x * x) / (2 * n + 1);
    const half = sum * slope[i] * TABLE_STEPS;
    value[i] = x < 0 ? 0.5 - half : 0.5 + half;
  }
  return (x) => {
    if (!(Math.abs(x) < TABLE_REACH)) return x > 0 ? x : 0;
    const place = (x + TABLE_REACH) * TABLE_STEPS, i = Math.floor(place), t = place - i, u = 1 - t;
    const before = (1 + 2 * t) * value[i] + t * slope[i], behind = (3 - 2 * t) * value[i + 1] - u * slope[i + 1];
    return x * (u * u * before + t * t * behind);
  };
})();

class Network {
  // `voice` is the header of voice.py, `weights` its arrays by name, `code` the module of the kernel or null; `breathe`
  // is called between matrices and between blocks, as a call may take long.
  constructor(voice, weights, code, breathe) {
    const { width, heads, context, layers, attention_layers, noise_width } = voice.model;
    Object.assign(this, { voice, weights, breathe, width, heads, context, layers, noiseWidth: noise_width });
    this.first = layers - (attention_layers || layers); // the first block that attends
    this.headWidth = width / heads;
    this.engine = code ? "WebAssembly" : "JavaScript";
    this.heap = new Heap();
    this.matrices = {};
    for (const [name, array] of Object.entries(weights))
      if (array.shape.length === 2 && !/^(tokens|given)\./.test(name))
        this.matrices[name] = this.heap.placePanels(array.shape[1], array.shape[0]);
    this.placeActivations();
    this.heap.open(code);
    this.numbers = this.heap.numbers;
    for (const name of Object.keys(this.matrices)) {
      breathe();
      this.fillPanels(this.matrices[name], weights[name].values);
    }
    this.taps = {};
    for (const [name, array] of Object.entries(weights))
      if (array.shape.length === 4) this.taps[name] = tapsWithResidual(array);
    this.vector = new Float32Array(this.headWidth);
    this.turns = rotaryTurns(context, this.headWidth, voice.constants.rotary_base);
  }

  placeActivations() {
    const { heap, width, context, headWidth } = this;
    for (const name of ["x", "normal", "mixed", "branch"]) this[name] = heap.place(context, width);
    this.qkv = heap.place(context, 3 * width);
    this.hidden = heap.place(context, 4 * width);
    this.output = heap.place(context, this.voice.characters);
    this.query = heap.place(context, headWidth);
    this.keys = heap.placePanels(headWidth, context);
    this.values = heap.placePanels(context, headWidth);
    this.scores = heap.place(context, context);
    this.attended = heap.place(context, headWidth);
    this.noise = heap.place(1, Math.max(this.noiseWidth, 2 * this.voice.constants.noise_frequencies.length));
    this.modulation = heap.place(1, Math.max(6 * width, this.noiseWidth));
  }

  // A matrix as torch keeps it, (outputs, inputs), as panels.
  fillPanels(matrix, values) {
    for (let column = 0; column < matrix.columns; column++)
      for (let row = 0; row < matrix.rows; row++)
        this.numbers[Heap.inPanels(matrix, row, column)] = values[column * matrix.rows + row];
  }

  // ids and given of one window, positions in ascending order -> logits, a row for each position.
  logits(ids, given, sigma, positions) {
    const { width, x, numbers, layers } = this;
    const length = ids.length, all = Array.from(ids, (_, i) => i);
    this.embed(ids, given);
    const noise = this.embedNoise(sigma);
    let rows = all;
    for (let layer = 0; layer < layers; layer++) {
      this.breathe();
      const block = `blocks.${layer}.`, last = layer === layers - 1;
      const part = this.modulate(noise, `${block}modulation`, 6);
      this.normalise(length, part[0], part[1]);
      this.convolve(all, length, this.taps[`${block}conv_attention.weight`]);
      if (layer >= this.first) this.attend(length, block);
      this.heap.multiply(this.branch, this.mixed, this.matrices[`${block}attention.out.weight`], length);
      this.add(length, part[2]);
      this.normalise(length, part[3], part[4]);
      if (last) rows = positions;
      this.convolve(rows, length, this.taps[`${block}conv_mlp.weight`]);
      if (last)
        rows.forEach((row, place) => {
          const from = x.at + row * x.stride;
          numbers.copyWithin(x.at + place * x.stride, from, from + width);
        });
      this.heap.multiply(this.hidden, this.mixed, this.matrices[`${block}up.weight`], rows.length);
      this.activate(rows.length);
      this.heap.multiply(this.branch, this.hidden, this.matrices[`${block}down.weight`], rows.length);
      this.add(rows.length, part[5]);
    }
    const [shift, scale] = this.modulate(noise, "modulation", 2);
    this.normalise(rows.length, shift, scale);
    this.heap.multiply(this.output, this.normal, this.matrices["head.weight"], rows.length);
    return this.read(rows.length);
  }

  // The logits of the first rows, with the head's bias.
  read(rows) {
    const { output, numbers } = this, bias = this.weights["head.bias"].values;
    return Array.from({ length: rows }, (_, row) => {
      const begin = output.at + row * output.stride, products = numbers.subarray(begin, begin + output.columns);
      return Float64Array.from(products, (value, i) => Math.fround(value + bias[i]));
    });
  }

  embed(ids, given) {
    const { x, width, numbers, weights } = this;
    const tokens = weights["tokens.weight"].values, marks = weights["given.weight"].values;
    for (let i = 0; i < ids.length; i++)
      for (let j = 0; j < width; j++)
        numbers[x.at + i * x.stride + j] = tokens[ids[i] * width + j] + marks[given[i] * width + j];
  }

  // sigma -> the noise embedding: waves of log sigma, then an MLP.
  embedNoise(sigma) {
    const { smallest_sigma, noise_frequencies } = this.voice.constants;
    const level = Math.fround(Math.log(Math.max(Math.fround(sigma), smallest_sigma)));
    const angles = noise_frequencies.map((frequency) => Math.fround(level * frequency));
    const silu = (value) => value / (1 + Math.exp(-value));
    const features = [...angles.map(Math.cos), ...angles.map(Math.sin)];
    const hidden = this.linear(features, "noise.mlp.0").map(silu);
    return this.linear(hidden, "noise.mlp.2").map(silu);
  }

  // One vector through a layer with bias.
  linear(vector, name) {
    const { noise, modulation, numbers, matrices } = this, matrix = matrices[`${name}.weight`];
    numbers.set(vector, noise.at);
    this.heap.product(4 * modulation.at, 4 * noise.at, 4 * matrix.at, 4, matrix.rows, matrix.stride);
    const bias = this.weights[`${name}.bias`].values;
    return Float32Array.from(bias, (value, i) => numbers[modulation.at + i] + value);
  }

  // The noise embedding -> vectors that shift, scale and gate.
  modulate(noise, name, count) {
    const values = this.linear(noise, name);
    return Array.from({ length: count }, (_, i) => values.subarray(i * this.width, (i + 1) * this.width));
  }

  // normal = layer_norm(x) (1 + scale) + shift
  normalise(rows, shift, scale) {
    const { x, normal, width, numbers } = this;
    for (let row = 0; row < rows; row++) {
      const from = x.at + row * x.stride, to = normal.at + row * normal.stride;
      let sum = 0, squares = 0;
      for (let j = 0; j < width; j++) sum += numbers[from + j];
      const mean = sum / width;
      for (let j = 0; j < width; j++) squares += (numbers[from + j] - mean) ** 2;
      const factor = 1 / Math.sqrt(squares / width + EPSILON);
      for (let j = 0; j < width; j++)
        numbers[to + j] = shift[j] + (numbers[from + j] - mean) * factor * (1 + scale[j]);
    }
  }

  // mixed = the short convolution of normal at these rows, one behind the other.
  convolve(rows, length, taps) {
    const { normal, mixed, width, numbers } = this, half = taps.length >> 1;
    for (let place = 0; place < rows.length; place++) {
      const row = rows[place], to = mixed.at + place * mixed.stride;
      const first = Math.max(0, row - half), beyond = Math.min(length, row + half + 1);
      numbers.fill(0, to, to + width);
      for (let other = first; other < beyond; other++) {
        const from = normal.at + other * normal.stride, tap = taps[other - row + half];
        for (let j = 0; j < width; j++) numbers[to + j] += numbers[from + j] * tap[j];
      }
    }
  }

  // hidden = gelu(hidden)
  activate(rows) {
    const { hidden, numbers } = this, end = hidden.at + rows * hidden.stride;
    for (let i = hidden.at; i < end; i++) numbers[i] = gelu(numbers[i]);
  }

  // x += branch (1 + gate)
  add(rows, gate) {
    const { x, branch, width, numbers } = this;
    for (let row = 0; row < rows; row++)
      for (let j = 0; j < width; j++)
        numbers[x.at + row * x.stride + j] += numbers[branch.at + row * branch.stride + j] * (1 + gate[j]);
  }

  // mixed = attention over mixed, before the output projection.
  attend(length, block) {
    const { heap, numbers, mixed, qkv, query, keys, values, scores, attended, width, headWidth } = this;
    heap.multiply(qkv, mixed, this.matrices[`${block}attention.qkv.weight`], length);
    keys.stride = length; // columns of a product; a bucket is a multiple of 16
    values.rows = length;
    for (let head = 0; head < this.heads; head++) {
      this.turnAndPlace(length, head);
      heap.multiply(scores, query, keys, length);
      this.softmaxRows(length);
      heap.multiply(attended, scores, values, length);
      for (let i = 0; i < length; i++) {
        const from = attended.at + i * attended.stride;
        numbers.copyWithin(mixed.at + i * mixed.stride + head * headWidth, from, from + headWidth);
      }
    }
  }

  // A head's queries and keys, turned by their positions and of length 1, and its values, where products read them.
  turnAndPlace(length, head) {
    const { numbers, qkv, query, keys, values, width, headWidth } = this;
    for (let i = 0; i < length; i++) {
      const from = qkv.at + i * qkv.stride + head * headWidth;
      const turnedQuery = this.turned(from, i), to = query.at + i * query.stride;
      for (let j = 0; j < headWidth; j++) numbers[to + j] = turnedQuery[j];
      const turnedKey = this.turned(from + width, i), key = Heap.inPanels(keys, 0, i);
      for (let j = 0; j < headWidth; j++) numbers[key + 8 * j] = turnedKey[j];
      for (let j = 0; j < headWidth; j++) numbers[Heap.inPanels(values, i, j)] = numbers[from + 2 * width + j];
    }
  }

  // The vector that begins here, its pairs turned as position i turns them, divided by its norm.
  turned(from, i) {
    const { numbers, headWidth, vector, turns } = this, [cosines, sines] = turns[i];
    let squares = 0;
    for (let pair = 0; 2 * pair < headWidth; pair++) {
      const a = numbers[from + 2 * pair], b = numbers[from + 2 * pair + 1], c = cosines[pair], s = sines[pair];
      vector[2 * pair] = a * c - b * s;
      vector[2 * pair + 1] = a * s + b * c;
      squares += vector[2 * pair] ** 2 + vector[2 * pair + 1] ** 2;
    }
    const norm = Math.max(Math.sqrt(squares), SMALLEST_NORM);
    for (let j = 0; j < headWidth; j++) vector[j] /= norm;
    return vector;
  }

  softmaxRows(length) {
    const { numbers, scores, headWidth } = this, scale = Math.sqrt(headWidth);
    for (let i = 0; i < length; i++) {
      const row = numbers.subarray(scores.at + i * length, scores.at + (i + 1) * length);
      let most = -Infinity, sum = 0;
      for (let j = 0; j < length; j++) most = Math.max(most, row[j]);
      for (let j = 0; j < length; j++) sum += row[j] = Math.exp((row[j] - most) * scale);
      for (let j = 0; j < length; j++) row[j] /= sum;
    }
  }
}

// (width, 1, 1, taps) -> a vector for each tap; the middle one carries the residual.
function tapsWithResidual({ shape: [width, , , count], values }) {
  return Array.from({ length: count }, (_, tap) =>
    Float32Array.from({ length: width }, (_, j) => values[j * count + tap] + (tap === count >> 1 ? 1 : 0)),
  );
}

// Cosines and sines by which the pairs of a vector turn, for each position. RoFormer, arXiv:2104.09864.
function rotaryTurns(length, headWidth, base) {
  return Array.from({ length }, (_, position) => {
    const angles = Array.from({ length: headWidth / 2 }, (_, pair) =>
      Math.fround(position * Math.fround(base ** Math.fround((-2 * pair) / headWidth))),
    );
    return [Float32Array.from(angles, Math.cos), Float32Array.from(angles, Math.sin)];
  });
}
