// Canonical JSON: the one text of a value that is hashed and signed (spec appendices, "Canonical JSON").
//
// Keys in order of code points, no white space, strings escaped only where JSON must. Strict (room
// version 6 and later): integers within ±(2^53 - 1), all else refused. Loose (1 to 5): what servers did
// when those rooms were made, which is what Python's json module writes: integers of any size digit by
// digit, floats as `repr` has them (`1.0`, `1e+16`, `1e-05`), because the hashes in those rooms cover that.

import { compareCodePoints, isWellFormed } from '../lib/bytes.js';
import { EventNotCanonicalError } from './errors.js';
import { JsonNumber, MAX_JSON_DEPTH, isArray, type JsonObject, type JsonValue } from './json.js';

/** The part of a room version's record that canonical JSON asks for. */
export interface CanonicalRules {
  readonly strictCanonicalJson: boolean;
}

const STRICT: CanonicalRules = { strictCanonicalJson: true };

/**
 * The canonical JSON of a value.
 *
 * @param rules of the room version; strict when left out, as all signed JSON outside of events is
 * @throws EVENT_NOT_CANONICAL for a number that the version refuses, a lone surrogate, or too deep nesting
 */
export function canonicalJson(value: JsonValue, rules: CanonicalRules = STRICT): string {
  return write(value, rules.strictCanonicalJson, 0);
}

/** An object's keys in canonical order. */
export function canonicalKeys(object: JsonObject): string[] {
  const keys = Object.keys(object);
  if (keys.length < 2) return keys;
  // The default order is that of UTF-16 units, which differs from code points only above U+D7FF.
  keys.sort();
  for (const key of keys) if (/[\uD800-\uFFFF]/.test(key)) return keys.sort(compareCodePoints);
  return keys;
}

function write(value: JsonValue, strict: boolean, depth: number): string {
  if (typeof value === 'string') return canonicalString(value);
  if (typeof value === 'number') return canonicalNumber(value, strict);
  if (value === null) return 'null';
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (value instanceof JsonNumber) return canonicalSource(value, strict);
  if (depth >= MAX_JSON_DEPTH) {
    throw new EventNotCanonicalError(`a value is nested deeper than ${MAX_JSON_DEPTH}`);
  }
  if (isArray(value)) {
    let text = '[';
    for (let i = 0; i < value.length; i++) {
      if (i > 0) text += ',';
      text += write(value[i] as JsonValue, strict, depth + 1);
    }
    return `${text}]`;
  }
  let text = '{';
  for (const key of canonicalKeys(value)) {
    if (text.length > 1) text += ',';
    text += `${canonicalString(key)}:${write(value[key] as JsonValue, strict, depth + 1)}`;
  }
  return `${text}}`;
}

/** A string as canonical JSON writes it. @throws EVENT_NOT_CANONICAL for a lone surrogate */
export function canonicalString(text: string): string {
  if (/^[ !#-[\]-~]*$/.test(text)) return `"${text}"`;
  if (!isWellFormed(text)) throw new EventNotCanonicalError('a string holds a lone surrogate');
  // JSON.stringify escapes what the specification's grammar escapes, and in the same way.
  return JSON.stringify(text);
}

function canonicalNumber(value: number, strict: boolean): string {
  if (Number.isSafeInteger(value)) return value === 0 ? '0' : String(value);
  if (strict) throw new EventNotCanonicalError(`${value} is no integer within 2^53 - 1`);
  return pythonFloat(value);
}

function canonicalSource(number: JsonNumber, strict: boolean): string {
  if (strict) {
    const shown = number.source.length > 40 ? `${number.source.slice(0, 40)}...` : number.source;
    throw new EventNotCanonicalError(`${shown} is no integer within 2^53 - 1`);
  }
  return /^-?[0-9]+$/.test(number.source) ? number.source : pythonFloat(number.value);
}

/**
 * A float as Python's `repr` writes it: the shortest digits that read back as the same number (JavaScript
 * finds the same digits), an exponent below 1e-4 and from 1e16, and `.0` where nothing else tells a float.
 */
function pythonFloat(value: number): string {
  if (!Number.isFinite(value)) throw new EventNotCanonicalError('a number is too large for a float');
  const [mantissa = '', exponentText = ''] = value.toExponential().split('e');
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const digits = mantissa.replace(/[-.]/g, '');
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 16) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
    const power = String(Math.abs(exponent)).padStart(2, '0');
    return `${sign}${digits[0]}${fraction}e${exponent < 0 ? '-' : '+'}${power}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`;
}
