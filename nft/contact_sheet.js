"use strict";
const tokens = /*TOKENS*/[]; // what is shown of each token, in the order of their numbers
const bands = /*BANDS*/{}; // the names of each trait's bands, from low to high
const patterns = /*SELECTION*/[]; // by which collection.py reads a selection
const marks = new Map(); // token id -> "keep" or "reject"
const MARKED = { keep: "kept", reject: "rejected" };
const identity = "<!--IDENTITY-->", storage = `marks of ${identity}`;
let keeps = true; // whether this browser stores marks
restore();

const by = id => document.getElementById(id);
const large = by("large");

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// --- cards: of the tokens near the screen alone, because a browser takes a second to lay out ten thousand

const names = token => `#${token.number}` + (token.id === token.number ? "" : ` · token ${token.id}`);
const feed = by("cards"), header = document.querySelector("header");
const cards = new Map(); // token id -> its card, if it has one now
let shown = [], current = -1; // the tokens that pass the filters, in order; the place of the one last in focus

function card(token, place) {
  const flags = token.flags.length ? " · flagged: " + token.flags.join(", ") : "";
  const button = (mark, style) => element("button", { className: style, textContent: mark, tabIndex: -1, value: mark });
  const label = `${names(token)}: ${token.text.slice(0, 200)}`; // what a screen reader says of the whole card
  const made = element("article",
    { id: "token-" + token.id, tabIndex: 0, token, ariaLabel: label, ariaPosInSet: place + 1, ariaSetSize: shown.length },
    element("p", { textContent: token.text, dir: "auto", lang: "" }),
    element("small", { textContent: Object.entries(token.traits).map(pair => pair.join(": ")).join(" · ") + flags }),
    element("div", { className: "marks" },
      element("span", { textContent: `${names(token)} · ${token.bits.toFixed(1)} bits` }),
      button("keep", "yes"), button("reject", "no")));
  cards.set(token.id, made);
  paint(token);
  return made;
}

function grid() { // how many cards stand side by side, pixels from one row to the next, and above the first
  const style = getComputedStyle(feed), columns = style.gridTemplateColumns.split(" ");
  const high = Math.round(parseFloat(columns[0]) * style.getPropertyValue("--high"));
  feed.style.gridAutoRows = high + "px";
  return { across: columns.length, row: high + parseFloat(style.rowGap), top: header.offsetHeight + parseFloat(style.paddingTop) };
}

function lay() {
  const { across, row, top } = grid(), rows = Math.ceil(shown.length / across);
  const first = Math.max(0, Math.min(rows, Math.floor((scrollY - top) / row) - 2));
  const last = Math.min(rows, Math.ceil((scrollY - top + innerHeight) / row) + 2);
  feed.style.marginBlock = `${first * row}px ${(rows - last) * row}px`;
  const wanted = shown.slice(first * across, last * across), ids = new Set(wanted.map(token => token.id));
  for (const [id, made] of cards) if (!ids.has(id)) { made.remove(); cards.delete(id) }
  wanted.forEach((token, k) => {
    const made = cards.get(token.id) ?? card(token, first * across + k);
    if (feed.children[k] !== made) feed.insertBefore(made, feed.children[k] ?? null);
  });
}
addEventListener("scroll", lay, { passive: true });
addEventListener("resize", lay);

let playing = null, wait = 0;
function play(card) { // its course, after a moment: a pointer or a key that only passes by loads nothing
  if (card === playing) return;
  clearTimeout(wait);
  playing?.querySelector("img")?.remove();
  playing = card;
  if (!card?.token.pieces.includes("svg")) return;
  const image = element("img", { alt: "", onerror: () => image.remove() });
  wait = setTimeout(() => { image.src = `images/${card.token.number}.svg`; card.append(image) }, 150);
}

// --- marks

function paint(token) {
  const mark = marks.get(token.id) ?? "";
  for (const place of [cards.get(token.id), opened === token && large].filter(Boolean)) {
    place.className = mark;
    place.querySelectorAll(".yes, .no").forEach(b => { b.ariaPressed = b.textContent === mark });
  }
}

function restore() { // what this browser stores: another tab of this sheet may have marked more
  if (!keeps) return;
  try {
    const stored = localStorage.getItem(storage);
    if (!stored) return;
    marks.clear();
    for (const [id, mark] of JSON.parse(stored)) marks.set(id, mark);
  } catch { keeps = false }
}

function store() {
  try { localStorage.setItem(storage, JSON.stringify([...marks])) } catch { keeps = false }
}

addEventListener("storage", event => {
  if (event.key !== storage) return;
  restore();
  tokens.forEach(paint);
  survey();
});

function toggle(token, mark) {
  restore();
  if (marks.get(token.id) === mark) marks.delete(token.id); else marks.set(token.id, mark);
  note = "";
  paint(token);
  store();
  survey();
}

// --- filters and order

const facets = Object.entries(bands).map(([name, labels]) => [name, labels, token => [token.traits[name]]]);
const flags = [...new Set(tokens.flatMap(token => token.flags))].sort();
if (flags.length) facets.push(["flags", ["no flag", ...flags], token => token.flags.length ? token.flags : ["no flag"]]);
facets.push(["marks", [...Object.values(MARKED), "not marked"], token => [MARKED[marks.get(token.id)] ?? "not marked"]]);
const filters = facets.map(([name, labels, values]) => {
  const select = element("select", { oninput: show, ariaLabel: name }, element("option", { value: "", textContent: name }));
  select.append(...labels.map(value => element("option", { value })));
  by("filters").append(select);
  return { select, values, counts: new Map() };
});

// A text as it is sought: case, accents and the form of its letters do not count.
const plain = text => text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toUpperCase().toLowerCase();

const orders = {
  "in order": token => token.number, "rarest first": token => token.rank,
  "longest first": token => -token.length, "shortest first": token => token.length,
  "most novel first": token => -token.novelty, "least novel first": token => token.novelty,
  "most confident first": token => -token.confidence, "least confident first": token => token.confidence,
};
by("order").append(...Object.keys(orders).map(name => element("option", { textContent: name })));
for (const token of tokens) Object.assign(token, { length: [...token.text].length, plain: plain(token.text) });

let note = ""; // of the selection that was loaded last
function survey() { // -> the tokens that pass; each filter counts those that pass all the others
  const words = plain(by("search").value);
  for (const { counts } of filters) counts.clear();
  const passing = tokens.filter(token => {
    if (!token.plain.includes(words)) return false;
    const failed = filters.filter(({ select, values }) => select.value && !values(token).includes(select.value));
    for (const { counts, values } of failed.length ? failed.length > 1 ? [] : failed : filters)
      for (const value of values(token)) counts.set(value, (counts.get(value) ?? 0) + 1);
    return !failed.length;
  });
  for (const { select, counts } of filters)
    for (const option of select.options)
      if (option.value) option.textContent = `${option.value} (${counts.get(option.value) ?? 0})`;
  const marked = mark => tokens.filter(token => marks.get(token.id) === mark).length;
  by("count").textContent = `${passing.length} of ${tokens.length} shown · ${marked("keep")} kept · ${marked("reject")} rejected`
    + (keeps ? "" : " · this browser does not store marks: save the selection") + note;
  return passing;
}

function show() {
  const key = orders[by("order").value];
  shown = survey().sort((a, b) => key(a) - key(b));
  current = -1;
  cards.clear();
  feed.replaceChildren();
  scrollTo(0, 0);
  lay();
}

// --- one token, large

let opened = null; // the token in the dialog
const totals = new Map();
for (const { traits } of tokens)
  for (const pair of Object.entries(traits)) totals.set(String(pair), (totals.get(String(pair)) ?? 0) + 1);

function piece(token) {
  const file = `images/${token.number}`;
  if (token.pieces.includes("html")) // a page of its own, which may only run its script
    return element("iframe", { src: file + ".html", title: "how it was written", sandbox: "allow-scripts" });
  if (token.pieces.includes("svg")) return element("img", { src: file + ".svg", alt: "" });
  return element("p", { textContent: token.text, dir: "auto", lang: "" });
}

function open(token) {
  opened = token;
  by("piece").replaceChildren(piece(token));
  by("name").textContent = names(token);
  by("words").textContent = token.text;
  const figures = { Length: token.length, Novelty: token.novelty, Confidence: token.confidence };
  const facts = [["Rarity", `${token.bits.toFixed(1)} bits · ${token.rank} of ${tokens.length} from the rarest`]];
  for (const [name, value] of Object.entries(token.traits)) {
    const figure = name in figures ? ` (${Number(figures[name].toFixed(2))})` : "";
    facts.push([name, `${value}${figure} · ${totals.get(String([name, value]))} of ${tokens.length} tokens`]);
  }
  if (token.flags.length) facts.push(["Flagged", token.flags.join(", ")]);
  large.querySelector("dl").replaceChildren(...facts.flatMap(([name, value]) =>
    [element("dt", { textContent: name }), element("dd", { textContent: value })]));
  play(null);
  current = shown.indexOf(token);
  if (!large.open) {
    large.showModal();
    by("name").focus(); // not by autofocus, which would also ask for it when the sheet is loaded
  }
  by("words").scrollTop = 0;
  paint(token);
}

large.onclose = () => {
  const place = shown.indexOf(opened); // the browser itself goes back to the card that was opened first
  opened = null;
  by("piece").replaceChildren();
  focus(place);
};
by("close").onclick = () => large.close();
by("before").onclick = () => step(-1);
by("after").onclick = () => step(1);
large.querySelector(".yes").onclick = () => toggle(opened, "keep");
large.querySelector(".no").onclick = () => toggle(opened, "reject");
addEventListener("message", event => { // keys that the page of a token does not need itself
  const own = opened && event.source === large.querySelector("iframe")?.contentWindow;
  if (own && ["k", "r", "Escape"].includes(event.data)) act(event.data);
});

// --- keys and pointers

function focus(place) { // moves the page so that this card is seen, and gives it the focus
  current = Math.max(0, Math.min(shown.length - 1, place));
  if (!shown.length) return;
  const { across, row, top } = grid(), y = top + Math.floor(current / across) * row;
  if (y < scrollY + top) scrollTo(0, y - top);
  else if (y + row > scrollY + innerHeight) scrollTo(0, y + row - innerHeight);
  lay();
  cards.get(shown[current].id).focus({ preventScroll: true });
}

function step(onward) { // to the first card if none had the focus, but for the step to the end
  focus(current < 0 && onward < Infinity ? 0 : current + onward);
  if (opened && opened !== shown[current]) open(shown[current]);
}

function act(key) { // -> whether this key does something
  const token = opened ?? document.activeElement.closest("article")?.token, { across } = grid();
  const rows = { ArrowUp: current < across ? 0 : -across, ArrowDown: across, Home: -Infinity, End: Infinity };
  const moves = { ArrowLeft: -1, ArrowRight: 1, ...(opened ? {} : rows) };
  if (key in moves) step(moves[key]);
  else if (token && key === "k") toggle(token, "keep");
  else if (token && key === "r") toggle(token, "reject");
  else if (token && key === "Enter" && !opened) open(token);
  else if (opened && key === "Escape") large.close();
  else return false;
  return true;
}

addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select")) return;
  if (event.key !== "Escape" && act(event.key)) event.preventDefault();
});
feed.onclick = event => {
  const token = event.target.closest("article")?.token, mark = event.target.value;
  if (token && mark) toggle(token, mark);
  else if (token && !String(getSelection())) open(token); // not at the end of marking a part of its text
};
feed.onmouseover = event => play(event.target.closest("article"));
feed.onmouseleave = () => play(null);
feed.addEventListener("focusin", event => {
  const target = event.target.closest("article");
  current = shown.indexOf(target.token);
  play(target);
});
feed.addEventListener("focusout", () => play(null));

// --- selections

by("save").onclick = () => {
  const kept = tokens.filter(token => marks.get(token.id) === "keep");
  const chosen = kept.length ? kept : tokens.filter(token => marks.get(token.id) !== "reject");
  const text = [`# ${document.title}, set ${identity}`, ...chosen.map(token => token.id)].join("\n") + "\n";
  const link = element("a", { href: URL.createObjectURL(new Blob([text])), download: "<!--NAME-->_selection.txt" });
  link.click(); // its address stays: some browsers read it later
};

const numbered = new Map(tokens.map(token => [token.id, token]));
function named(written) { // -> the tokens that a selection names, and which parts of it name others; or what is wrong with it
  let RANGE, COMMENT, THOUSANDS, UNCLEAR, OF_SHEET;
  try { [RANGE, COMMENT, THOUSANDS, UNCLEAR, OF_SHEET] = patterns.map(pattern => new RegExp(pattern, "gi")) }
  catch { return "cannot be read by this browser, which is older than Safari 16.4; select reads it" }
  const text = written.replace(COMMENT, ""), withoutRanges = text.replace(RANGE, (all, low, high) => high ? "0" : all);
  const line = place => written.split("\n")[text.slice(0, place).split("\n").length - 1].trim().slice(0, 100);
  if ([...written.matchAll(OF_SHEET)].some(([, other]) => other !== identity)) return "was saved in the sheet of another set";
  const number = text.search(THOUSANDS), unclear = withoutRanges.split("\n").findIndex(each => each.search(UNCLEAR) >= 0);
  if (number >= 0) return `${line(number)} may name one number or two; write 1234, or 1 234`;
  if (unclear >= 0) return `${written.split("\n")[unclear].trim().slice(0, 100)} is neither token ids nor a range; write 3 7 or 3-7`;
  const found = new Set(), unknown = new Set();
  for (const [, low, high] of text.matchAll(RANGE)) {
    if (high && Number(high) < Number(low)) return `${low}-${high} must run upwards`;
    const own = high ? tokens.filter(({ id }) => low <= id && id <= high) : [numbered.get(Number(low))].filter(Boolean);
    own.forEach(token => found.add(token));
    if (own.length < (high ? high - low + 1 : 1)) unknown.add(high ? `${low}-${high}` : low);
  }
  return found.size ? { found, unknown } : "names no token of this sheet; token ids or ranges (3-7) are expected";
}

function load(text, name) {
  const read = named(text);
  restore();
  note = ` · ${name}: ${read}`;
  if (read.found && (!marks.size || confirm(`Give up the ${marks.size} marks of now for those of ${name}?`))) {
    marks.clear();
    for (const token of read.found) marks.set(token.id, "keep");
    store();
    note = ` · ${name} loaded`;
    if (read.unknown.size) note += `; not in this sheet: ${[...read.unknown].slice(0, 10).join(", ")}`;
    return show();
  }
  if (read.found) note = "";
  return survey();
}

by("load").onclick = () => by("file").click();
by("file").onchange = async () => {
  const [file] = by("file").files;
  if (file) load(await file.text(), file.name);
  by("file").value = "";
};

by("search").oninput = by("order").oninput = show;
show();
