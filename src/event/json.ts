// JSON values as Matrix events hold them, and the strict, lossless parser of their bytes.
//
// `JSON.parse` does the work. It forgets how a number was written (`1.0` and `1` are one to it), lets
// lone surrogates pass and knows no limit of depth, so one pass over the bytes looks for these first.
// Only where a number is no plain safe integer, or an escape names a surrogate, a second parser of ours
// reads the text again; by then its syntax is known to be right.
//
// Of duplicate keys the last counts, as in every parser that other servers use.

import { fromUtf8, isWellFormed } from '../lib/bytes.js';
import { EventBadJsonError } from './errors.js';

/**
 * A JSON number that is no safe integer, with the text it was written in: it must be hashed as written.
 * Only room versions 1 to 5 let one into an event.
 */
export class JsonNumber {
  constructor(
    readonly source: string,
    readonly value: number,
  ) {}

  /** As the nearest number: what clients are served is not hashed. */
  toJSON(): number {
    return this.value;
  }
}

export type JsonValue = null | boolean | number | string | JsonNumber | readonly JsonValue[] | JsonObject;

/** Keys come from strangers: read with `own`, because `toString` and `__proto__` are event types too. */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** Deepest nesting that is read or written: far beyond any use, far below what recursion can bear. */
export const MAX_JSON_DEPTH = 512;

/** A key's own value, never one inherited from `Object.prototype`. */
export function own(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Is the value a JSON object (not an array, not null)? */
export function isObject(value: JsonValue | undefined): value is JsonObject {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof JsonNumber)
  );
}

/** Is the value a JSON array? */
export function isArray(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/**
 * The value that the bytes write down.
 *
 * Numbers that are safe integers written as such are numbers (`-0` is 0, as Python and the specification's
 * example have it); all others are JsonNumber.
 *
 * @throws EVENT_BAD_JSON when the bytes are not UTF-8 or not JSON, hold a lone surrogate, or nest too deeply
 */
export function parseJson(bytes: Uint8Array): JsonValue {
  const plain = isPlain(bytes);
  const text = textOf(bytes);
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (cause) {
    throw new EventBadJsonError('the bytes are no JSON', { bytes: bytes.length }, cause);
  }
  return plain ? value : new LosslessReader(text).value();
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch (cause) {
    throw new EventBadJsonError('the bytes are not UTF-8', { bytes: bytes.length }, cause);
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const SAFE_DIGITS = 15;

/**
 * One pass outside and inside strings: is every number a safe integer as JSON.parse reads it, and does no
 * escape name a surrogate? Text that is no JSON may get any answer: JSON.parse is asked next.
 */
function isPlain(bytes: Uint8Array): boolean {
  const length = bytes.length;
  let plain = true;
  let depth = 0;
  let i = 0;
  while (i < length) {
    const byte = bytes[i] as number;
    i++;
    if (byte === QUOTE) {
      let inside = bytes[i] as number;
      while (inside !== QUOTE && i < length) {
        if (inside === BACKSLASH) {
          i++;
          if (bytes[i] === 0x75 && ((bytes[i + 1] as number) | 0x20) === 0x64) plain = false;
        }
        i++;
        inside = bytes[i] as number;
      }
      i++;
    } else if (byte === 0x7b || byte === 0x5b) {
      depth++;
      if (depth > MAX_JSON_DEPTH) {
        throw new EventBadJsonError(`JSON nested deeper than ${MAX_JSON_DEPTH}`, {
          bytes: length,
          at: i - 1,
        });
      }
    } else if (byte === 0x7d || byte === 0x5d) {
      depth--;
    } else if ((byte >= 0x30 && byte <= 0x39) || byte === MINUS) {
      const start = i;
      if (byte === MINUS && bytes[i] === 0x30) plain = false;
      let next = bytes[i] as number;
      while (next >= 0x30 && next <= 0x39) {
        i++;
        next = bytes[i] as number;
      }
      if (i - start >= SAFE_DIGITS || next === 0x2e || (next | 0x20) === 0x65) plain = false;
    }
  }
  return plain;
}

/** Reads text that JSON.parse has accepted once more, keeping numbers as they are written. */
class LosslessReader {
  private at = 0;

  constructor(private readonly text: string) {}

  value(): JsonValue {
    this.skipSpace();
    switch (this.text[this.at]) {
      case '{':
        return this.object();
      case '[':
        return this.array();
      case '"':
        return this.string();
      case 't':
        this.at += 4;
        return true;
      case 'f':
        this.at += 5;
        return false;
      case 'n':
        this.at += 4;
        return null;
      default:
        return this.number();
    }
  }

  private object(): JsonObject {
    const entries: Array<[string, JsonValue]> = [];
    this.at++;
    while (this.next() !== '}') {
      if (this.text[this.at] === ',') this.at++;
      this.skipSpace();
      const key = this.string();
      this.skipSpace();
      this.at++;
      entries.push([key, this.value()]);
    }
    this.at++;
    return Object.fromEntries(entries);
  }

  private array(): readonly JsonValue[] {
    const items: JsonValue[] = [];
    this.at++;
    while (this.next() !== ']') {
      if (this.text[this.at] === ',') this.at++;
      items.push(this.value());
    }
    this.at++;
    return items;
  }

  private string(): string {
    const start = this.at;
    let end = start + 1;
    while (this.text[end] !== '"') end += this.text[end] === '\\' ? 2 : 1;
    this.at = end + 1;
    const string = JSON.parse(this.text.slice(start, this.at)) as string;
    if (!isWellFormed(string)) throw new EventBadJsonError('a string holds a lone surrogate', { at: start });
    return string;
  }

  private number(): number | JsonNumber {
    const start = this.at;
    while (/[-+.0-9eE]/.test(this.text.charAt(this.at))) this.at++;
    const source = this.text.slice(start, this.at);
    const value = Number(source);
    if (/[.eE]/.test(source) || !Number.isSafeInteger(value)) return new JsonNumber(source, value);
    return value === 0 ? 0 : value;
  }

  private next(): string | undefined {
    this.skipSpace();
    return this.text[this.at];
  }

  private skipSpace(): void {
    while (this.text.charCodeAt(this.at) <= 0x20) this.at++;
  }
}
