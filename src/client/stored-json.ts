// What clients want kept as it is: account data, profile fields, filters, push rules. It must survive being
// written down and read again, and be of bearable size.

import { isArray, isObject, type JsonValue } from '../event/json.js';
import { fitsBytes, MAX_ID_BYTES } from '../event/ids.js';
import { isWellFormed } from '../lib/bytes.js';
import { badJson, invalidParam, MatrixError } from './errors.js';

const DEPTH_MAX = 100;
const STORED_BYTES_MAX = 512 * 1024;

/** The value, if it can be kept. @throws MatrixError 400 M_BAD_JSON, 413 M_TOO_LARGE */
export function storable<Value extends JsonValue>(value: Value, bytesMax = STORED_BYTES_MAX): Value {
  checkValue(value, DEPTH_MAX);
  if (Buffer.byteLength(JSON.stringify(value)) > bytesMax) {
    throw new MatrixError(413, 'M_TOO_LARGE', `This may take ${bytesMax} bytes at most.`);
  }
  return value;
}

/** A type, key or id that a client chose. @throws MatrixError 400 M_INVALID_PARAM */
export function storableName(name: string, what: string): string {
  if (name === '' || !fitsBytes(name, MAX_ID_BYTES) || name.includes('\0') || !isWellFormed(name)) {
    throw invalidParam(`${what} has 1 to ${MAX_ID_BYTES} bytes of UTF-8, none of them NUL.`);
  }
  return name;
}

function checkValue(value: JsonValue, depth: number): void {
  if (depth === 0) throw badJson(`JSON nested deeper than ${DEPTH_MAX} is not kept.`);
  if (typeof value === 'string') {
    if (!isWellFormed(value)) throw badJson('A string holds half a character.');
  } else if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw badJson('A number is too great.');
  } else if (isArray(value)) {
    for (const item of value) checkValue(item, depth - 1);
  } else if (isObject(value)) {
    for (const [key, item] of Object.entries(value)) {
      checkValue(key, depth);
      checkValue(item, depth - 1);
    }
  }
}
