// Runs the engine of a page outside of a browser, in Node.js: reads tasks from stdin, a line of JSON each, and answers
// with a line each. The first line is the page's file.

"use strict";

const { readFileSync } = require("node:fs");
const { createInterface } = require("node:readline");

function partOf(page, id) {
  const begin = page.indexOf(`id="${id}"`);
  return page.slice(page.indexOf(">", begin) + 1, page.indexOf("</script>", begin));
}

// The functions of the engine as the worker of this page has them.
function engineOf(page) {
  return new Function(`${partOf(page, "engine")}\nreturn { openVoice, writeDocument, drawsOf };`)();
}

const TASKS = {
  write(network, { document }, { writeDocument }) {
    const seed = BigInt(document.seed); // a text in JSON, whose numbers have 53 bits
    const writing = writeDocument(network, { ...document, seed });
    const begun = performance.now();
    let calls = 0, step = writing.next();
    for (; !step.done; step = writing.next()) calls++;
    return { text: step.value, calls, seconds: (performance.now() - begun) / 1000 };
  },
  draws(network, { seed, index, attempt, count }, { drawsOf }) {
    const { draws, uniform } = drawsOf(network.voice, BigInt(seed), index, attempt);
    return { uniform, draws: Array.from({ length: count }, draws) };
  },
  logits(network, { ids, given, sigma, positions }) {
    return network.logits(Int32Array.from(ids), Uint8Array.from(given), sigma, positions).map((row) => Array.from(row));
  },
};

async function main() {
  let engine, network;
  for await (const line of createInterface({ input: process.stdin })) {
    const task = JSON.parse(line);
    if (task.page) {
      const page = readFileSync(task.page, "utf8");
      engine = engineOf(page);
      const kernel = task.plain ? "" : partOf(page, "kernel");
      network = await engine.openVoice(JSON.parse(partOf(page, "voice")), partOf(page, "weights"), kernel);
      console.log(JSON.stringify({ engine: network.engine }));
    } else console.log(JSON.stringify(TASKS[task.do](network, task, engine)));
  }
}

main();
