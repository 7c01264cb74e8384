// The page as a piece: shows a document being written, the next one at a click or key, and what goes wrong.

"use strict";

const PACE = 30; // milliseconds between two states, so that an eye can follow
const UNHURRIED = 200; // characters; of longer documents states follow faster
const PATIENCE = 15000; // milliseconds without a word from the worker, beyond its pace, until it counts as lost
const HELD = 5000; // milliseconds between two looks at it, of which each second has one: the system held the page
const SETTLING = 1300; // milliseconds in which the last colours fade, as in style.css
const TYPING = 500; // milliseconds after the last letter of a prefix
const FONT_SIZES = [72, 60, 50, 42, 36, 30, 26, 22, 18, 16]; // pixels; the largest at which all fits, else the last
const CHARACTER_WIDTH = 0.61, LINE_HEIGHT = 1.5; // times the font size
const NARROWEST = 14, WIDEST = 46; // of a line: characters at least, font sizes at most, as in style.css
const BLANK = "·"; // a guessed space: what has none yet may break anywhere, so the lines keep their places
const FAINTEST = 12, FULLEST = 48; // per cent of ink of a guess: at least, and more the surer it is
const SHADE = 6; // per cent between two shades

const at = (id) => document.getElementById(id);
const search = new URLSearchParams(location.search);
const voice = JSON.parse(at("voice").textContent);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

// Digits are the seed itself; of any other text, the hash of a token for example, 48 bits of its SHA-256 are.
function seedOf(text) {
  if (/^\d+$/.test(text)) return BigInt(text);
  const bytes = Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte));
  const [first, second] = sha256(bytes.join(""));
  return (BigInt(first) << 16n) | BigInt(second >>> 16);
}

const seed = seedOf(search.get("seed") || platform.hash() || voice.seed);
const last = seed === BigInt(voice.seed) && voice.size || Infinity; // of a set, the number of its last token
let token = within(parseInt(search.get("token"), 10) || 1);

function within(number) {
  return Math.min(last, Math.max(1, number));
}

function documentNow() {
  const attempt = seed === BigInt(voice.seed) && voice.attempts[token] || 0; // of a set, whose seed is the page's own
  return { seed, index: token - 1, attempt, prefix: at("prefix").value.normalize("NFC") };
}

// Traits follow from the draw of the length, before anything is written.
function traitsOf(length) {
  const { values, counts } = voice.lengths, all = counts.reduce((sum, count) => sum + count, 0);
  const share = counts.reduce((sum, count, i) => sum + (values[i] < length ? count : 0), 0) / all;
  const bands = [[0.1, "very short"], [0.35, "short"], [0.65, "medium"], [0.9, "long"], [2, "very long"]];
  const band = values.length > 1 ? { Length: bands.find(([end]) => share < end)[1] } : {}; // of texts all alike it is none
  return { Voice: voice.title, ...band, "Character count": length };
}

platform.setTraits(traitsOf(lengthOf(voice, documentNow())));

function dress() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches ? "night" : "paper";
  const theme = voice.themes[search.get("theme")] || voice.themes[voice.theme] || voice.themes[dark];
  for (const [name, colour] of Object.entries(theme)) document.documentElement.style.setProperty(`--${name}`, colour);
}

let spans = [], coming = null, worker, number = 0, paused = false, writing = false, losses = 0;
let typing = 0; // the timer that writes after the last letter of a prefix
let pace = 0, heard = 0, looked = 0; // milliseconds: between two states; when the worker said something, and was looked at

function say(state) {
  const seeded = seed === BigInt(voice.seed) ? "" : ` · seed ${seed}`;
  at("caption").textContent = [`${voice.title}${seeded} · ${token}`, state].filter(Boolean).join(" · ");
}

function fail(message) {
  writing = false;
  at("caption").textContent = message;
  at("controls").hidden = true;
}

// The font size at which a text of this length should fit, before it is there to be measured.
function fit(length) {
  const main = at("piece"), style = getComputedStyle(main);
  const width = main.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const height = main.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
  const size = FONT_SIZES.find((size) => {
    const columns = Math.floor(Math.min(width / size, WIDEST) / CHARACTER_WIDTH);
    const rows = Math.floor(height / (LINE_HEIGHT * size));
    return columns >= NARROWEST && Math.ceil(length / (columns - columns / 6)) <= rows; // lines end at words
  });
  at("text").style.fontSize = `${size || FONT_SIZES.at(-1)}px`;
  shrink();
}

// A smaller size, where what stands is higher: wide characters, or lines of a stream, take more room than was guessed.
function shrink() {
  const main = at("piece"), { style } = at("text"), size = parseFloat(style.fontSize);
  const smaller = FONT_SIZES.filter((other) => other < size);
  while (smaller.length && main.scrollHeight > main.clientHeight) style.fontSize = `${smaller.shift()}px`;
}

function clear() {
  at("text").textContent = at("spoken").textContent = "";
  spans = [];
  coming = null;
}

// Whether a guess can be seen: a space cannot, and a mask has no symbol.
function isSeen(symbol) {
  return symbol !== undefined && symbol !== " ";
}

// Shows what stands: written characters, and of the others what the network would guess, as faint as it is unsure.
function show({ ids, sure, written }) {
  while (spans.length < ids.length) {
    spans.push(document.createElement("span"));
    at("text").append(spans.at(-1));
  }
  ids.forEach((id, i) => {
    const span = spans[i], symbol = written[i] || isSeen(voice.symbols[id]) ? voice.symbols[id] : BLANK;
    const ink = written[i] ? "" : `${SHADE * Math.round((FAINTEST + FULLEST * sure[i]) / SHADE)}%`;
    const fresh = Boolean(written[i] && (span.ink !== "" || span.textContent !== symbol));
    if (span.textContent !== symbol) span.textContent = symbol;
    if (span.ink !== ink) span.style.color = ink && `color-mix(in srgb, var(--ink) ${ink}, var(--ground))`;
    span.ink = ink;
    span.classList.toggle("fresh", fresh);
  });
  shrink();
}

// The last state that has come is shown with the next picture of the screen; states may come faster.
function showSoon(state) {
  if (!coming) requestAnimationFrame(() => (coming && show(coming), (coming = null)));
  coming = state;
}

function stand(text) {
  writing = false;
  losses = 0;
  coming = null;
  const symbols = Array.from(text);
  show({ ids: symbols.map((symbol) => voice.symbols.indexOf(symbol)), sure: [], written: symbols.map(() => 1) });
  for (const span of spans) span.classList.remove("fresh");
  at("spoken").textContent = text;
  say("");
  setTimeout(settle, calm.matches ? 0 : SETTLING, number, text);
}

// A text whose colours have faded is one run, unless another one is written by now: some browsers join no letters of
// Arabic over the borders of spans.
function settle(stood, text) {
  if (stood === number && !writing) {
    spans = [];
    at("text").textContent = text;
  }
  platform.preview();
}

// Whether a document may hold a symbol: those of the mask and of what is not known stand for none.
function isKnown(symbol) {
  const id = voice.symbols.indexOf(symbol);
  return id >= 0 && !voice.forbidden.includes(id);
}

function write() {
  const asked = documentNow(), unknown = Array.from(asked.prefix).find((symbol) => !isKnown(symbol));
  clearTimeout(typing);
  clear();
  number++; // what still comes of another document is not shown
  if (!writing) heard = performance.now(); // else a worker that is lost would get time with each click
  writing = !unknown;
  if (unknown) return say(`this voice does not know “${unknown}”`);
  const length = lengthOf(voice, asked);
  fit(length);
  setPaused(false);
  pace = search.has("pace") ? Number(search.get("pace")) || 0 : Math.min(PACE, (PACE * UNHURRIED) / length);
  if (calm.matches) pace = 0;
  worker.postMessage({ write: { document: asked, number, pace } });
}

function setPaused(now) {
  if (paused && !now) heard = performance.now();
  paused = now && writing;
  at("pause").textContent = paused ? "go on" : "pause";
  at("pause").setAttribute("aria-pressed", String(paused));
  worker.postMessage({ pause: paused });
  if (writing) say(paused ? "paused" : "writing");
}

function go(step) {
  token = within(token + step);
  write();
}

function hear({ data }) {
  heard = performance.now();
  if (data.error) return fail(`This page cannot write: ${data.error}.`);
  if (data.ready) {
    document.documentElement.dataset.engine = data.ready;
    at("controls").hidden = false;
    return write();
  }
  if (data.number !== number) return undefined; // of a document that was left
  if (data.text !== undefined) return stand(data.text);
  return calm.matches ? undefined : showSoon(data.state);
}

function open() {
  heard = performance.now();
  writing = true;
  try {
    const source = new Blob([at("engine").textContent, "\nserve();"], { type: "text/javascript" });
    worker = new Worker(URL.createObjectURL(source));
  } catch (error) {
    return fail(`This browser lets the page start no worker: ${error.message}.`);
  }
  worker.onmessage = hear;
  worker.onerror = (event) => fail(`This page cannot write: ${event.message || "its worker does not start"}.`);
  const kernel = search.has("plain") ? "" : at("kernel").textContent;
  return worker.postMessage({ open: { voice, weights: at("weights").textContent, kernel } });
}

// A worker that the system ended says nothing more: another one begins the document again, once.
function watch() {
  const now = performance.now();
  if (now - looked > HELD) heard = now; // the worker was held as well
  looked = now;
  if (!writing || paused || document.hidden || now - heard < PATIENCE + pace) return;
  worker.terminate();
  if (losses++) fail("The writing stopped twice; this device may lack memory. Load the page again to try once more.");
  else open();
}

// How far a key scrolls a text that is higher than the window, in heights of it; Home and End go all the way.
const SCROLLS = { ArrowUp: -0.1, ArrowDown: 0.1, PageUp: -0.9, PageDown: 0.9, Home: -1e6, End: 1e6 };
const KEYS = { " ": () => go(1), ArrowRight: () => go(1), ArrowLeft: () => go(-1), p: () => setPaused(!paused) };

function listen() {
  at("next").onclick = () => go(1);
  at("previous").onclick = () => go(-1);
  at("pause").onclick = () => setPaused(!paused);
  at("piece").onclick = () => at("controls").hidden || String(getSelection()) || go(1);
  at("controls").onsubmit = (event) => (event.preventDefault(), write());
  at("prefix").oninput = () => (clearTimeout(typing), (typing = setTimeout(write, TYPING)));
  addEventListener("keydown", (event) => {
    const own = event.key === " " ? "input, button" : "input"; // what a space does there is the browser's
    if (event.target.closest(own) || at("controls").hidden) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const main = at("piece");
    if (event.key in SCROLLS) main.scrollBy(0, SCROLLS[event.key] * main.clientHeight);
    else if (event.key in KEYS) KEYS[event.key]();
    else return;
    event.preventDefault();
  });
  addEventListener("resize", () => at("text").textContent && fit(lengthOf(voice, documentNow())));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dress);
  setInterval(watch, 1000);
}

dress();
addEventListener("DOMContentLoaded", () => {
  const arrived = at("weights")?.textContent.length || 0;
  if (arrived < voice.packed) {
    const share = `${arrived} of ${voice.packed} characters of the model are here`;
    return fail(`This file is incomplete: ${share}. Load it again.`);
  }
  listen();
  return open();
});
