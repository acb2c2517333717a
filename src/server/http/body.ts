// The body of a request: bytes of a stranger to a JSON object that handlers may read.
//
// Numbers are plain here: a fraction, or one beyond 2^53, is what JavaScript makes of it. Events refuse those
// when they are built; account data and tags may hold fractions.

import {
  isArray,
  isObject,
  JsonNumber,
  type JsonObject,
  type JsonValue,
  parseJson,
} from '../../event/json.js';
import { badJson, MatrixError } from '../../client/errors.js';
import { StateroomError } from '../../lib/errors.js';

/**
 * @param bytes undefined or empty is an empty object
 * @param depthMax deepest nesting of objects and lists
 * @throws MatrixError 400 M_NOT_JSON, M_BAD_JSON
 */
export function parseBody(bytes: Uint8Array | undefined, depthMax: number): JsonObject {
  if (bytes === undefined || bytes.length === 0) return {};
  const value = plain(parse(bytes), depthMax);
  if (!isObject(value)) throw badJson('The body is JSON, but no object.');
  return value;
}

function parse(bytes: Uint8Array): JsonValue {
  try {
    return parseJson(bytes);
  } catch (error) {
    if (!(error instanceof StateroomError)) throw error;
    throw new MatrixError(
      400,
      'M_NOT_JSON',
      `The body is not JSON that is understood here: ${error.message}.`,
    );
  }
}

function plain(value: JsonValue, depthLeft: number): JsonValue {
  if (value instanceof JsonNumber) {
    if (!Number.isFinite(value.value)) throw badJson('A number in the body is too large.');
    return value.value === 0 ? 0 : value.value;
  }
  if (typeof value !== 'object' || value === null) return value;
  if (depthLeft === 0) throw badJson('The JSON in the body is nested too deeply.');
  if (isArray(value)) return plainList(value, depthLeft - 1);
  return isObject(value) ? plainObject(value, depthLeft - 1) : value;
}

/** The list itself, where nothing in it changes: most hold no such number. */
function plainList(list: readonly JsonValue[], depthLeft: number): readonly JsonValue[] {
  let changed: JsonValue[] | undefined;
  list.forEach((item, i) => {
    const made = plain(item, depthLeft);
    if (made === item) return;
    changed ??= [...list];
    changed[i] = made;
  });
  return changed ?? list;
}

function plainObject(object: JsonObject, depthLeft: number): JsonObject {
  let changed: Map<string, JsonValue> | undefined;
  for (const key of Object.keys(object)) {
    const item = object[key] as JsonValue;
    const made = plain(item, depthLeft);
    if (made === item) continue;
    changed ??= new Map(Object.entries(object));
    changed.set(key, made);
  }
  return changed === undefined ? object : Object.fromEntries(changed);
}
