// The signature of a request between servers: the `Authorization` header with the scheme `X-Matrix`.
//
//   X-Matrix origin="a.org",destination="b.org",key="ed25519:1",sig="..."
//
// Signed is the JSON of method, uri, origin, destination and content. Numbers keep the text they were written
// in, because transactions carry events of room versions that allow fractions.
//
// Source: server-server API, "Request Authentication"; RFC 9110, sections 5.6.2, 5.6.4 and 11.4.

import { canonicalJson } from '../../event/canonical.js';
import { parseServerName, type ServerName } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';
import { type SigningKey, verifySignature } from '../../event/signing.js';
import { fromBase64, toBase64 } from '../../lib/base64.js';
import { utf8 } from '../../lib/bytes.js';
import { StateroomError } from '../../lib/errors.js';
import { unauthorized } from '../errors.js';
import type { KeyLimits } from './key-ring.js';

/** What a signature covers. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query as they are sent, byte for byte: `/_matrix/...`. */
  readonly uri: string;
  readonly origin: ServerName;
  readonly destination: ServerName;
  readonly content?: JsonObject | undefined;
}

/** One header, taken apart. */
export interface XMatrix {
  readonly origin: ServerName;
  readonly destination: string | undefined;
  readonly keyId: string;
  readonly signature: Uint8Array;
}

/** A request as it came in, its body read. */
export interface UnverifiedRequest {
  readonly method: string;
  readonly uri: string;
  /** Every `Authorization` header there is. */
  readonly authorization: readonly string[];
  readonly content: JsonObject | undefined;
}

/** Where the keys of other servers come from. */
export interface RequestKeys {
  lookup(server: string, keyId: string, validAt?: number): Uint8Array | undefined;
  /** Gets keys that are not known, or not valid at that time; what cannot be had is left out. */
  fetch(
    needs: Iterable<{ readonly server: ServerName; readonly keyId: string; readonly validAt?: number }>,
    limits?: KeyLimits,
  ): Promise<void>;
}

/** JSON that events of every room version may stand in. */
const LOOSE = { strictCanonicalJson: false };
const HEADER_LENGTH_MAX = 2_048;
/** Signatures that are looked at: a server has one key, or two while it changes them. */
const HEADERS_MAX = 4;
const PARAMETERS_MAX = 16;
const KEY_ID = /^ed25519:[A-Za-z0-9_]{1,200}$/;
// Colons belong to no token, but older servers write them without quotes; so do some the `/+=` of base64.
const PARAMETER =
  /[ \t]*([A-Za-z0-9!#$%&'*+.^_`|~-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^",\s]*))[ \t]*(?:,|$)/y;

/** The bytes of a body as it is sent and signed. @throws EVENT_NOT_CANONICAL */
export function requestBody(content: JsonObject): Uint8Array {
  return utf8(canonicalJson(content, LOOSE));
}

/** The value of the `Authorization` header. @throws EVENT_NOT_CANONICAL */
export function signRequest(request: SignedRequest, key: SigningKey): string {
  const signature = toBase64(key.sign(signedBytes(request)));
  const { origin, destination } = request;
  return `X-Matrix origin="${origin}",destination="${destination}",key="${key.keyId}",sig="${signature}"`;
}

/** The header's parameters, or undefined where it is no `X-Matrix` header or misses one. */
export function parseXMatrix(header: string): XMatrix | undefined {
  if (header.length > HEADER_LENGTH_MAX) return undefined;
  const parameters = parametersOf(header);
  const origin = parseServerName(parameters?.get('origin') ?? '');
  const keyId = parameters?.get('key') ?? '';
  const signature = fromBase64(parameters?.get('sig') ?? '');
  if (origin === undefined || !KEY_ID.test(keyId) || signature?.length !== 64) return undefined;
  return { origin, keyId, signature, destination: parameters?.get('destination') };
}

/** By name in small letters; undefined for what is not of the form, or names one parameter twice. */
function parametersOf(header: string): Map<string, string> | undefined {
  const scheme = /^X-Matrix +/i.exec(header)?.[0];
  if (scheme === undefined) return undefined;
  const parameters = new Map<string, string>();
  PARAMETER.lastIndex = scheme.length;
  while (PARAMETER.lastIndex < header.length) {
    const [, name, quoted, plain] = PARAMETER.exec(header) ?? [];
    if (name === undefined) return undefined;
    const key = name.toLowerCase();
    if (parameters.has(key) || parameters.size >= PARAMETERS_MAX) return undefined;
    parameters.set(key, quoted === undefined ? (plain ?? '') : quoted.replace(/\\(.)/g, '$1'));
  }
  return parameters;
}

/**
 * Who sent the request, proved: at least one known key of theirs signed it, and no known key's signature is wrong.
 * Keys that are not known are fetched.
 * @param now milliseconds: keys must be valid then
 * @throws FederationError 401 M_UNAUTHORIZED
 */
export async function verifyRequest(
  request: UnverifiedRequest,
  serverName: ServerName,
  keys: RequestKeys,
  now: number,
): Promise<ServerName> {
  const headers = parsedHeaders(request.authorization, serverName);
  const [{ origin }] = headers;
  const isUnknown = ({ keyId }: XMatrix): boolean => keys.lookup(origin, keyId, now) === undefined;
  if (headers.every(isUnknown)) {
    // Who sends a request is there, whatever it was before: else nobody would hear that it is back.
    const needs = headers.map(({ keyId }) => ({ server: origin, keyId, validAt: now }));
    await keys.fetch(needs, { evenBackingOff: true });
  }
  const message = bytesOf({ ...request, origin, destination: serverName });
  let verified = 0;
  for (const { keyId, signature } of headers) {
    const key = keys.lookup(origin, keyId, now);
    if (key === undefined) continue;
    if (!verifySignature(key, signature, message)) {
      throw unauthorized(`The signature of ${origin} with ${keyId} is not that of this request.`);
    }
    verified++;
  }
  if (verified === 0) {
    const names = headers.map(({ keyId }) => keyId).join(', ');
    throw unauthorized(`No valid key of ${origin} can be had that signed this request (${names}).`);
  }
  return origin;
}

function parsedHeaders(
  authorization: readonly string[],
  serverName: ServerName,
): readonly [XMatrix, ...XMatrix[]] {
  if (authorization.length > HEADERS_MAX) throw unauthorized('The request has too many signatures.');
  const headers: XMatrix[] = [];
  for (const header of authorization) {
    if (!/^X-Matrix /i.test(header)) continue;
    const parsed = parseXMatrix(header);
    if (parsed === undefined) throw unauthorized('The X-Matrix header is malformed.');
    if (parsed.destination !== undefined && parsed.destination !== serverName) {
      throw unauthorized(`The request was signed for another server than ${serverName}.`);
    }
    if (headers[0] !== undefined && headers[0].origin !== parsed.origin) {
      throw unauthorized('The request is signed by more than one server.');
    }
    headers.push(parsed);
  }
  const [first, ...rest] = headers;
  if (first === undefined) throw unauthorized('The request is not signed: it has no X-Matrix header.');
  return [first, ...rest];
}

/** As `signedBytes`; what has no canonical form cannot have been signed. */
function bytesOf(request: SignedRequest): Uint8Array {
  try {
    return signedBytes(request);
  } catch (error) {
    if (!(error instanceof StateroomError)) throw error;
    throw unauthorized(`The request cannot have been signed: ${error.message}.`);
  }
}

function signedBytes({ method, uri, origin, destination, content }: SignedRequest): Uint8Array {
  const signed = { method, uri, origin, destination, ...(content === undefined ? {} : { content }) };
  return utf8(canonicalJson(signed, LOOSE));
}
