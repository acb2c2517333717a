// Reading what other servers put into paths, queries and bodies. What has the wrong form is refused with 400.

import {
  fitsBytes,
  MAX_ID_BYTES,
  parseUserId,
  serverOf,
  type ServerName,
  type UserId,
} from '../../event/ids.js';
import { isArray, isObject, type JsonObject, own } from '../../event/json.js';
import { isWellFormed } from '../../lib/bytes.js';
import { badJson, forbidden, invalidParam, missingParam } from '../errors.js';
import type { FederationRequest } from '../route.js';

/** A path parameter: an id or a short name. @throws FederationError 400 */
export function param({ params }: FederationRequest, name: string): string {
  const text = Object.hasOwn(params, name) ? params[name] : undefined;
  if (text === undefined || text === '') throw missingParam(`${name} is missing.`);
  return assertId(text, name);
}

/** A query parameter that is given once; undefined where it is not. @throws FederationError 400 */
export function queryText(request: FederationRequest, name: string): string | undefined {
  const values = queryList(request, name);
  if (values.length > 1) throw invalidParam(`${name} is given more than once.`);
  return values[0];
}

/** A query parameter that must be there. @throws FederationError 400 */
export function requiredQuery(request: FederationRequest, name: string): string {
  const text = queryText(request, name);
  if (text === undefined) throw missingParam(`${name} is missing.`);
  return assertId(text, name);
}

/** A query parameter that may be repeated. */
export function queryList({ query }: FederationRequest, name: string): readonly string[] {
  const value = Object.hasOwn(query, name) ? query[name] : undefined;
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

/** A whole number of a query; undefined where it is not given. @throws FederationError 400 */
export function queryInteger(request: FederationRequest, name: string): number | undefined {
  const text = queryText(request, name);
  if (text === undefined) return undefined;
  const value = /^-?[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw invalidParam(`${name} is no whole number.`);
  return value;
}

/** A switch of a query: `true` or not. */
export function queryFlag(request: FederationRequest, name: string): boolean {
  return queryText(request, name) === 'true';
}

/** A user id of a path or body. @throws FederationError 400 */
export function userIdOf(text: string): UserId {
  const userId = parseUserId(text);
  if (userId === undefined || !isWellFormed(text)) throw invalidParam('A user id is @name:server.');
  return userId;
}

/** The user in the path, who must be one of the server that asks. @throws FederationError 400, 403 */
export function userOfOrigin(request: FederationRequest): UserId {
  const userId = userIdOf(param(request, 'userId'));
  if (serverOf(userId) !== request.origin) throw forbidden('The user is none of the asking server.');
  return userId;
}

/** A user id of this server. @throws FederationError 400 */
export function localUser(text: string, serverName: ServerName): UserId {
  const userId = userIdOf(text);
  if (serverOf(userId) !== serverName) throw invalidParam('The user is none of this server.');
  return userId;
}

/** An object in a body; undefined where there is none. @throws FederationError 400 */
export function bodyObject(body: JsonObject, name: string): JsonObject | undefined {
  const value = own(body, name);
  if (value !== undefined && !isObject(value)) throw badJson(`${name} is no object.`);
  return value;
}

/** A string in a body; undefined where there is none. @throws FederationError 400 */
export function bodyText(body: JsonObject, name: string): string | undefined {
  const value = own(body, name);
  if (value !== undefined && typeof value !== 'string') throw badJson(`${name} is no string.`);
  return value;
}

/** A list of strings in a body, cut off at `max`; empty where there is none. @throws FederationError 400 */
export function bodyTexts(body: JsonObject, name: string, max: number): readonly string[] {
  const value = own(body, name) ?? [];
  if (!isArray(value)) throw badJson(`${name} is no list.`);
  return value.slice(0, max).map((item) => {
    if (typeof item !== 'string') throw badJson(`${name} holds what is no string.`);
    return item;
  });
}

/** A whole number in a body; undefined where there is none. @throws FederationError 400 */
export function bodyInteger(body: JsonObject, name: string): number | undefined {
  const value = own(body, name);
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw badJson(`${name} is no whole number.`);
  return value;
}

function assertId(text: string, name: string): string {
  if (!fitsBytes(text, MAX_ID_BYTES) || !isWellFormed(text)) throw invalidParam(`${name} is no id.`);
  return text;
}
