// Platforms that mint pages: where each gives the hash of a token, takes its traits, and hears that its picture stands.
// Art Blocks: tokenData. fxhash: $fx, and earlier fxhash and fxpreview. Highlight: hl.

"use strict";

// A script of a platform may declare a name with `let`, so that it is no property of the window.
const named = {
  fx: () => (typeof $fx === "undefined" ? undefined : $fx),
  highlight: () => (typeof hl === "undefined" ? undefined : hl),
  artBlocks: () => (typeof tokenData === "undefined" ? undefined : tokenData),
};

const platform = {
  // The hash that tells this token from all others; nothing where no platform gives one.
  hash() {
    const { hash, tokenId = "" } = named.highlight()?.tx || {};
    if (hash) return `${hash}${tokenId}`; // tokens of one transaction have its hash in common
    return named.fx()?.hash || window.fxhash || named.artBlocks()?.hash || "";
  },

  // Highlight waits 200 ms after loading; Art Blocks reads $features as soon as the page has run.
  setTraits(traits) {
    window.$features = traits;
    window.$fxhashFeatures = traits;
    named.fx()?.features?.(traits);
    named.highlight()?.token?.setTraits?.(traits);
  },

  // The text stands: a picture may be taken, once.
  preview() {
    if (this.previewed) return;
    this.previewed = true;
    if (named.fx()?.preview) named.fx().preview();
    else window.fxpreview?.();
    named.highlight()?.token?.capturePreview?.();
  },
};
