// Reading one field of a request: present or not, of the right type, within its bounds; else a clear refusal.

import { parseUserId, type UserId } from '../event/ids.js';
import { isArray, isObject, type JsonObject, type JsonValue, own } from '../event/json.js';
import { badJson, invalidParam, missingParam } from './errors.js';
import type { ClientRequest } from './route.js';

/** A path parameter, as the route declares it. */
export function param(request: ClientRequest, name: string): string {
  const value = Object.hasOwn(request.params, name) ? request.params[name] : undefined;
  if (value === undefined) throw missingParam(`${name} is missing.`);
  return value;
}

/** A query parameter; of a repeated one the first. */
export function queryText(request: ClientRequest, name: string): string | undefined {
  const value = Object.hasOwn(request.query, name) ? request.query[name] : undefined;
  return typeof value === 'string' || value === undefined ? value : value[0];
}

/** A query parameter that is an integer, brought down to `max`. @throws MatrixError 400 */
export function queryInteger(
  request: ClientRequest,
  name: string,
  { min = 0, max = Number.MAX_SAFE_INTEGER }: { readonly min?: number; readonly max?: number } = {},
): number | undefined {
  const text = queryText(request, name);
  if (text === undefined) return undefined;
  const value = /^-?[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < min) {
    throw invalidParam(`${name} is an integer of at least ${min}.`);
  }
  return Math.min(value, max);
}

/** A query parameter that is one of a few words. @throws MatrixError 400 */
export function queryWord<Word extends string>(
  request: ClientRequest,
  name: string,
  words: readonly Word[],
): Word | undefined {
  const text = queryText(request, name);
  if (text === undefined) return undefined;
  const word = words.find((known) => known === text);
  if (word === undefined) throw invalidParam(`${name} is one of ${words.join(', ')}.`);
  return word;
}

/** A field of a body that is a string, or absent. @throws MatrixError 400 */
export function bodyText(body: JsonObject, name: string): string | undefined {
  return typed(body, name, 'a string', (value): value is string => typeof value === 'string');
}

export function bodyFlag(body: JsonObject, name: string): boolean | undefined {
  return typed(body, name, 'true or false', (value): value is boolean => typeof value === 'boolean');
}

export function bodyObject(body: JsonObject, name: string): JsonObject | undefined {
  return typed(body, name, 'an object', isObject);
}

export function bodyArray(body: JsonObject, name: string): readonly JsonValue[] | undefined {
  return typed(body, name, 'a list', isArray);
}

function typed<Value extends JsonValue>(
  body: JsonObject,
  name: string,
  what: string,
  is: (value: JsonValue | undefined) => value is Value,
): Value | undefined {
  const value = own(body, name);
  if (value === undefined || value === null) return undefined;
  if (!is(value)) throw badJson(`${name} is ${what}.`);
  return value;
}

/** The user that a text names. @throws MatrixError 400 */
export function userIdOf(text: string | undefined, name = 'user_id'): UserId {
  if (text === undefined) throw missingParam(`${name} is missing.`);
  const userId = parseUserId(text);
  if (userId === undefined) throw invalidParam(`${name} is no user id.`);
  return userId;
}
