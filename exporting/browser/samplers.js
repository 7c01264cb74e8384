// Samplers: how the network turns noise into text, one window at a time. diffusion/samplers.py says why they work so.
//
// A sampler is a generator function: after each network call it yields what stands, { ids, sure, written }: characters,
// their probabilities, and which are written rather than guessed. It returns the ids. `look(ids, sigma, positions)` is
// the network: log-probabilities of the characters, an array for each position.

"use strict";

const total = (values) => values.reduce((sum, value) => sum + value, 0);
const placesOf = (marks) => Array.from(marks.keys()).filter((i) => marks[i]);
const opposite = (marks) => marks.map((mark) => 1 - mark);
const placeOfMost = (values) => values.indexOf(Math.max(...values));

// Logits -> log-probabilities, of which those of forbidden characters are -Infinity.
function logSoftmax(logits) {
  const most = Math.max(...logits);
  const log = most + Math.log(total(logits.map((value) => Math.exp(value - most))));
  return logits.map((value) => value - log);
}

// Log-probabilities -> probabilities at a temperature, cut to the likeliest characters that reach `top_p` together.
function reshape(logPi, { temperature, top_p }) {
  const pi = logSoftmax(logPi.map((value) => value / temperature)).map(Math.exp);
  if (top_p >= 1) return pi;
  let before = 0;
  for (const id of Array.from(pi.keys()).sort((a, b) => pi[b] - pi[a])) {
    const value = pi[id];
    if (before >= top_p) pi[id] = 0;
    before += value;
  }
  const left = total(pi);
  return pi.map((value) => value / left);
}

// Weights that need not add up to 1, and a uniform number -> an id, by inverse CDF; negative weights count as 0.
function draw(weights, uniform) {
  let sum = 0;
  const cdf = weights.map((weight) => (sum += Math.max(weight, 0)));
  return cdf.findIndex((mass) => mass > uniform * sum || mass === sum);
}

// What both samplers of masks do: each call writes, in every stretch, the position where pi is surest.
class Masked {
  constructor(look, x, given, uniforms, settings, voice) {
    const free = opposite(given);
    Object.assign(this, { look, x, uniforms, settings, voice, free, size: Math.max(1, total(free)) });
    this.sure = new Float32Array(x.length);
  }

  *fillIn(unwritten, longest) {
    const { look, x, sure, settings } = this, stretch = stretchesOf(unwritten, longest), become = this.uniforms(x.length);
    for (let left = total(unwritten); left; left = total(unwritten)) {
      const sigma = sigmaOf(Math.max(left / this.size, 1 / x.length), this.voice.constants);
      const asked = placesOf(unwritten), logPi = look(x, sigma, asked), best = [], ids = x.slice();
      asked.forEach((place, row) => {
        ids[place] = placeOfMost(logPi[row]);
        const found = { place, row, confidence: Math.exp(logPi[row][ids[place]]) };
        sure[place] = found.confidence;
        if (!(best[stretch[place]]?.confidence >= found.confidence)) best[stretch[place]] = found;
      });
      best.forEach(({ place, row }) => {
        const pi = reshape(logPi[row], settings);
        x[place] = ids[place] = draw(pi, become[place]);
        sure[place] = pi[x[place]];
        unwritten[place] = 0;
      });
      yield { ids, sure, written: opposite(unwritten) };
    }
  }

  // Hides the free places of one turn in so many, and judges what stands there, in a network call.
  judge(turn, turns, judged) {
    const places = placesOf(this.free).filter((place) => place % turns === turn), hidden = this.x.slice();
    for (const place of places) hidden[place] = this.voice.characters; // the mask
    const logPi = this.look(hidden, sigmaOf(1 / turns, this.voice.constants), places);
    places.forEach((place, row) => (judged[place] = plausibility(logPi[row], this.x[place], this.voice.constants)));
    return { places, logPi };
  }

  written() {
    return { ids: this.x.slice(), sure: this.sure, written: new Uint8Array(this.x.length).fill(1) };
  }
}

// `surest_first`: the worst of the whole text is masked and written again.
function* surest(look, x, given, uniforms, settings, voice) {
  const rows = new Masked(look, x, given, uniforms, settings, voice), { judging_calls } = voice.constants;
  yield* rows.fillIn(rows.free.slice(), settings.stretch);
  for (let revision = 0; settings.revised && revision < settings.revisions; revision++) {
    const judged = new Float64Array(x.length), doubtful = new Uint8Array(x.length);
    for (let turn = 0; turn < judging_calls; turn++) {
      rows.judge(turn, judging_calls, judged);
      yield rows.written();
    }
    for (const place of least(placesOf(rows.free), judged, settings)) {
      doubtful[place] = 1;
      x[place] = voice.characters;
    }
    yield* rows.fillIn(doubtful, settings.revision_stretch);
  }
  return x;
}

// `gibbs`: what a call hides it judges, and the worst of it is drawn again.
function* gibbs(look, x, given, uniforms, settings, voice) {
  const rows = new Masked(look, x, given, uniforms, settings, voice), { gibbs_calls, cooling } = voice.constants;
  const cooler = { ...settings, temperature: cooling * settings.temperature };
  yield* rows.fillIn(rows.free.slice(), settings.stretch);
  for (let call = 0; settings.revised && call < gibbs_calls * settings.revisions; call++) {
    const become = uniforms(x.length), judged = new Float64Array(x.length);
    const { places, logPi } = rows.judge(call % gibbs_calls, gibbs_calls, judged);
    for (const place of least(places, judged, settings, 1)) {
      const pi = reshape(logPi[places.indexOf(place)], cooler);
      x[place] = draw(pi, become[place]);
      rows.sure[place] = pi[x[place]];
    }
    yield rows.written();
  }
  return x;
}

// Of these places the share `revised` whose values are least, `fewest` at least.
function least(places, values, { revised }, fewest = 0) {
  const part = Math.max(fewest, roundToEven(Math.fround(Math.fround(revised) * places.length))); // in float32, as in torch
  return places.slice().sort((a, b) => values[a] - values[b]).slice(0, part);
}

// How well a character fits its surroundings: log pi(x) + H(pi) / 2.
function plausibility(logPi, id, { entropy_share }) {
  return logPi[id] - entropy_share * total(logPi.map((log) => (log === -Infinity ? 0 : Math.exp(log) * log)));
}

// Cuts what is unwritten into the fewest stretches of at most `longest` positions: the stretch of each position.
function stretchesOf(unwritten, longest) {
  const size = total(unwritten), count = Math.ceil(size / longest);
  let order = 0;
  return Int32Array.from(unwritten, (mark) => (mark ? Math.floor((order++ * count) / size) : -1));
}

// The noise level at which this share of the text is masked: the log-linear schedule.
function sigmaOf(share, { alpha_end }) {
  return -Math.log1p(-(1 - alpha_end) * share);
}

// A half goes to the even neighbour, as in torch.
function roundToEven(value) {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}

// `walk`: goes down the noise levels; in each step any position may change. `step` is a row of STEPS.
function* walk(step, look, x, given, uniforms, settings, voice) {
  const places = placesOf(opposite(given)), sure = new Float32Array(x.length);
  const golden = voice.constants.golden_ratio, levels = settings.levels, noise = noiseOf(voice);
  for (let k = 0; k < settings.steps; k++) {
    const last = k === settings.steps - 1, greedy = last && settings.greedy_last_step;
    const back = settings.renoise * levels[k + 1]; // noise removed beyond the next level and added again
    const [start] = greedy ? [0] : uniforms(1), become = greedy ? [] : uniforms(x.length);
    const logPi = look(x, levels[k], places);
    places.forEach((place, row) => {
      const pi = reshape(logPi[row], settings), from = x[place];
      let p = normalised((last ? STEPS.tweedie : step)(pi, from, levels[k], levels[k + 1] - back, noise), from);
      if (settings.renoise && !last) p = normalised(p.map((value, y) => mix(value, noise[y], back)), from);
      if (greedy) x[place] = placeOfMost(p);
      else if ((start + place * golden) % 1 >= p[from]) {
        p[from] = 0;
        x[place] = draw(p, become[place]);
      }
      sure[place] = x[place] < voice.characters ? pi[x[place]] : 0;
    });
    yield { ids: x.slice(), sure, written: Uint8Array.from(x, (id) => (id < voice.characters ? 1 : 0)) };
  }
  return x;
}

// The distribution of the noise over the states: random characters, and the mask if there is one.
function noiseOf({ characters, uniform_share }) {
  const noise = new Float64Array(characters + (uniform_share < 1)).fill(uniform_share / characters);
  if (uniform_share < 1) noise[characters] = 1 - uniform_share;
  return noise;
}

// A probability after sigma more noise, whose own probability is `noise`.
function mix(p, noise, sigma) {
  return Math.exp(-sigma) * p - Math.expm1(-sigma) * noise;
}

// Steps: pi, the state, the noise level and the next lower one -> weights of the states that may follow.
const STEPS = {
  tweedie(pi, from, sigma, next, noise) {
    return noise.map((share, y) => mix(pi[y] || 0, share, next) * mix(+(y === from), noise[from], sigma - next));
  },
  euler(pi, from, sigma, next, noise) {
    const marginal = noise.map((share, y) => Math.max(mix(pi[y] || 0, share, sigma), 1e-30));
    const rates = marginal.map((p, y) => (y === from ? 0 : (p / marginal[from]) * noise[from] * (sigma - next)));
    rates[from] = 1 - total(rates);
    return rates;
  },
};

// Weights -> probabilities; negative weights count as 0, and where all are 0 nothing changes.
function normalised(weights, from) {
  const positive = weights.map((weight) => Math.max(weight, 0)), sum = total(positive);
  return sum ? positive.map((weight) => weight / sum) : positive.map((_, y) => +(y === from));
}

const SAMPLERS = { surest, gibbs, tweedie: walk.bind(null, STEPS.tweedie), euler: walk.bind(null, STEPS.euler) };
