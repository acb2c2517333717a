// How one power level is read from JSON, compared and shown.
//
// From version 10 a level is an integer. Before, strings and floats are levels too ("m.room.power_levels
// events accept values as strings", "... as floats" in rooms/v1), and what counts as one is what Python's
// `int()` takes, because that is what servers have always run: white space around, a sign, underscores
// between digits, decimal digits of any script, at most 4,300 digits; true and false are 1 and 0; floats lose
// their fraction.

import { JsonNumber, type JsonValue } from '../../event/json.js';

/**
 * A power level: a number where that is exact, else a bigint, so that `===`, `<` and `<=` are right between
 * any two. `Infinity` is a creator's (version 12). `NaN` is a level that cannot be read: every comparison
 * with it fails, so write each check as what must hold, and whatever rests on such a level is refused.
 */
export type PowerLevel = number | bigint;

/** Reads as no integer: see `PowerLevel`. */
export const UNREADABLE: PowerLevel = Number.NaN;

const DIGITS_MAX = 4300;
const SHOWN_DIGITS_MAX = 20;

/**
 * The level that a value says; undefined when it says none (absent, null); `UNREADABLE` for what is no level.
 */
export function readLevel(value: JsonValue | undefined): PowerLevel | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number') return truncated(value);
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value === 'string') return readString(value);
  if (value instanceof JsonNumber) {
    return /^-?[0-9]+$/.test(value.source) ? readString(value.source) : truncated(value.value);
  }
  return UNREADABLE;
}

/** Is the value an integer as version 10 and later demand it? */
export function isIntegerLevel(value: JsonValue): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value);
}

/** Total order of levels, for sorting: unreadable below all, a creator's above all. */
export function compareLevels(a: PowerLevel, b: PowerLevel): number {
  if (a === b) return 0;
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : -1;
  if (Number.isNaN(b)) return 1;
  return a < b ? -1 : 1;
}

/** A level in words, bounded in length. */
export function showLevel(level: PowerLevel | undefined): string {
  if (level === undefined) return 'none';
  if (level === Number.POSITIVE_INFINITY) return "infinite (a creator's)";
  if (Number.isNaN(level)) return 'unreadable';
  const text = String(level);
  return text.length <= SHOWN_DIGITS_MAX
    ? text
    : `${text.slice(0, SHOWN_DIGITS_MAX)}... (${text.length} digits)`;
}

function truncated(value: number): PowerLevel {
  return Number.isFinite(value) ? exact(BigInt(Math.trunc(value))) : UNREADABLE;
}

/** One representation for each integer. */
function exact(value: bigint): PowerLevel {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function readString(text: string): PowerLevel {
  const [, sign, digits] = /^([+-]?)(\p{Nd}+(?:_\p{Nd}+)*)$/u.exec(stripped(text)) ?? [];
  if (digits === undefined) return UNREADABLE;
  const ascii = digits.replaceAll('_', '').replaceAll(/[^0-9]/gu, digitOf);
  if (ascii.length > DIGITS_MAX) return UNREADABLE;
  const value = BigInt(ascii);
  return exact(sign === '-' ? -value : value);
}

/**
 * Decimal digits of every script stand in runs of ten from zero to nine; the mathematical ones in five such
 * runs.
 */
function digitOf(digit: string): string {
  let start = digit.codePointAt(0) ?? 0;
  const code = start;
  while (/^\p{Nd}$/u.test(String.fromCodePoint(start - 1))) start--;
  return String((code - start) % 10);
}

function stripped(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isSpace(text.charCodeAt(from))) from++;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

/** White space as `int()` has it: not U+001C to U+001F, which `strip()` takes for some, and not U+FEFF. */
function isSpace(code: number): boolean {
  if (code === 0x20 || (code >= 0x09 && code <= 0x0d)) return true;
  if (code === 0x85 || code === 0xa0 || code === 0x1680 || (code >= 0x2000 && code <= 0x200a)) return true;
  return code === 0x2028 || code === 0x2029 || code === 0x202f || code === 0x205f || code === 0x3000;
}
