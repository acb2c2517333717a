// A large answer of another server, read in turns: its lists hold the events of a room, and others get a turn between
// some of them and the next.
//
//   { "pdus": [ {…}, {…}, … ], "auth_chain": [ … ] }      each {…} is parsed by itself
//
// Between the values of the object and of its lists nothing may stand but what JSON has there; the values themselves
// are read as everywhere else.

import { setImmediate as nextTurn } from 'node:timers/promises';
import { EventBadJsonError } from '../event/errors.js';
import { type JsonObject, type JsonValue, parseJson } from '../event/json.js';

/** Bytes that are parsed in one turn, about. */
const TURN_BYTES = 128 * 1024;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** What `parseJson` gives, for an object. @throws EVENT_BAD_JSON also where the bytes are no object */
export async function parseLargeObject(bytes: Uint8Array): Promise<JsonObject> {
  const scanner = new Scanner(bytes);
  const fields: [name: string, value: JsonValue][] = [];
  scanner.take(OPEN_OBJECT);
  while (!scanner.isNext(CLOSE_OBJECT)) {
    if (fields.length > 0) scanner.take(COMMA);
    const name = parseJson(scanner.value());
    if (typeof name !== 'string') throw malformed(scanner.at);
    scanner.take(COLON);
    fields.push([name, scanner.isNext(OPEN_LIST) ? await parseList(scanner) : parseJson(scanner.value())]);
  }
  scanner.take(CLOSE_OBJECT);
  scanner.end();
  return Object.fromEntries(fields);
}

async function parseList(scanner: Scanner): Promise<readonly JsonValue[]> {
  const list: JsonValue[] = [];
  let turnEnds = scanner.at + TURN_BYTES;
  scanner.take(OPEN_LIST);
  while (!scanner.isNext(CLOSE_LIST)) {
    if (list.length > 0) scanner.take(COMMA);
    list.push(parseJson(scanner.value()));
    if (scanner.at < turnEnds) continue;
    await nextTurn();
    turnEnds = scanner.at + TURN_BYTES;
  }
  scanner.take(CLOSE_LIST);
  return list;
}

/** Finds where values end, and no more: what is in them is for who parses them. */
class Scanner {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  isNext(byte: number): boolean {
    this.#skipSpace();
    return this.#bytes[this.at] === byte;
  }

  /** @throws EVENT_BAD_JSON where something else comes */
  take(byte: number): void {
    if (!this.isNext(byte)) throw malformed(this.at);
    this.at++;
  }

  /** @throws EVENT_BAD_JSON where something follows */
  end(): void {
    this.#skipSpace();
    if (this.at < this.#bytes.length) throw malformed(this.at);
  }

  /** The bytes of the value that comes next. */
  value(): Uint8Array {
    this.#skipSpace();
    const start = this.at;
    const first = this.#bytes[start];
    if (first === QUOTE) this.#skipText();
    else if (first === OPEN_LIST || first === OPEN_OBJECT) this.#skipNested();
    else this.#skipWord();
    return this.#bytes.subarray(start, this.at);
  }

  #skipSpace(): void {
    for (;;) {
      const byte = this.#bytes[this.at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.at++;
    }
  }

  /** From a quote to behind the one that ends the text. */
  #skipText(): void {
    const bytes = this.#bytes;
    let at = this.at + 1;
    while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
    this.at = Math.min(at + 1, bytes.length);
  }

  #skipNested(): void {
    let depth = 0;
    do {
      const byte = this.#bytes[this.at];
      if (byte === undefined) return;
      if (byte === QUOTE) {
        this.#skipText();
        continue;
      }
      if (byte === OPEN_LIST || byte === OPEN_OBJECT) depth++;
      else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth--;
      this.at++;
    } while (depth > 0);
  }

  #skipWord(): void {
    const bytes = this.#bytes;
    while (this.at < bytes.length && !ENDS_WORD.has(bytes[this.at] as number)) this.at++;
  }
}

const ENDS_WORD: ReadonlySet<number> = new Set([
  COMMA,
  COLON,
  CLOSE_LIST,
  CLOSE_OBJECT,
  0x20,
  0x0a,
  0x0d,
  0x09,
]);

function malformed(at: number): Error {
  return new EventBadJsonError('the bytes are no JSON object', { at });
}
