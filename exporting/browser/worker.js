// The worker of a page: opens the voice, then writes documents a network call at a time, so that messages are heard.

"use strict";

const BREATH = 1000; // milliseconds between two signs of life, at least, while a voice opens or a network call is computed

// The kernel's module; null where it does not run: without SIMD, or where the site's policy forbids WebAssembly, which
// some browsers say only when a module is started.
function kernelOf(base64) {
  try {
    const code = new WebAssembly.Module(bytesOfBase64(base64));
    new WebAssembly.Instance(code, { env: { memory: new WebAssembly.Memory({ initial: 1 }) } });
    return code;
  } catch {
    return null;
  }
}

// The header, the weights and the kernel as the page holds them -> the network.
// `breathe` is called again and again, now and in network calls, for both may take long.
async function openVoice(voice, weights, kernel, breathe = () => {}) {
  const arrays = unpackWeights(voice.arrays, await inflate(bytesOfBase64(weights)), breathe);
  return new Network(voice, arrays, kernelOf(kernel), breathe);
}

// Hears { open }, { write } and { pause }; says { ready }, { state }, { text }, { error }, and { busy } amid either.
function serve() {
  let opened, current = 0, paused = false, breathed = 0, wake = () => {};

  function breathe() {
    if (performance.now() - breathed < BREATH) return;
    breathed = performance.now();
    postMessage({ busy: true });
  }

  // A message that has come meanwhile is heard at the next turn of the event loop.
  const turn = new MessageChannel();
  const nextTurn = () => new Promise((resolve) => ((turn.port1.onmessage = resolve), turn.port2.postMessage(0)));

  const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

  // `pace`: milliseconds from one state to the next, at least.
  async function write({ document, number, pace }) {
    current = number;
    const writing = writeDocument(await opened, document); // one may be asked for before the voice is open
    for (let due = performance.now(); ; due = Math.max(due + pace, performance.now())) {
      await (due > performance.now() ? wait(due - performance.now()) : nextTurn());
      while (paused && number === current) await new Promise((resolve) => (wake = resolve));
      if (number !== current) return; // another one is asked for
      const { done, value } = writing.next();
      postMessage(done ? { number, text: value } : { number, state: value });
      if (done) return;
    }
  }

  const hear = {
    async open({ voice, weights, kernel }) {
      opened = openVoice(voice, weights, kernel, breathe);
      postMessage({ ready: (await opened).engine });
    },
    write,
    pause: (now) => (paused = now),
  };
  onmessage = async ({ data }) => {
    try {
      for (const [what, value] of Object.entries(data)) {
        const heard = hear[what](value);
        wake();
        await heard;
      }
    } catch (error) {
      postMessage({ error: String(error?.message || error) });
    }
  };
}
