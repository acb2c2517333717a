// What happens to every request of another server before its handler: the body read, the signature checked.
//
// One way in, for HTTP and for the network in memory of tests; and what goes out as the answer.

import { canonicalJson } from '../event/canonical.js';
import type { ServerName } from '../event/ids.js';
import { isObject, type JsonObject, type JsonValue, parseJson } from '../event/json.js';
import { utf8 } from '../lib/bytes.js';
import { StateroomError } from '../lib/errors.js';
import { badJson, FederationError } from './errors.js';
import type { Federation } from './federation.js';
import { verifyRequest } from './identity/x-matrix.js';
import { type FederationAnswer, type FederationRoute, JsonText, Octets } from './route.js';

/** A request as it came, its bytes read and bounded. */
export interface ArrivedRequest {
  readonly method: string;
  /** Path and query, as they came. */
  readonly uri: string;
  readonly authorization: readonly string[];
  readonly bytes: Uint8Array | undefined;
}

/** Who asks, and what. */
export interface AdmittedRequest {
  /** Empty where the route needs no signature. */
  readonly origin: ServerName;
  readonly body: JsonObject;
}

/**
 * @throws FederationError 400 M_NOT_JSON or M_BAD_JSON for the body, 401 M_UNAUTHORIZED for the signature
 */
export async function admit(
  federation: Federation,
  route: Pick<FederationRoute, 'auth'>,
  request: ArrivedRequest,
): Promise<AdmittedRequest> {
  const { serverName, now } = federation.parts;
  const content = request.method === 'GET' ? undefined : contentOf(request.bytes);
  const body = content ?? {};
  if (route.auth === 'none') return { origin: '' as ServerName, body };
  const origin = await verifyRequest({ ...request, content }, serverName, federation.keyRing, now());
  if (origin === serverName) {
    throw new FederationError(403, 'M_FORBIDDEN', 'This server does not send requests to itself.');
  }
  federation.destinations.heard(origin);
  return { origin, body };
}

/** The bytes of an answer, in one piece or many; numbers of events stand as they were written. */
export function answerBytes(answer: FederationAnswer): Uint8Array | AsyncIterable<Uint8Array> {
  if (answer instanceof JsonText) return answer.pieces;
  if (answer instanceof Octets) return answer.bytes;
  return utf8(canonicalJson(answer, { strictCanonicalJson: false }));
}

/** Numbers as they were written: events among it are hashed. Undefined where there is no body. */
function contentOf(bytes: Uint8Array | undefined): JsonObject | undefined {
  if (bytes === undefined || bytes.length === 0) return undefined;
  const value = parsed(bytes);
  if (!isObject(value)) throw badJson('The body is JSON, but no object.');
  return value;
}

function parsed(bytes: Uint8Array): JsonValue {
  try {
    return parseJson(bytes);
  } catch (error) {
    if (!(error instanceof StateroomError)) throw error;
    throw new FederationError(
      400,
      'M_NOT_JSON',
      `The body is not JSON that is understood: ${error.message}.`,
    );
  }
}
