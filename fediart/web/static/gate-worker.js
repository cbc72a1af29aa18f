// Hashcash: finds a number so that SHA-256 of "text:number" begins with so many zero bits. SHA-256 as FIPS 180-4 gives it,
// because a browser's own is not there without https, and is slow for short texts.

const K = new Uint32Array(64);
const START = new Uint32Array(8);
{
  // The first 32 bits of the fractional parts of cube and square roots of the first primes.
  const fraction = (root) => Math.floor((root - Math.floor(root)) * 2 ** 32);
  let found = 0;
  for (let n = 2; found < 64; n += 1) {
    let prime = true;
    for (let d = 2; d * d <= n; d += 1) if (n % d === 0) prime = false;
    if (!prime) continue;
    if (found < 8) START[found] = fraction(Math.sqrt(n));
    K[found] = fraction(Math.cbrt(n));
    found += 1;
  }
}

const W = new Uint32Array(64);
const turn = (x, by) => (x >>> by) | (x << (32 - by));

function compress(state, bytes, offset) {
  for (let i = 0; i < 16; i += 1) {
    const at = offset + 4 * i;
    W[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
  }
  for (let i = 16; i < 64; i += 1) {
    const p = W[i - 15];
    const q = W[i - 2];
    W[i] = W[i - 16] + (turn(p, 7) ^ turn(p, 18) ^ (p >>> 3)) + W[i - 7] + (turn(q, 17) ^ turn(q, 19) ^ (q >>> 10));
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i += 1) {
    const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0;
    const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + one) | 0;
    d = c;
    c = b;
    b = a;
    a = (one + two) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((value, i) => {
    state[i] += value;
  });
}

// The first word of the hash; `done` bytes of the text are in `state` already.
function firstWord(state, done, rest) {
  const blocks = new Uint8Array(Math.ceil((rest.length + 9) / 64) * 64);
  blocks.set(rest);
  blocks[rest.length] = 0x80;
  new DataView(blocks.buffer).setUint32(blocks.length - 4, (done + rest.length) * 8);
  const own = state.slice();
  for (let offset = 0; offset < blocks.length; offset += 64) compress(own, blocks, offset);
  return own[0];
}

onmessage = (event) => {
  const { text, bits } = event.data;
  const encoder = new TextEncoder();
  const head = encoder.encode(`${text}:`);
  const done = head.length - (head.length % 64);
  const state = START.slice();
  for (let offset = 0; offset < done; offset += 64) compress(state, head, offset);
  const rest = String.fromCharCode(...head.subarray(done));
  for (let number = 0; ; number += 1) {
    if (firstWord(state, done, encoder.encode(rest + number)) >>> (32 - bits) === 0) {
      postMessage(String(number));
      return;
    }
  }
};
