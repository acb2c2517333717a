// BLAKE3, unkeyed, 32 bytes: the hash of everything the tree and the store name by content.
// https://github.com/BLAKE3-team/BLAKE3-specs; checked against the published test vectors.
//
// One door, one-shot, two ways behind it. Up to 1 KiB (one chunk, which is most tree nodes and all keys)
// plain JavaScript is as fast as any call into WASM; above it the `blake3` package's WASM is used by a
// direct call, never its native part, so that `node --no-addons` gives the same answers.

import { createRequire } from 'node:module';
import { assert } from './errors.js';

/** Length of a hash in bytes. */
export const HASH_BYTES = 32;

/** Longest input: hashing is one-shot, and the WASM memory never shrinks. */
export const HASH_INPUT_BYTES_MAX = 16 * 1024 * 1024;

/** BLAKE3 hash of `bytes`, in a new array of 32 bytes. */
export function blake3(bytes: Uint8Array): Uint8Array {
  return bytes.length <= CHUNK_BYTES ? hashChunk(bytes) : hashByWasm(bytes);
}

const CHUNK_BYTES = 1024;
const BLOCK_BYTES = 64;
const CHUNK_START = 1;
const CHUNK_END = 2;
const ROOT = 8;

const IV = Int32Array.of(
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19,
);

// Typed arrays are little-endian on every platform that Node supports, as BLAKE3's words are.
const words = new Int32Array(CHUNK_BYTES / 4);
const wordBytes = new Uint8Array(words.buffer);
const chaining = new Int32Array(8);
const chainingBytes = new Uint8Array(chaining.buffer);

/** A single chunk is its own root: chained blocks, the last with the flags CHUNK_END and ROOT. */
function hashChunk(bytes: Uint8Array): Uint8Array {
  const length = bytes.length;
  const blocks = length === 0 ? 1 : Math.ceil(length / BLOCK_BYTES);
  wordBytes.set(bytes);
  wordBytes.fill(0, length, blocks * BLOCK_BYTES);
  chaining.set(IV);
  const last = blocks - 1;
  for (let block = 0; block < last; block++) {
    compress(block * 16, BLOCK_BYTES, block === 0 ? CHUNK_START : 0);
  }
  compress(last * 16, length - last * BLOCK_BYTES, (last === 0 ? CHUNK_START : 0) | CHUNK_END | ROOT);
  return chainingBytes.slice();
}

/** The compression function of the block at word `at`; the chunk counter is 0. */
function compress(at: number, blockBytes: number, flags: number): void {
  let m0 = words[at + 0] as number;
  let m1 = words[at + 1] as number;
  let m2 = words[at + 2] as number;
  let m3 = words[at + 3] as number;
  let m4 = words[at + 4] as number;
  let m5 = words[at + 5] as number;
  let m6 = words[at + 6] as number;
  let m7 = words[at + 7] as number;
  let m8 = words[at + 8] as number;
  let m9 = words[at + 9] as number;
  let m10 = words[at + 10] as number;
  let m11 = words[at + 11] as number;
  let m12 = words[at + 12] as number;
  let m13 = words[at + 13] as number;
  let m14 = words[at + 14] as number;
  let m15 = words[at + 15] as number;
  let v0 = chaining[0] as number;
  let v1 = chaining[1] as number;
  let v2 = chaining[2] as number;
  let v3 = chaining[3] as number;
  let v4 = chaining[4] as number;
  let v5 = chaining[5] as number;
  let v6 = chaining[6] as number;
  let v7 = chaining[7] as number;
  let v8 = 0x6a09e667;
  let v9 = 0xbb67ae85 | 0;
  let v10 = 0x3c6ef372;
  let v11 = 0xa54ff53a | 0;
  let v12 = 0;
  let v13 = 0;
  let v14 = blockBytes;
  let v15 = flags;
  let t = 0;
  for (let round = 0; ; round++) {
    // Columns, then diagonals.
    v0 = (v0 + v4 + m0) | 0;
    t = v12 ^ v0;
    v12 = (t >>> 16) | (t << 16);
    v8 = (v8 + v12) | 0;
    t = v4 ^ v8;
    v4 = (t >>> 12) | (t << 20);
    v0 = (v0 + v4 + m1) | 0;
    t = v12 ^ v0;
    v12 = (t >>> 8) | (t << 24);
    v8 = (v8 + v12) | 0;
    t = v4 ^ v8;
    v4 = (t >>> 7) | (t << 25);
    v1 = (v1 + v5 + m2) | 0;
    t = v13 ^ v1;
    v13 = (t >>> 16) | (t << 16);
    v9 = (v9 + v13) | 0;
    t = v5 ^ v9;
    v5 = (t >>> 12) | (t << 20);
    v1 = (v1 + v5 + m3) | 0;
    t = v13 ^ v1;
    v13 = (t >>> 8) | (t << 24);
    v9 = (v9 + v13) | 0;
    t = v5 ^ v9;
    v5 = (t >>> 7) | (t << 25);
    v2 = (v2 + v6 + m4) | 0;
    t = v14 ^ v2;
    v14 = (t >>> 16) | (t << 16);
    v10 = (v10 + v14) | 0;
    t = v6 ^ v10;
    v6 = (t >>> 12) | (t << 20);
    v2 = (v2 + v6 + m5) | 0;
    t = v14 ^ v2;
    v14 = (t >>> 8) | (t << 24);
    v10 = (v10 + v14) | 0;
    t = v6 ^ v10;
    v6 = (t >>> 7) | (t << 25);
    v3 = (v3 + v7 + m6) | 0;
    t = v15 ^ v3;
    v15 = (t >>> 16) | (t << 16);
    v11 = (v11 + v15) | 0;
    t = v7 ^ v11;
    v7 = (t >>> 12) | (t << 20);
    v3 = (v3 + v7 + m7) | 0;
    t = v15 ^ v3;
    v15 = (t >>> 8) | (t << 24);
    v11 = (v11 + v15) | 0;
    t = v7 ^ v11;
    v7 = (t >>> 7) | (t << 25);
    v0 = (v0 + v5 + m8) | 0;
    t = v15 ^ v0;
    v15 = (t >>> 16) | (t << 16);
    v10 = (v10 + v15) | 0;
    t = v5 ^ v10;
    v5 = (t >>> 12) | (t << 20);
    v0 = (v0 + v5 + m9) | 0;
    t = v15 ^ v0;
    v15 = (t >>> 8) | (t << 24);
    v10 = (v10 + v15) | 0;
    t = v5 ^ v10;
    v5 = (t >>> 7) | (t << 25);
    v1 = (v1 + v6 + m10) | 0;
    t = v12 ^ v1;
    v12 = (t >>> 16) | (t << 16);
    v11 = (v11 + v12) | 0;
    t = v6 ^ v11;
    v6 = (t >>> 12) | (t << 20);
    v1 = (v1 + v6 + m11) | 0;
    t = v12 ^ v1;
    v12 = (t >>> 8) | (t << 24);
    v11 = (v11 + v12) | 0;
    t = v6 ^ v11;
    v6 = (t >>> 7) | (t << 25);
    v2 = (v2 + v7 + m12) | 0;
    t = v13 ^ v2;
    v13 = (t >>> 16) | (t << 16);
    v8 = (v8 + v13) | 0;
    t = v7 ^ v8;
    v7 = (t >>> 12) | (t << 20);
    v2 = (v2 + v7 + m13) | 0;
    t = v13 ^ v2;
    v13 = (t >>> 8) | (t << 24);
    v8 = (v8 + v13) | 0;
    t = v7 ^ v8;
    v7 = (t >>> 7) | (t << 25);
    v3 = (v3 + v4 + m14) | 0;
    t = v14 ^ v3;
    v14 = (t >>> 16) | (t << 16);
    v9 = (v9 + v14) | 0;
    t = v4 ^ v9;
    v4 = (t >>> 12) | (t << 20);
    v3 = (v3 + v4 + m15) | 0;
    t = v14 ^ v3;
    v14 = (t >>> 8) | (t << 24);
    v9 = (v9 + v14) | 0;
    t = v4 ^ v9;
    v4 = (t >>> 7) | (t << 25);
    if (round === 6) break;
    // The message is permuted between rounds (BLAKE3 paper, table 2), one cycle at a time.
    t = m0;
    m0 = m2;
    m2 = m3;
    m3 = m10;
    m10 = m12;
    m12 = m9;
    m9 = m11;
    m11 = m5;
    m5 = t;
    t = m1;
    m1 = m6;
    m6 = m4;
    m4 = m7;
    m7 = m13;
    m13 = m14;
    m14 = m15;
    m15 = m8;
    m8 = t;
  }
  chaining[0] = v0 ^ v8;
  chaining[1] = v1 ^ v9;
  chaining[2] = v2 ^ v10;
  chaining[3] = v3 ^ v11;
  chaining[4] = v4 ^ v12;
  chaining[5] = v5 ^ v13;
  chaining[6] = v6 ^ v14;
  chaining[7] = v7 ^ v15;
}

/** What the package's WASM exports, as far as it is used. `hash` frees its input, not its output. */
interface Blake3Wasm {
  readonly memory: { readonly buffer: ArrayBuffer };
  __wbindgen_malloc(length: number): number;
  hash(input: number, inputLength: number, output: number, outputLength: number): void;
}

let wasm: Blake3Wasm | undefined;
let output = 0;

function loadWasm(): Blake3Wasm {
  // The file is CommonJS and compiles its WASM synchronously when it is loaded. The package's main file
  // is not used, because an install may have swapped a native addon in behind it.
  const loaded: { __wasm: Blake3Wasm } = createRequire(import.meta.url)(
    'blake3/dist/wasm/nodejs/blake3_js.js',
  );
  wasm = loaded.__wasm;
  output = wasm.__wbindgen_malloc(HASH_BYTES);
  return wasm;
}

function hashByWasm(bytes: Uint8Array): Uint8Array {
  assert(bytes.length <= HASH_INPUT_BYTES_MAX, 'a hashed input is at most 16 MiB');
  const module = wasm ?? loadWasm();
  const input = module.__wbindgen_malloc(bytes.length);
  // The buffer is taken anew at each use: growing the memory detaches the one before.
  new Uint8Array(module.memory.buffer).set(bytes, input);
  module.hash(input, bytes.length, output, HASH_BYTES);
  return new Uint8Array(module.memory.buffer, output, HASH_BYTES).slice();
}
